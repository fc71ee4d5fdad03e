"""Corrects an annotation file by its review."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitouts.errors import ReviewError
from mitouts.formats.coco import CATEGORIES, image_root, read_coco, read_json, write_json
from mitouts.formats.provenance import check_out
from mitouts.review.consensus import ReviewConsensus, find_consensus, review_radius_px
from mitouts.review.revision import COUNTED, Revision, noise_counts
from mitouts.review.store import ReviewStore
from mitouts.utils.defaults import UNDECIDED
from mitouts.utils.files import file_sha256
from mitouts.utils.version import code_version

TOOL = 'review'


def apply_review(
    store: ReviewStore,
    annotations: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    rule: str = 'majority',
    undecided: str = 'keep',
    data_root: str | None = None,
) -> dict[str, Any]:
    """Write the corrected annotation file; see :func:`reviewed_document`.

    Args:
        annotations: The file that was reviewed; it stays as it is.
        out: File to write; what an earlier call wrote from this review is replaced.
        undecided: ``keep`` or ``drop``.
        data_root: Folder of the images, where ``annotations`` does not say it.

    Returns:
        The summary of :func:`reviewed_document`.

    Raises:
        ReviewError: ``annotations`` is not the file that was reviewed, or ``out`` is an input or of another review.
        AnnotationError: ``out`` exists and is something else.
    """
    annotations, out = Path(annotations), Path(out)
    check_annotations(store, annotations)
    _check_out(store, annotations, out)
    document = read_coco(annotations, keep_outside=True)
    reviewed, summary = reviewed_document(document, store, rule=rule, undecided=undecided)
    root = image_root(annotations, document, data_root).resolve()
    reviewed['info']['mitouts'] |= {
        'reviewed_from': annotations.name,
        'image_root': Path(os.path.relpath(root, out.resolve().parent)).as_posix(),
    }
    write_json(out, reviewed)
    return summary


def reviewed_document(
    document: Mapping[str, Any], store: ReviewStore, *, rule: str = 'majority', undecided: str = 'keep'
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Correct an annotation file by the results of its review.

    A confirmed figure stays where it is, or where the raters moved it; a rejected one becomes a hard negative. A place
    that nobody had annotated becomes a figure or a hard negative, and an image that was judged as a whole gets its
    label. Figures that raters added count as figures, unless they lie within the radius of an existing one or of a
    place that the raters rejected when asked about it. Changed entries are recorded under ``review``. If the points of
    an image with a ``label`` changed, its label is set again: 1 if a figure is left, 0 if the reviewed ones were its
    only figures and none is left.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it; it is not changed.
        rule: Rule that turns decisions into labels, see :func:`mitouts.review.consensus.find_consensus`.
        undecided: Treatment of images with an item that has no label: ``keep`` leaves that item as it was
            annotated, ``drop`` leaves out the image. An item that nobody has decided on is undecided; it costs an image
            its place only where the distillation had dropped that, so that without any decision ``drop`` gives what
            the distillation did.

    Returns:
        The document, and a summary: ``decided``, ``undecided`` and ``not_reviewed`` items, what was done with them
        (``confirmed``, ``to_look_alike``, ``to_mitotic``, ``new_figures``, ``new_look_alikes``, ``added_figures``,
        ``same_figure`` for those that were there already, ``moved``, and ``added_outside`` of the image, which do not
        count), ``images``, ``images_left_out``, ``labels_changed``, and, where the document knows its noise, over
        images: ``noise_total``, ``noise_corrected``, ``noise_left_out``, ``clean_total``, ``clean_lost``,
        ``clean_left_out`` (positive ones),
        ``noise_new`` (wrong positives).

    Raises:
        ReviewError: The document has not the images and annotations that were reviewed, or an argument is unknown.
    """
    if undecided not in UNDECIDED:
        raise ReviewError(f'unknown undecided {undecided!r}; known are {", ".join(UNDECIDED)}')
    review = find_consensus(store, rule)
    _check_document(document, review)
    # Nobody's doubt is none where the distillation had kept the image.
    left_out = {
        each.item.image_id
        for each in review.items.values()
        if undecided == 'drop' and each.label is None and (each.why, each.item.verdict) != ('not_reviewed', 'keep')
    }
    revision = Revision(document, review, rule, review_radius_px(store))
    images = [image for image in document['images'] if image['id'] not in left_out]
    annotations = revision.annotations(left_out)
    reviewed_images = revision.images(images, annotations)
    provenance = {
        **_provenance(store),
        'rule': rule,
        'undecided': undecided,
        'source': {key: document.get('info', {}).get('mitouts', {}).get(key) for key in ('tool', 'arguments')},
    }
    known = {category['id'] for category in document['categories']}
    missing = [category for category in CATEGORIES if category['id'] not in known]
    info = dict(document.get('info') or {})
    kept_info = {key: value for key, value in info.get('mitouts', {}).items() if key != 'arguments'}
    info['mitouts'] = {**kept_info, **provenance}
    reviewed = {
        **document,
        'info': info,
        'images': reviewed_images,
        'annotations': annotations,
        'categories': [dict(category) for category in (*document['categories'], *missing)],
    }
    decided = sum(each.label is not None for each in review.items.values())
    untouched = sum(each.why == 'not_reviewed' for each in review.items.values())
    summary = {
        'decided': decided,
        'undecided': len(review.items) - decided - untouched,
        'not_reviewed': untouched,
        **{key: revision.counts[key] for key in COUNTED},
        'added_outside': review.added_outside,
        'images': len(reviewed_images),
        'images_left_out': len(left_out),
        'labels_changed': revision.labels_changed,
    }
    if revision.truth is not None:
        summary |= noise_counts(document, reviewed, revision.truth)
    return reviewed, summary


