"""Makes one annotation document from a foreign data set: sizes, resolutions, splits, and notes on oddities.

A converter returns a :class:`mitouts.formats.source.SourceSet`; the steps that all data sets share are here.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mitouts.converters.base import default_partition, is_within_cases, partitions_of
from mitouts.errors import AnnotationError
from mitouts.formats import coco
from mitouts.formats.leakage import WITHIN_CASES_KEY
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet, listed
from mitouts.formats.source_files import find_file, with_suffix
from mitouts.formats.splits import IGNORE, NO_SPLIT, assign_splits, cases_of, check_cases, has_cases
from mitouts.imaging.image_header import probe


def to_document(
    source: SourceSet,
    *,
    tool: str,
    arguments: Mapping[str, Any],
    image_root: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    mpp: float | None = None,
    split: str | os.PathLike[str] | None = None,
    cases: str | os.PathLike[str] | None = None,
    skip_missing: bool = False,
) -> dict[str, Any]:
    """Make the annotation document for a foreign data set.

    Args:
        source: Content of its label file.
        tool: Name of the converter, for ``info.mitouts``.
        arguments: Its arguments, for ``info.mitouts``.
        image_root: The images' folder: sizes and resolutions are read from the images' headers. Without it they come
            from the label file, and where that has none an image is as large as its points need (``size_known`` is
            false then).
        out: Where the document will be written; ``info.mitouts.image_root`` leads from there to the images.
        mpp: Micrometres per pixel of all images; it takes precedence over the images' own.
        split: A partition's name, ``none`` or a split file; default the data set's first partition. A split file with
            both ``file_name`` and ``case_id`` also defines the cases.
        cases: A table with ``file_name`` and ``case_id``; it takes precedence over all other sources of cases.
        skip_missing: Leave images out that ``image_root`` does not hold, instead of raising.

    Raises:
        AnnotationError: Names or sizes that contradict each other, missing images, or a split that does not fit.
    """
    figures = _by_image(source)
    notes = list(source.notes)
    located = _locate(
        _with_own_cases(source.images), None if image_root is None else Path(image_root), skip_missing, notes
    )
    _check_files(source, located)
    chosen = default_partition(source.dataset) if split is None else split
    located, splits, origin = _divide(source.dataset, located, chosen, cases, notes)
    kept = [(each, part) for each, part in zip(located, splits) if part != IGNORE]
    if not kept:
        raise AnnotationError(f'{source.name}: no image is left of {len(source.images)}')
    if len(kept) < len(located):
        named = f'split {chosen}' if str(chosen) in partitions_of(source.dataset) else 'split file'
        notes.append(f'left out {len(located) - len(kept)} of {len(located)} images because the {named} says so')
    image_ids = _numbers([each.image.image_id for each, _ in kept])
    annotation_ids = _numbers([figure.annotation_id for each, _ in kept for figure in figures[each.image.file_name]])
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for (each, part), image_id in zip(kept, image_ids):
        inside = _onto_edges(figures[each.image.file_name], each, source.edge_px, notes)
        images.append(_image_entry(each, image_id, inside, part, mpp))
        annotations += [
            {**coco.make_annotation(number, image_id, figure.category_id, figure.x, figure.y), **figure.extra}
            for number, figure in zip(annotation_ids[len(annotations) :], inside)
        ]
    notes += _odd(images, annotations)
    if str(chosen) != NO_SPLIT:
        notes.append(f'splits: {Path(chosen).name} ({origin})')
    info: dict[str, Any] = {'notes': notes}
    if is_within_cases(source.dataset, chosen):
        info[WITHIN_CASES_KEY] = True
        notes.append(
            'validation is within cases: images of one case train and validate, so what is chosen on the validation '
            'images is chosen on known cases; the cases of the test are in no other split'
        )
    if image_root is not None and out is not None:
        info['image_root'] = Path(os.path.relpath(image_root, Path(out).parent)).as_posix()
    document = coco.make_document(images, annotations, name=source.name, tool=tool, arguments=arguments, **info)
    return document if source.base is None else _taken_over(document, source.base)


def count_by_split(document: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Count images, cases and figures of each category by split, ``all`` last.

    An annotation with ``iscrowd`` 1 is counted in another image and not here.
    """
    names = {category['id']: category['name'] for category in document['categories']}
    split_of = {image['id']: str(image.get('split') or 'no split') for image in document['images']}
    order = [name for name in ('train', 'val', 'test') if name in split_of.values()]
    order += sorted(set(split_of.values()) - set(order))
    rows: dict[str, dict[str, int]] = {}
    for row in [*order, 'all']:
        images = [image for image in document['images'] if row in ('all', split_of[image['id']])]
        counts = Counter(
            annotation['category_id']
            for annotation in document['annotations']
            if row in ('all', split_of[annotation['image_id']]) and not annotation.get('iscrowd')
        )
        rows[row] = {
            'images': len(images),
            'cases': len({image['case_id'] for image in images}),
            **{name: counts[category_id] for category_id, name in names.items()},
        }
    return rows


