"""Reads points out of a score map."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.functional.drift import remove_drift
from mitouts.functional.geometry import CellPlaces, FeatureGeometry, blend_cells, place_pixels, upsample_map
from mitouts.functional.points import Centroid, map_peaks, mask_components, strongest_first


class MapPoints(NamedTuple):
    """Points of a map, both ``(N, 3)`` float64, ``(x, y, score)`` in pixels, descending by score.

    Attributes:
        points: The components at the map threshold, which are the prediction, followed by the weaker peaks, which a
            lower threshold would find.
        peaks: The peaks at every score, which depend on no threshold; None where they were not asked for.
    """

    points: NDArray[np.float64]
    peaks: NDArray[np.float64] | None


def read_map(
    score_map: NDArray[np.float32],
    height: int,
    width: int,
    geometry: FeatureGeometry,
    *,
    map_threshold: float,
    min_score: float | None = 0.01,
    min_area_px: int = 1,
    centroid: Centroid = 'geometric',
    drift_px: ArrayLike = (0.0, 0.0),
    is_large: bool = False,
) -> MapPoints:
    """Read the predicted points at a threshold, and the peaks that curves over all thresholds are drawn from.

    Args:
        score_map: Array ``(h, w)``, probabilities at network resolution; may be memory-mapped where ``is_large``.
        height: Image height in pixels.
        width: Image width in pixels.
        geometry: Where the cells of the map lie.
        map_threshold: Cut of the up-sampled map; strict.
        min_score: Weakest peak that is kept; None reads no peaks.
        min_area_px: Smaller components are left out.
        centroid: See :func:`mitouts.functional.points.mask_components`.
        drift_px: Subtracted from all points, see :mod:`mitouts.functional.drift`.
        is_large: Never up-sample the whole map, which would not fit into memory.
    """
    if is_large:
        components = _large_map_components(
            score_map, height, width, geometry, map_threshold, min_area_px=min_area_px, centroid=centroid
        )
    else:
        full = upsample_map(score_map, height, width, geometry)
        components = mask_components(full, map_threshold, min_area_px=min_area_px, centroid=centroid)
    points, peaks = components, None
    if min_score is not None:
        peaks = map_peaks(score_map, geometry, height, width, min_score)
        points = np.concatenate([components, peaks[peaks[:, 2] <= map_threshold]])
        peaks = remove_drift(peaks, drift_px, width, height)
    return MapPoints(remove_drift(points, drift_px, width, height), peaks)


def _large_map_components(
    score_map: NDArray[np.float32],
    height: int,
    width: int,
    geometry: FeatureGeometry,
    threshold: float,
    *,
    min_area_px: int,
    centroid: Centroid,
) -> NDArray[np.float64]:
    """Find the points of :func:`mitouts.functional.points.mask_components`, one group of cells at a time.

    A pixel of the up-sampled map is above the threshold only if one of the four cells around it is. So a component lies
    within the cells above the threshold and their neighbours, and groups of such cells that do not touch can be
    up-sampled by themselves.
    """
    # In float32 the threshold may be rounded up to a score that is above it: a hair lower, no cell is passed over.
    hot = (np.asarray(score_map) > np.nextafter(np.float32(threshold), np.float32(-np.inf))).astype(np.uint8)
    around = cv2.dilate(hot, np.ones((3, 3), np.uint8))
    _, groups, boxes, _ = cv2.connectedComponentsWithStats(around, connectivity=8, ltype=cv2.CV_32S)
    parts = [np.zeros((0, 3))]
    for group in range(1, len(boxes)):
        column, row, columns, rows = boxes[group, :4].tolist()
        own = groups[row : row + rows, column : column + columns] == group
        cells = np.where(own, score_map[row : row + rows, column : column + columns], 0).astype(np.float32)
        top, down = _pixels_between(row, rows, groups.shape[0], height, geometry)
        left, across = _pixels_between(column, columns, groups.shape[1], width, geometry)
        if not len(down.lower) or not len(across.lower):
            continue
        part = blend_cells(cells, down, across, geometry)
        points = mask_components(part, threshold, min_area_px=min_area_px, centroid=centroid)
        points[:, :2] += left, top
        parts.append(points)
    return strongest_first(np.concatenate(parts))


def _pixels_between(
    first: int, cells: int, total: int, size_px: int, geometry: FeatureGeometry
) -> tuple[int, CellPlaces]:
    """Return the pixels between the centres of the first and the last cell, or up to the border where the map ends.

    Returns:
        The first pixel, and the places of all of them among these cells.
    """
    axis = geometry.on_axis(size_px, total)
    last = first + cells - 1
    begin = 0 if first == 0 else max(int(np.ceil(axis.cell_to_px(np.array(first)))), 0)
    end = size_px if last == total - 1 else min(int(np.floor(axis.cell_to_px(np.array(last)))) + 1, size_px)
    places = place_pixels(np.arange(begin, max(begin, end)), size_px, total, geometry)
    # A pixel on the last centre takes nothing of the cell behind it.
    lower, upper = (np.clip(index - first, 0, cells - 1) for index in (places.lower, places.upper))
    return begin, CellPlaces(lower, upper, places.fraction)