def check_annotations(store: ReviewStore, annotations: str | os.PathLike[str]) -> None:
    """Check that a file is the one that was reviewed.

    Raises:
        ReviewError: It is another, or has changed.
    """
    wanted, found = store.provenance.get('annotations_sha256'), file_sha256(annotations)
    if wanted != found:
        raise ReviewError(
            f'{annotations} is not the file that was reviewed, or has changed since: expected SHA-256 {wanted}, found '
            f'{found}; give the annotation file that the review was made from'
        )


def _check_out(store: ReviewStore, annotations: Path, out: Path) -> None:
    for path, what in ((annotations, 'the file that was reviewed'), (store.path, 'the database of the review')):
        if out.resolve() == path.resolve() or (out.exists() and out.samefile(path)):
            raise ReviewError(f'{out} is {what}, and is not written to; choose another --out')
    check_out(out, TOOL)
    if out.exists() and read_json(out)['info']['mitouts'].get('database') != store.database_id:
        raise ReviewError(f'{out} was written from another review and is not touched; choose another --out')


def _check_document(document: Mapping[str, Any], review: ReviewConsensus) -> None:
    images = {image['id']: image['file_name'] for image in document['images']}
    annotations = {each['id']: each['image_id'] for each in document['annotations']}
    for item_id, each in review.items.items():
        item = each.item
        is_known = item.annotation_id is None or annotations.get(item.annotation_id) == item.image_id
        if images.get(item.image_id) != item.file_name or not is_known:
            about = '' if item.annotation_id is None else f' with annotation {item.annotation_id}'
            raise ReviewError(
                f'item {item_id} is about image {item.image_id} ({item.file_name}){about}, which the annotation file '
                'does not have: give the file that the review was made from'
            )


def _provenance(store: ReviewStore) -> dict[str, Any]:
    decisions = store.decisions()
    roles: dict[str, dict[str, None]] = defaultdict(dict)
    for decision in decisions:
        roles[decision.rater][decision.role] = None
    keys = ('hard_samples_sha256', 'teacher_sha256')
    return {
        'tool': TOOL,
        'source_sha256': store.provenance.get('annotations_sha256'),
        **{key: store.provenance.get(key) for key in keys},
        'database': store.database_id,
        'raters': {rater: ', '.join(names) for rater, names in roles.items()},
        'decisions': len(decisions),
        'version': code_version(),
    }
