"""Finds a point that stands for the area inside an outline."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_NUM_LINES = 40
# Nearer to an edge, as a share of the outline's extent, another point may stand for the area better.
_NEAR_EDGE = 0.02
_NO_WIDTH = 1e-9


def interior_point(outline_xy: ArrayLike, preferred_xy: ArrayLike | None = None) -> tuple[float, float]:
    """Find the centroid of an outline, or another point inside where the centroid lies outside or at an edge.

    The centroid (shoelace formula) of a crescent lies outside it, and that of an outline that crosses itself can lie
    anywhere, because parts that run the other way round count as negative areas. If it is not well inside, horizontal
    lines are drawn across the outline, and of the midpoints of their inner sections the one farthest from all edges is
    returned. A point is inside if an odd number of edges separates it from the outside.

    Args:
        outline_xy: ``(N, 2)`` corners ``(x, y)``, the first one repeated at the end or not.
        preferred_xy: Point that is tried instead of the centroid.

    Returns:
        ``(x, y)``, the mean of the corners where the outline has no area.
    """
    corners = np.asarray(outline_xy, dtype=np.float64).reshape(-1, 2)
    # Relative to a corner, so that few digits are lost far from the origin.
    origin = corners[0]
    corners = corners - origin
    extent = float(np.ptp(corners, axis=0).max())
    point = _centroid(corners) if preferred_xy is None else np.asarray(preferred_xy, dtype=np.float64) - origin
    if point is None or not _is_inside(point, corners) or _clearance(point, corners) < _NEAR_EDGE * extent:
        candidates = _candidates(corners, _NO_WIDTH * extent)
        if len(candidates):
            point = candidates[np.argmax([_clearance(candidate, corners) for candidate in candidates])]
        else:
            point = corners.mean(axis=0)
    x, y = point + origin
    return float(x), float(y)


def _centroid(corners: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the centroid by signed areas; None if they cancel."""
    following = np.roll(corners, -1, axis=0)
    crosses = corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]
    doubled = crosses.sum()
    if abs(doubled) <= 1e-12 * np.abs(crosses).sum():
        return None
    return ((corners + following) * crosses[:, None]).sum(axis=0) / (3 * doubled)


def _is_inside(point: NDArray[np.float64], corners: NDArray[np.float64]) -> bool:
    return np.count_nonzero(_crossings(point[1], corners) < point[0]) % 2 == 1


def _candidates(corners: NDArray[np.float64], least_width: float) -> NDArray[np.float64]:
    """Return the midpoints ``(N, 2)`` of the inner sections of horizontal lines.

    The lines lie between corners and evenly over the whole height.
    """
    heights = np.unique(corners[:, 1])
    steps = np.diff(heights)
    tallest = np.argsort(-steps, kind='stable')[:_NUM_LINES]
    evenly = heights[0] + (np.arange(_NUM_LINES) + 0.5) / _NUM_LINES * np.ptp(heights)
    middles = []
    for y in [*(heights[tallest] + steps[tallest] / 2), *evenly]:
        crossings = _crossings(y, corners)
        pairs = zip(crossings[::2], crossings[1::2])
        middles += [((left + right) / 2, y) for left, right in pairs if right - left > least_width]
    return np.array(middles, dtype=np.float64).reshape(-1, 2)


def _clearance(point: NDArray[np.float64], corners: NDArray[np.float64]) -> float:
    """Return the distance of a point from the nearest edge."""
    edges = np.roll(corners, -1, axis=0) - corners
    lengths = (edges**2).sum(axis=1)
    along = ((point - corners) * edges).sum(axis=1) / np.where(lengths, lengths, 1)
    nearest = corners + np.clip(along, 0, 1)[:, None] * edges
    return float(np.hypot(*(nearest - point).T).min())


def _crossings(y: float, corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where edges cross a horizontal line, left to right; a corner on the line belongs to the edge below it."""
    following = np.roll(corners, -1, axis=0)
    crosses = (corners[:, 1] > y) != (following[:, 1] > y)
    (x, top), (next_x, bottom) = corners[crosses].T, following[crosses].T
    return np.sort(x + (y - top) / (bottom - top) * (next_x - x))
