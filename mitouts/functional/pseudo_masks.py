"""Makes masks for annotated points, which have none of their own."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray


def disc_masks(points: ArrayLike, height: int, width: int, radius_px: float) -> NDArray[np.bool_]:
    """Draw a disc around each point; where discs meet, each pixel goes to its nearest point.

    Args:
        points: Array ``(N, 2)``, ``(x, y)`` in pixels.
        height: Image height in pixels.
        width: Image width in pixels.
        radius_px: Pixels whose centres are at most this far from the point.

    Returns:
        ``(N, height, width)``; no pixel is in two masks. Of two points at one place, the second has an empty mask.

    Raises:
        ValueError: The radius is not positive, or ``points`` is not ``(N, 2)``.
    """
    owner, distance_px = _nearest_points(points, height, width)
    return _territories(owner, distance_px, len(np.asarray(points)), radius_px)


def map_masks(
    full_map: NDArray[np.float32],
    points: ArrayLike,
    threshold: float,
    max_radius_px: float,
    fallback_radius_px: float,
) -> NDArray[np.bool_]:
    """Cut a mask around each point out of a score map.

    A point's territory are the pixels that are nearer to it than to any other point and at most ``max_radius_px``
    away. Its mask is the part within the territory of one connected component (8 neighbours) of
    ``full_map > threshold``: of the component whose pixel in the territory is nearest to the point. Where the map shows
    nothing there, the mask is the disc of ``fallback_radius_px``, as :func:`disc_masks` draws it.

    Args:
        full_map: Array ``(H, W)``, scores at image size.
        points: Array ``(N, 2)``, ``(x, y)`` in pixels.
        threshold: Cut; strict.
        max_radius_px: How far a mask reaches from its point.
        fallback_radius_px: Radius of the disc that stands in for a component.

    Returns:
        ``(N, H, W)``; no pixel is in two masks. Of two points at one place, the second has an empty mask.

    Raises:
        ValueError: A radius is not positive, or ``points`` is not ``(N, 2)``.
    """
    height, width = full_map.shape
    owner, distance_px = _nearest_points(points, height, width)
    count = len(np.asarray(points))
    territories = _territories(owner, distance_px, count, max_radius_px)
    masks = _territories(owner, distance_px, count, fallback_radius_px)
    # In float64: a threshold between two neighbouring float32 scores must stay between them.
    above = (full_map.astype(np.float64) > threshold).astype(np.uint8)
    _, labels = cv2.connectedComponents(above, connectivity=8, ltype=cv2.CV_32S)
    for index, territory in enumerate(territories):
        shown = territory & (labels > 0)
        if shown.any():
            nearest = np.where(shown, distance_px, np.inf).argmin()
            masks[index] = shown & (labels == labels.flat[nearest])
    return masks


def _nearest_points(points: ArrayLike, height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return each pixel's nearest point (its index, -1 without points) and the distance to it; both ``(H, W)``."""
    centres = np.asarray(points, dtype=np.float64)
    if centres.ndim != 2 or centres.shape[1] != 2:
        raise ValueError(f'expected points (N, 2), found {centres.shape}')
    owner = np.full((height, width), -1, dtype=np.intp)
    nearest_sq = np.full((height, width), np.inf)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    for index, (x, y) in enumerate(centres):
        distance_sq = (columns - x) ** 2 + (rows - y) ** 2
        closer = distance_sq < nearest_sq
        owner[closer] = index
        nearest_sq[closer] = distance_sq[closer]
    return owner, np.sqrt(nearest_sq)


def _territories(
    owner: NDArray[np.intp], distance_px: NDArray[np.float64], count: int, radius_px: float
) -> NDArray[np.bool_]:
    if not radius_px > 0:
        raise ValueError(f'the radius must be above 0 px, found {radius_px}')
    return (owner == np.arange(count)[:, None, None]) & (distance_px <= radius_px)
