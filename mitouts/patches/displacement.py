"""Moves the annotated figures of training images by a random error, so that they are as inexact as other annotations.

Where look-alikes were registered from another scanner and mitotic figures were not, a distance would tell one from the
other by the registration alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationError
from mitouts.formats.coco import BOX_PX, MITOTIC_FIGURE, is_inside
from mitouts.functional.point_error import PointError
from mitouts.utils.streams import named_stream

_MOST_DRAWS = 1000


def move_figures(document: Mapping[str, Any], error: PointError, seed: int) -> tuple[dict[str, Any], int]:
    """Move the mitotic figures of the training images.

    A shift that would lead out of the image is drawn again. Every moved annotation has its shift as ``moved_px``.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it, with splits.
        error: Distribution of the shift, in pixels of the images.
        seed: Seed of the draw.

    Returns:
        The document with moved points, and how many were moved.

    Raises:
        AnnotationError: No image is of the training.
    """
    training = {image['id']: image for image in document['images'] if image.get('split') == 'train'}
    if not training:
        raise AnnotationError(
            'a point error moves the figures of training images alone, and no image has the split train: convert the '
            'data set with --split'
        )
    generator = np.random.default_rng(named_stream('move_figures', seed))
    annotations, moved = [], 0
    for annotation in document['annotations']:
        image = training.get(annotation['image_id'])
        if image is not None and annotation['category_id'] == MITOTIC_FIGURE and is_inside(annotation['point'], image):
            annotation = _moved(annotation, image, error, generator)
            moved += 1
        annotations.append(annotation)
    return {**document, 'annotations': annotations}, moved


def _moved(
    annotation: Mapping[str, Any], image: Mapping[str, Any], error: PointError, generator: np.random.Generator
) -> dict[str, Any]:
    point = np.asarray(annotation['point'], dtype=np.float64)
    shift = _shift_inside(point, image, error, generator)
    x, y = (point + shift).tolist()
    width, height = (annotation.get('bbox') or [0, 0, BOX_PX, BOX_PX])[2:]
    return {
        **annotation,
        'point': [x, y],
        'bbox': [x - width / 2, y - height / 2, width, height],
        'moved_px': shift.tolist(),
    }


def _shift_inside(
    point: NDArray[np.float64], image: Mapping[str, Any], error: PointError, generator: np.random.Generator
) -> NDArray[np.float64]:
    for _ in range(_MOST_DRAWS):
        shift = np.round(error.draw(1, generator)[0], 4)
        if is_inside((point + shift).tolist(), image):
            return shift
    raise AnnotationError(
        f'{image["file_name"]}: no shift with a median of {error.median_px:g} px keeps the point x={point[0]:g}, '
        f'y={point[1]:g} inside the image of {image["width"]} x {image["height"]} px: ask for a smaller error'
    )


def describe_error(error: PointError, seed: int, moved: int) -> dict[str, Any]:
    """Return what an annotation file says of the error that its points were moved by."""
    return {
        'median_px': error.median_px,
        'p95_px': error.p95_px,
        'weibull_shape': round(error.shape, 4),
        'seed': seed,
        'moved': moved,
        'category_id': MITOTIC_FIGURE,
    }


def as_error(lengths_px: Sequence[float] | None) -> PointError | None:
    """Make the distribution from its median and, perhaps, its 95th percentile; None from None."""
    return None if lengths_px is None else PointError(*lengths_px)
