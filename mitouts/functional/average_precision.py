"""Computes COCO's average precision of equal square boxes around points, by pycocotools' ``COCOeval``.

One category, all areas, at most 100 detections an image (Lin et al. 2014, "Microsoft COCO: Common Objects in Context").
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mitouts.functional.point_arrays import as_points

_ALL_AREAS = [0.0, 1e10]
_MAX_DETECTIONS = 100


def box_average_precision(
    points: Sequence[ArrayLike],
    truths: Sequence[ArrayLike],
    ignored: Sequence[ArrayLike] | None = None,
    *,
    box_px: float = 50.0,
) -> dict[str, float | None]:
    """Compute the average precision of square boxes centred on predicted points against boxes around annotated ones.

    Args:
        points: ``(P, 3)`` predicted points ``(x, y, score)`` in pixels, an array for each image.
        truths: ``(G, 2)`` annotated points in pixels, an array for each image.
        ignored: ``(I, 2)`` points in pixels, an array for each image; their boxes are COCO's crowd regions: a detection
            that matches nothing else and has its IoU threshold's share inside of one is neither true nor false.
        box_px: Side of all boxes in pixels.

    Returns:
        ``ap``, the mean over the IoU thresholds .50, .55 to .95, and ``ap50``, that at 0.5; None where nothing is
        annotated.

    Raises:
        ValueError: The sequences differ in length, an array has a wrong shape or holds a number that is not finite,
            or ``box_px`` is not positive.
    """
    if not box_px > 0:
        raise ValueError(f'box_px must be positive, found {box_px}')
    ignored = [[]] * len(truths) if ignored is None else ignored
    if not len(points) == len(truths) == len(ignored):
        raise ValueError(
            f'expected as many arrays of points as of truths and ignored points, found {len(points)}, {len(truths)} '
            f'and {len(ignored)}'
        )
    detections = [
        {**_box(row[:2], image_id, box_px), 'score': row[2]}
        for image_id, predicted in enumerate(points)
        for row in as_points(predicted, 3)
    ]
    annotations = [
        {**_box(xy, image_id, box_px), 'iscrowd': int(is_crowd)}
        for image_id, both in enumerate(zip(truths, ignored, strict=True))
        for is_crowd, rows in enumerate(both)
        for xy in as_points(rows)
    ]
    if all(annotation['iscrowd'] for annotation in annotations):
        return {'ap': None, 'ap50': None}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(annotations, len(points)), _coco(detections, len(points)), 'bbox')
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [_ALL_AREAS], ['all']
        evaluation.params.maxDets = [_MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval['precision']
    return {'ap': float(precision.mean()), 'ap50': float(precision[0].mean())}


def _box(xy: NDArray[np.float64], image_id: int, box_px: float) -> dict[str, Any]:
    corner = (xy - box_px / 2).tolist()
    return {'bbox': [*corner, box_px, box_px], 'area': box_px**2, 'image_id': image_id, 'category_id': 1}


def _coco(annotations: Sequence[dict[str, Any]], num_images: int) -> COCO:
    document = COCO()
    document.dataset = {
        'images': [{'id': image_id} for image_id in range(num_images)],
        # An id of 0 would count as unmatched.
        'annotations': [{**annotation, 'id': number} for number, annotation in enumerate(annotations, start=1)],
        'categories': [{'id': 1}],
    }
    document.createIndex()
    return document
