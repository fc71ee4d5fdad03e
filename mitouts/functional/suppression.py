"""Reduces points to one per figure: non-maximum suppression by distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def suppress_by_distance(points: NDArray[np.float64], radius_px: float) -> NDArray[np.int64]:
    """Return the points that remain when each point suppresses the weaker ones around it.

    Greedy, as for boxes: the strongest point is kept, all within the radius of it go, the strongest of the rest is
    kept, and so on. Of equal scores the first goes first.

    Args:
        points: Array ``(N, 3)`` of ``(x, y, score)``, in any order.
        radius_px: Largest distance that is suppressed, inclusive.

    Returns:
        Indices ``(K,)`` of the points kept, int64, by descending score. No two of them are within the radius, and
        each other point is within it of a point kept that is at least as strong.

    Raises:
        ValueError: The radius is negative, or a coordinate or score is not finite.

    >>> suppress_by_distance(np.array([[0, 0, 0.5], [3, 0, 0.9], [9, 0, 0.4]]), radius_px=5).tolist()
    [1, 2]
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    if not radius_px >= 0:
        raise ValueError(f'radius_px must be at least 0, found {radius_px}')
    if not np.isfinite(points).all():
        raise ValueError('points must be finite')
    order = np.argsort(-points[:, 2], kind='stable')
    if len(points) < 2:
        return order.astype(np.int64)
    tree = cKDTree(points[:, :2])
    # The tree may differ from the exact comparison in the last bit, so it only narrows the choice down.
    near = tree.query_ball_point(points[:, :2], radius_px * (1 + 1e-9) + 1e-9)
    is_out = np.zeros(len(points), dtype=bool)
    kept = []
    for index in order:
        if is_out[index]:
            continue
        kept.append(index)
        around = np.array(near[index])
        offsets = points[around, :2] - points[index, :2]
        is_out[around[np.hypot(offsets[:, 0], offsets[:, 1]) <= radius_px]] = True
    return np.array(kept, dtype=np.int64)
