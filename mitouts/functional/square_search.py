"""Finds the square of a given size with most points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def hottest_corner(xy: FloatArray, side_px: float) -> tuple[float, float]:
    """Find the square with most points among those with a point's x as left and a point's y as upper side.

    A sweep over x keeps, for every such upper side, the points inside; a point that enters or leaves changes one run of
    them. Memory is O(n); time is O(n^2) in the worst case, n vector operations of up to n elements.

    Args:
        xy: ``(N, 2)`` float64, at least one point.
        side_px: Side of the square, in the points' unit.

    Returns:
        The upper left corner; of several, that with the smallest x, then y.
    """
    order = np.argsort(xy[:, 0], kind='stable')
    x, y = xy[order].T
    tops = np.unique(y)
    # The run of upper sides whose region holds the point: the same comparisons as in Roi.contains.
    firsts = np.searchsorted(tops + side_px, y, 'left').tolist()
    lasts = np.searchsorted(tops, y, 'right').tolist()
    lefts, leaving = np.unique(x, return_index=True)
    entering = np.searchsorted(x, lefts + side_px, 'right')
    # Half the bytes is half the time.
    inside = np.zeros(len(tops), dtype=np.int32)
    best, best_left, best_top = 0, 0, 0
    left_of, right_of = 0, 0
    for index, (gone, come) in enumerate(zip(leaving.tolist(), entering.tolist())):
        for point in range(left_of, gone):
            inside[firsts[point] : lasts[point]] -= 1
        left_of = gone
        if come == right_of:
            continue
        for point in range(right_of, come):
            inside[firsts[point] : lasts[point]] += 1
        # Only where something entered can the count have risen above the best so far.
        low, high = min(firsts[right_of:come]), max(lasts[right_of:come])
        right_of = come
        top = low + int(inside[low:high].argmax())
        if inside[top] > best:
            best, best_left, best_top = int(inside[top]), index, top
    return float(lefts[best_left]), float(tops[best_top])