@dataclass(frozen=True)
class _Located:
    """An image with the name, size and resolution of its file, or the assumed ones where there is no file."""

    image: SourceImage
    file_name: str
    width: int | None
    height: int | None
    mpp: float | None


def _by_image(source: SourceSet) -> dict[str, list[SourceFigure]]:
    if not source.images:
        raise AnnotationError(f'{source.name}: holds no image')
    figures: dict[str, list[SourceFigure]] = {}
    for image in source.images:
        if image.file_name in figures:
            raise AnnotationError(f'{source.name}: the image {image.file_name} occurs twice')
        figures[image.file_name] = []
    for figure in source.figures:
        figures[figure.file_name].append(figure)
    return figures


def _with_own_cases(images: Sequence[SourceImage]) -> list[SourceImage]:
    """Give images that are each taken for a case of their own, such as ``1.tif`` and ``1.svs``, distinct case ids."""
    shared = Counter(image.case_id for image in images)
    return [
        replace(image, case_id=image.file_name)
        if shared[image.case_id] > 1 and image.extra.get('case_known') is False
        else image
        for image in images
    ]


def _locate(images: Sequence[SourceImage], root: Path | None, skip_missing: bool, notes: list[str]) -> list[_Located]:
    if root is None:
        return [
            _Located(
                image,
                image.file_name if image.exact_name else with_suffix(image.file_name),
                image.width,
                image.height,
                image.mpp,
            )
            for image in images
        ]
    if not root.is_dir():
        raise AnnotationError(f'{root}: no such folder; --image-root is the folder that holds the images')
    located = []
    missing = []
    for image in images:
        path = find_file(root, image.file_name)
        if path is None:
            missing.append(image.file_name)
        else:
            located.append(_open(root, image, path))
    if missing and (not skip_missing or not located):
        raise AnnotationError(
            f'{root}: {len(missing)} of {len(images)} images are missing ({listed(missing)}); download them, correct '
            '--image-root, or leave them out with --skip-missing'
        )
    if missing:
        notes.append(f'left out {len(missing)} of {len(images)} images that are not there, the first is {missing[0]}')
    return located


def _check_files(source: SourceSet, located: Sequence[_Located]) -> None:
    first: dict[str, str] = {}
    for each in located:
        before = first.setdefault(each.file_name, each.image.file_name)
        if before != each.image.file_name:
            raise AnnotationError(
                f'{source.name}: {before} and {each.image.file_name} are both the file {each.file_name}'
            )


def _open(root: Path, image: SourceImage, path: Path) -> _Located:
    header = probe(path)
    if image.extra.get('size_known') is False:
        # A guess of an earlier conversion.
        extra = {key: value for key, value in image.extra.items() if key != 'size_known'}
        image = replace(image, width=None, height=None, extra=extra)
    stated = (image.width or header.width, image.height or header.height)
    if max(abs(stated[0] - header.width), abs(stated[1] - header.height)) > image.size_tolerance_px:
        raise AnnotationError(
            f'{path}: is {header.width} x {header.height} px, {image.size_from} {stated[0]} x {stated[1]}: points '
            'would be in the wrong place; it is another image, or was resized'
        )
    mpp = header.mpp if header.mpp is not None else image.mpp
    return _Located(image, path.relative_to(root).as_posix(), header.width, header.height, mpp)


def _divide(
    dataset: str,
    located: list[_Located],
    chosen: str | os.PathLike[str],
    cases: str | os.PathLike[str] | None,
    notes: list[str],
) -> tuple[list[_Located], list[str | None], str]:
    """Assign cases and splits to images, and return them with the origin of the splits."""
    partitions = partitions_of(dataset)
    is_file = str(chosen) not in (NO_SPLIT, *partitions) and Path(chosen).is_file()
    table = cases if cases is not None or not is_file or not has_cases(chosen) else chosen
    named = located if table is None else _with_cases(located, table, notes)
    # The published partitions know the data set's own cases.
    known = [(each.image.case_id, each.file_name) for each in (named if is_file else located)]
    splits, origin = assign_splits(dataset, known, chosen, partitions)
    within_cases = is_within_cases(dataset, chosen)
    check_cases(chosen, [(each.image.case_id, each.file_name) for each in named], splits, within_cases=within_cases)
    return named, splits, origin


