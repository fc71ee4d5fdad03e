"""Estimates how far a weakly trained map is shifted from the figures, without any annotated point.

Image labels do not say where a figure is. A network whose maximum falls a constant vector beside every figure fits
them as well as one that falls on it, as long as the receptive field still covers the figure. That vector belongs to
the network's own frame, so it can be measured: turning the image by half a turn turns the figures but not the vector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MIN_IMAGES = 10


def estimate_drift(
    points_xy: ArrayLike,
    turned_xy: ArrayLike,
    sizes_px: ArrayLike,
    *,
    max_drift_px: float = np.inf,
    max_spread_px: float = np.inf,
) -> NDArray[np.float64]:
    """Estimate the constant displacement of a network's points from images and the same images turned by 180 degrees.

    A figure at ``t`` is predicted at ``p = t + d``; in the turned image it lies at ``s - 1 - t`` and is predicted at
    ``q = s - 1 - t + d``, so ``d = (p + q - (s - 1)) / 2``. The median over images is not moved by those in which the
    two predictions are of different figures.

    Args:
        points_xy: Array ``(N, 2)``, one point an image, in pixels.
        turned_xy: Array ``(N, 2)``, the point of the turned image, in pixels of the turned image.
        sizes_px: Array ``(N, 2)``, width and height of each image.
        max_drift_px: A longer drift is rejected; a cell that sees a figure is within the receptive radius of it.
        max_spread_px: A drift with a larger median absolute deviation from the median along an axis is rejected.

    Returns:
        ``(dx, dy)`` in pixels; zeros if the drift is rejected or there are fewer than 10 images.
    """
    points, turned, sizes = (
        np.asarray(pairs, dtype=np.float64).reshape(-1, 2) for pairs in (points_xy, turned_xy, sizes_px)
    )
    if len(points) < _MIN_IMAGES:
        return np.zeros(2)
    shifts = (points + turned - (sizes - 1)) / 2
    drift = np.median(shifts, axis=0)
    spread = np.median(np.abs(shifts - drift), axis=0)
    if np.hypot(*drift) > max_drift_px or spread.max() > max_spread_px:
        return np.zeros(2)
    return drift


def remove_drift(points: NDArray[np.float64], drift_px: ArrayLike, width: int, height: int) -> NDArray[np.float64]:
    """Move points ``(N, 3)`` back by the drift, and keep them inside the image."""
    moved = points.copy()
    moved[:, :2] = np.clip(points[:, :2] - np.asarray(drift_px, dtype=np.float64), 0, [width - 1, height - 1])
    return moved
