"""Finds the best threshold for a set of images on those very images: an upper bound for any rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.localization import froc_curve, precision_recall_f1
from mitouts.functional.matching import has_neighbour, pairs_within

FloatArray = NDArray[np.float64]


def best_threshold(
    points: Sequence[FloatArray],
    truths: Sequence[FloatArray],
    *,
    radius_px: float,
    protocol: str = 'one_to_one',
    ignored: Sequence[FloatArray],
) -> float:
    """Find the threshold with the largest F1; the highest of several.

    The points are those of a run's predictions: of a score map components above the run's own threshold and peaks below
    it, so that its own counts are among the candidates. Under ``one_to_one`` these are compared by the greedy matching
    of :func:`mitouts.functional.localization.froc_curve`, which may find slightly less than the largest matching.

    Args:
        points: ``(P, 3)`` predicted points ``(x, y, score)`` in pixels, an array for each image.
        truths: ``(G, 2)`` annotated points in pixels, an array for each image.
        radius_px: The largest distance of a hit in pixels, inclusive.
        protocol: ``one_to_one`` or ``presence``.
        ignored: ``(I, 2)`` places where a prediction is neither true nor false, an array for each image.

    Returns:
        A threshold; a point counts when its score is above it.
    """
    if protocol == 'presence':
        thresholds, precision, recall = _presence(points, truths, radius_px, ignored)
    else:
        curve = froc_curve(points, truths, radius_px=radius_px, ignored=ignored)
        thresholds, precision, recall = curve.thresholds, curve.precision, curve.sensitivity
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return float(thresholds[np.argmax(f1)])


def _presence(
    points: Sequence[FloatArray], truths: Sequence[FloatArray], radius_px: float, ignored: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return thresholds ``(T,)``, descending, with precision and recall of the points above each."""
    predicted = [array[:, :2] for array in points]
    scores = np.concatenate([np.zeros(0), *(array[:, 2] for array in points)])
    hits = has_neighbour(predicted, truths, radius_px)
    false = ~hits & ~has_neighbour(predicted, ignored, radius_px)
    # A figure is found as long as the highest score near it is above the threshold.
    reached = _highest_near(points, truths, radius_px)
    levels = np.unique(scores)[::-1]
    thresholds = np.append(levels, np.nextafter(levels[-1], -np.inf)) if len(levels) else np.zeros(1)
    tp, fp = _above(scores[hits], thresholds), _above(scores[false], thresholds)
    fn = len(reached) - _above(reached, thresholds)
    precision, recall, _ = precision_recall_f1(tp, fp, fn)
    return thresholds, precision, recall


def _highest_near(points: Sequence[FloatArray], truths: Sequence[FloatArray], radius_px: float) -> FloatArray:
    """Return the highest score within the radius of each annotated point, image after image; -inf if there is none."""
    near = pairs_within([array[:, :2] for array in points], truths, radius_px)
    scores, first_point = _stacked([array[:, 2] for array in points])
    reached, first_truth = _stacked([np.full(len(array), -np.inf) for array in truths])
    found = scores[first_point[near.image_index] + near.pred_index]
    np.maximum.at(reached, first_truth[near.image_index] + near.truth_index, found)
    return reached


def _stacked(values: Sequence[FloatArray]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Concatenate arrays; returns the result and the start of each array in it."""
    sizes = np.array([len(array) for array in values], dtype=np.int64)
    return np.concatenate([np.zeros(0), *values]), np.cumsum(sizes) - sizes


def _above(values: FloatArray, thresholds: FloatArray) -> NDArray[np.int64]:
    ascending = np.sort(values)
    return len(ascending) - np.searchsorted(ascending, thresholds, side='right')
