"""The rectangle of a given size with most weight, over all positions or over those of a lattice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def hottest_corner(xy: FloatArray, steps: IntArray, width_px: float, height_px: float) -> tuple[float, float]:
    """Find the rectangle with most weight among those with a point's x as left and a point's y as upper side.

    A sweep over x keeps, for every such upper side, the weight inside; a point that enters or leaves changes one run of
    them. Memory is O(n); time is O(n^2) in the worst case, n vector operations of up to n elements.

    Args:
        xy: ``(N, 2)`` float64, at least one point.
        steps: ``(N,)`` int64, weights from 1.
        width_px: Width of the rectangle, in the points' unit.
        height_px: Its height.

    Returns:
        The upper left corner; of several, that with the smallest x, then y.
    """
    order = np.argsort(xy[:, 0], kind='stable')
    x, y = xy[order].T
    tops = np.unique(y)
    # The run of upper sides whose region holds the point: the same comparisons as in Roi.contains.
    firsts = np.searchsorted(tops + height_px, y, 'left').tolist()
    lasts = np.searchsorted(tops, y, 'right').tolist()
    lefts, leaving = np.unique(x, return_index=True)
    entering = np.searchsorted(x, lefts + width_px, 'right')
    # Half the bytes is half the time.
    inside: NDArray[Any] = np.zeros(len(tops), dtype=np.int32 if steps.max() == 1 else np.int64)
    gains = steps[order].tolist()
    best, best_left, best_top = 0, 0, 0
    left_of, right_of = 0, 0
    for index, (gone, come) in enumerate(zip(leaving.tolist(), entering.tolist())):
        for point in range(left_of, gone):
            inside[firsts[point] : lasts[point]] -= gains[point]
        left_of = gone
        if come == right_of:
            continue
        for point in range(right_of, come):
            inside[firsts[point] : lasts[point]] += gains[point]
        # Only where something entered can the weight have risen above the best so far.
        low, high = min(firsts[right_of:come]), max(lasts[right_of:come])
        right_of = come
        top = low + int(inside[low:high].argmax())
        if inside[top] > best:
            best, best_left, best_top = int(inside[top]), index, top
    return float(lefts[best_left]), float(tops[best_top])


def lattice(length_px: float, roi_px: float, step_px: float) -> FloatArray:
    """Starts of intervals of ``roi_px`` along an axis: multiples of the step, and the last one that fits."""
    last = length_px - roi_px
    if last < 0:
        return np.zeros(0)
    starts = np.arange(math.floor(last / step_px) + 1, dtype=np.float64) * step_px
    return np.concatenate([starts[starts < last], [last]])


def weight_on_lattice(
    points: FloatArray, steps: IntArray, lefts: FloatArray, tops: FloatArray, width_px: float, height_px: float
) -> IntArray:
    """Sum the weight inside each rectangle of a lattice: every point adds to one block of positions.

    Args:
        points: ``(N, 2)`` float64.
        steps: ``(N,)`` int64, weights.
        lefts: ``(A,)`` left sides, ascending.
        tops: ``(B,)`` upper sides, ascending.
        width_px: Width of the rectangles, in the points' unit.
        height_px: Their height.

    Returns:
        ``(A, B)`` int64.
    """
    x, y = points.T
    block = [
        np.searchsorted(lefts + width_px, x, 'left'),
        np.searchsorted(lefts, x, 'right'),
        np.searchsorted(tops + height_px, y, 'left'),
        np.searchsorted(tops, y, 'right'),
    ]
    corners = np.zeros((len(lefts) + 1, len(tops) + 1), dtype=np.int64)
    left, right, top, bottom = block
    for column, row, sign in ((left, top, 1), (right, top, -1), (left, bottom, -1), (right, bottom, 1)):
        np.add.at(corners, (column, row), sign * steps)
    return corners.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