def _with_cases(located: Sequence[_Located], table: str | os.PathLike[str], notes: list[str]) -> list[_Located]:
    case_ids = cases_of(table, [each.file_name for each in located])
    notes.append(f'{len(set(case_ids))} cases of {len(case_ids)} images, as {Path(table).name} says')
    return [
        replace(
            each,
            image=replace(
                each.image,
                case_id=case_id,
                extra={key: value for key, value in each.image.extra.items() if key != 'case_known'},
            ),
        )
        for each, case_id in zip(located, case_ids)
    ]


def _onto_edges(figures: list[SourceFigure], each: _Located, edge_px: float, notes: list[str]) -> list[SourceFigure]:
    """Move points that lie just outside of an image whose size is known onto its outermost pixels."""
    if not edge_px or each.width is None or each.height is None:
        return figures
    size = {'width': each.width, 'height': each.height}
    kept = []
    for figure in figures:
        x, y = min(max(figure.x, 0), each.width - 1), min(max(figure.y, 0), each.height - 1)
        is_near = max(abs(figure.x - x), abs(figure.y - y)) <= edge_px
        if is_near and not coco.is_inside((figure.x, figure.y), size):
            notes.append(
                f'{each.file_name}: the point x={figure.x:g}, y={figure.y:g} lies just outside the {each.width} x '
                f'{each.height} px and is moved to x={x:g}, y={y:g}'
            )
            figure = replace(figure, x=x, y=y)
        kept.append(figure)
    return kept


def _numbers(given: Sequence[int | None]) -> list[int]:
    """Keep the given ids and number the entries that have none; renumber everything if two share an id."""
    known = [number for number in given if number is not None]
    if len(set(known)) < len(known):
        return list(range(1, len(given) + 1))
    free = itertools.count(max(known, default=0) + 1)
    return [next(free) if number is None else number for number in given]


def _taken_over(document: dict[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    before = base.get('info', {})
    origin = before.get('mitouts', {})
    info = document['info']['mitouts']
    provenance = {
        **origin,
        **info,
        'seed': origin.get('seed'),
        'exported_from': {key: origin[key] for key in ('name', 'tool', 'arguments', 'notes') if key in origin},
    }
    return {
        **base,
        **document,
        'info': {**document['info'], **before, 'mitouts': provenance},
        'categories': base['categories'],
    }


def _image_entry(
    each: _Located, image_id: int, figures: Sequence[SourceFigure], split: str | None, mpp: float | None
) -> dict[str, Any]:
    extra = dict(each.image.extra)
    if split is not None:
        extra['split'] = split
    width, height = each.width or 1, each.height or 1
    if each.width is None or each.height is None:
        extra['size_known'] = False
    if extra.get('size_known') is False:
        width = max([width, *(math.ceil(figure.x) + 1 for figure in figures)])
        height = max([height, *(math.ceil(figure.y) + 1 for figure in figures)])
    image = coco.make_image(
        image_id,
        each.file_name,
        width,
        height,
        case_id=each.image.case_id,
        mpp=each.mpp if mpp is None else mpp,
    )
    return {**image, **extra}


def _odd(images: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]) -> list[str]:
    """List oddities of the result that the user should know."""
    notes = []
    unknown = sum(image.get('size_known', True) is False for image in images)
    if unknown:
        notes.append(
            f'{unknown} of {len(images)} images have no size in the label file and are taken as large as their points '
            'need: give --image-root once the images are there'
        )
    own = sum(image.get('case_known', True) is False for image in images)
    if own:
        notes.append(
            f'{own} of {len(images)} images are taken for a case each, because the labels name none: where one patient '
            'gave several, say so with --cases TABLE (file_name, case_id), or intervals over cases are too narrow'
        )
    without_mpp = sum(image['mpp'] is None for image in images)
    if without_mpp:
        notes.append(f'{without_mpp} of {len(images)} images have no known resolution (mpp): give --mpp if you know it')
    by_id = {image['id']: image for image in images}
    outside = [entry for entry in annotations if not coco.is_inside(entry['point'], by_id[entry['image_id']])]
    if outside:
        names = listed([entry.get('source_uid', entry['id']) for entry in outside])
        notes.append(
            f'{len(outside)} of {len(annotations)} points lie outside their image ({names}): they stay in the '
            'file, and are left out with a warning wherever it is read'
        )
    return notes
