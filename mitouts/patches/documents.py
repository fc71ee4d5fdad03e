"""Makes the annotation files of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mitouts.errors import AnnotationError
from mitouts.formats import coco
from mitouts.formats.leakage import WITHIN_CASES_KEY
from mitouts.formats.splits import SPLITS
from mitouts.patches import worker
from mitouts.patches.images import POINT_ERROR_KEY, ImagePlan, Options

TOOL = 'prepare_patches'
NO_SPLIT_NAME = 'all'


def split_names(document: Mapping[str, Any]) -> list[str]:
    """Return the splits of an annotation file, in order; ``all`` if the images have none.

    Raises:
        AnnotationError: A split has another name.
    """
    named = [image.get('split') or NO_SPLIT_NAME for image in document['images']]
    names = {name for name in named if isinstance(name, str)}
    unknown = (
        sorted(names - {*SPLITS, NO_SPLIT_NAME}) + [f'{name!r:.40}' for name in named if name not in (*names,)][:5]
    )
    if unknown:
        raise AnnotationError(f'images[].split must be one of {", ".join(SPLITS)}, found {", ".join(unknown)}')
    return [split for split in (*SPLITS, NO_SPLIT_NAME) if split in names]


def make_documents(
    source: Mapping[str, Any],
    plans: Sequence[ImagePlan],
    steps: Sequence[Mapping[str, Any]],
    stamp: Mapping[str, Any],
    description: Mapping[str, Any] | None,
    options: Options,
) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    rows = {(step['image_id'], step['y']): step for step in steps if 'y' in step}
    images: dict[str, list[dict[str, Any]]] = {split: [] for split in split_names(source)}
    annotations: dict[str, list[dict[str, Any]]] = {split: [] for split in images}
    counts = {'patches': 0, 'skipped': 0, 'unchanged': 0, 'figures': 0}
    for plan in plans:
        split = plan.entry.get('split') or NO_SPLIT_NAME
        for y in plan.grid.rows_px.tolist():
            step = rows[plan.entry['id'], y]
            counts['skipped'] += len(step['skipped'])
            counts['unchanged'] += len(step['unchanged'])
            for x in step['written']:
                counts['patches'] += 1
                images[split].append(_image(plan, counts['patches'], x, y, options.patch_px))
                for figure in plan.figures.get((x, y), ()):
                    counts['figures'] += figure.counted
                    annotations[split].append(
                        coco.make_annotation(
                            len(annotations[split]) + 1,
                            counts['patches'],
                            figure.source['category_id'],
                            figure.x,
                            figure.y,
                            **figure.annotation_keys(),
                        )
                    )
    origin = source['info'].get('mitouts', {})
    name = origin.get('name') or source['info'].get('description') or 'data set'
    declared = {key: origin[key] for key in (WITHIN_CASES_KEY, POINT_ERROR_KEY) if key in origin}
    documents = {
        split: {
            **coco.make_document(
                images[split],
                annotations[split],
                name=f'{name}, {split}' if split != NO_SPLIT_NAME else str(name),
                tool=TOOL,
                arguments=stamp,
                stain_reference=None if description is None else {**description, 'fit': options.fit},
                figures_in_no_patch=sum(
                    plan.lost for plan in plans if (plan.entry.get('split') or NO_SPLIT_NAME) == split
                ),
                **declared,
            ),
            'categories': list(source['categories']),
        }
        for split in images
    }
    return documents, counts


def _image(plan: ImagePlan, image_id: int, x: int, y: int, patch_px: int) -> dict[str, Any]:
    replaced = {'id', 'file_name', 'width', 'height', 'case_id', 'mpp', 'size_known'}
    # Of an image that is a patch itself.
    replaced |= {'source_image', 'source_xy_px', 'source_downsample'}
    if not plan.grid.is_whole:
        # The label of an image is not that of a part of it, and its parts are of one case, also where nobody named it.
        replaced |= {'label', 'case_known'}
    extra = {key: value for key, value in plan.entry.items() if key not in replaced}
    return coco.make_image(
        image_id,
        worker.patch_name(plan.folder, x, y),
        patch_px,
        patch_px,
        case_id=plan.entry['case_id'],
        mpp=plan.mpp,
        **extra,
        source_image=plan.entry['file_name'],
        source_xy_px=[x, y],
        source_downsample=plan.downsample,
    )
