"""COCO's average precision of equal square boxes around points.

The numbers are those of pycocotools' ``COCOeval`` for one category, all areas and at most 100 detections an image: the
mean over the intersections over union .50, .55 to .95 of the precision interpolated at 101 recalls (Lin et al. 2014,
"Microsoft COCO: Common Objects in Context").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

IOU_THRESHOLDS: FloatArray = np.linspace(0.5, 0.95, 10)
RECALLS: FloatArray = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100


def box_average_precision(
    points: Sequence[ArrayLike],
    truths: Sequence[ArrayLike],
    ignored: Sequence[ArrayLike] | None = None,
    *,
    box_px: float = 50.0,
) -> dict[str, float | None]:
    """Average precision of the square boxes centred on predicted points against those around annotated ones.

    Args:
        points: ``(P, 3)`` predicted points ``(x, y, score)`` in pixels, an array for each image.
        truths: ``(G, 2)`` annotated points in pixels, an array for each image.
        ignored: ``(I, 2)`` points in pixels, an array for each image; their boxes are COCO's crowd regions: a detection
            that matches nothing else and has its IoU threshold's share inside of one is neither true nor false.
        box_px: Side of all boxes in pixels.

    Returns:
        ``ap``, the mean over all IoU thresholds, and ``ap50``, that at 0.5; None where nothing is annotated.

    Raises:
        ValueError: The sequences differ in length, an array has a wrong shape or holds NaN, or ``box_px`` is not
            positive.
    """
    if not box_px > 0:
        raise ValueError(f'box_px must be positive, found {box_px}')
    ignored = [np.zeros((0, 2))] * len(truths) if ignored is None else ignored
    if not len(points) == len(truths) == len(ignored):
        raise ValueError(
            f'expected as many arrays of points as of truths and ignored points, found {len(points)}, {len(truths)} '
            f'and {len(ignored)}'
        )
    nothing = np.zeros((len(IOU_THRESHOLDS), 0), dtype=bool)
    scores, all_true, all_false, num_truths = [np.zeros(0)], [nothing], [nothing], 0
    for predicted, annotated, crowd in zip(points, truths, ignored, strict=True):
        rows, truth_xy, crowd_xy = _rows(predicted, 3), _rows(annotated, 2), _rows(crowd, 2)
        rows = rows[np.argsort(-rows[:, 2], kind='stable')][:MAX_DETECTIONS]
        true, false = _judge(rows[:, :2], truth_xy, crowd_xy, box_px)
        scores.append(rows[:, 2])
        all_true.append(true)
        all_false.append(false)
        num_truths += len(truth_xy)
    if not num_truths:
        return {'ap': None, 'ap50': None}
    order = np.argsort(-np.concatenate(scores), kind='stable')
    true, false = (np.concatenate(parts, axis=1)[:, order] for parts in (all_true, all_false))
    precisions = [_interpolated_precision(*pair, num_truths) for pair in zip(true, false, strict=True)]
    return {'ap': float(np.mean(precisions)), 'ap50': precisions[0]}


def _rows(values: ArrayLike, columns: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, columns))
    if array.ndim != 2 or array.shape[1] != columns or np.isnan(array).any():
        raise ValueError(f'expected points of shape (N, {columns}) without NaN, found {array.shape}')
    return array


def _judge(xy: FloatArray, truth_xy: FloatArray, crowd_xy: FloatArray, box_px: float) -> tuple[BoolArray, BoolArray]:
    """COCO's greedy matching in one image, at all IoU thresholds at once.

    Detections choose in the order given: each takes the free truth with the largest IoU, of equals the last, and where
    none is left a crowd region, which any number of detections may share.

    Returns:
        Two arrays ``(10, P)``: true and false detections; what only matches a crowd region is neither.
    """
    thresholds = IOU_THRESHOLDS[:, None]
    iou = _overlap(xy, truth_xy, box_px, crowd=False)
    excused = _overlap(xy, crowd_xy, box_px, crowd=True).max(axis=1, initial=0.0) >= thresholds
    true = np.zeros((len(thresholds), len(xy)), dtype=bool)
    taken = np.zeros((len(thresholds), len(truth_xy)), dtype=bool)
    for index in np.flatnonzero(iou.max(axis=1, initial=0.0) >= IOU_THRESHOLDS[0]):
        free = np.where(~taken & (iou[index] >= thresholds), iou[index], 0.0)
        best = free.shape[1] - 1 - free[:, ::-1].argmax(axis=1)
        found = np.flatnonzero(free.max(axis=1) > 0)
        taken[found, best[found]] = True
        true[found, index] = True
    return true, ~true & ~excused


def _overlap(xy: FloatArray, other_xy: FloatArray, box_px: float, *, crowd: bool) -> FloatArray:
    """``(P, G)`` intersection over union, or over the box's own area where the other one is a crowd region."""
    # From corners, not from the distance of the centres, so that rounding at a threshold falls as in pycocotools.
    corner, other_corner = xy[:, None] - box_px / 2, other_xy[None] - box_px / 2
    sides = np.minimum(corner + box_px, other_corner + box_px) - np.maximum(corner, other_corner)
    shared = np.prod(np.maximum(sides, 0.0), axis=2)
    area = box_px * box_px
    return shared / (area if crowd else area + area - shared)


def _interpolated_precision(true: BoolArray, false: BoolArray, num_truths: int) -> float:
    """Mean over :data:`RECALLS` of the highest precision at that recall or a higher one, 0 where none is reached."""
    num_true, num_false = np.cumsum(true), np.cumsum(false)
    precision = num_true / np.maximum(num_true + num_false, 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    position = np.searchsorted(num_true / num_truths, RECALLS, side='left')
    return float(np.append(highest, 0.0)[position].mean())
