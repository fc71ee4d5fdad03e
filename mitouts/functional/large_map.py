"""Finds the components of a score map whose up-sampled image would not fit into memory."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.functional.geometry import CellPlaces, FeatureGeometry, blend_cells, place_pixels
from mitouts.functional.points import Centroid, mask_components, strongest_first


def large_map_components(
    score_map: NDArray[np.float32],
    height: int,
    width: int,
    geometry: FeatureGeometry,
    threshold: float,
    *,
    min_area_px: int = 1,
    centroid: Centroid = 'geometric',
) -> NDArray[np.float64]:
    """The points of :func:`mitouts.functional.points.mask_components`, from one group of cells after the other.

    A pixel of the up-sampled map is above the threshold only if one of the four cells around it is. So a component lies
    within the cells above the threshold and their neighbours, and groups of such cells that do not touch can be
    up-sampled by themselves.

    Args:
        score_map: Array ``(h, w)``, probabilities at network resolution; may be memory-mapped.
        height: Image height in pixels.
        width: Image width in pixels.
        geometry: Where the cells of the map lie.
        threshold: Cut of the up-sampled map; strict.
        min_area_px: Smaller components are left out.
        centroid: See :func:`mitouts.functional.points.mask_components`.

    Returns:
        Points ``(N, 3)`` as ``(x, y, score)``, descending by score.
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
        top, down = _pixels(row, rows, groups.shape[0], height, geometry)
        left, across = _pixels(column, columns, groups.shape[1], width, geometry)
        if not len(down.lower) or not len(across.lower):
            continue
        part = blend_cells(cells, down, across, geometry)
        points = mask_components(part, threshold, min_area_px=min_area_px, centroid=centroid)
        points[:, :2] += left, top
        parts.append(points)
    return strongest_first(np.concatenate(parts))


def _pixels(first: int, cells: int, total: int, size_px: int, geometry: FeatureGeometry) -> tuple[int, CellPlaces]:
    """The pixels between the centres of the first and the last cell, to the border where the map ends there.

    Returns:
        The first of them, and where all lie among these cells.
    """
    axis = geometry.on_axis(size_px, total)
    last = first + cells - 1
    begin = 0 if first == 0 else max(int(np.ceil(axis.cell_to_px(np.array(first)))), 0)
    end = size_px if last == total - 1 else min(int(np.floor(axis.cell_to_px(np.array(last)))) + 1, size_px)
    places = place_pixels(np.arange(begin, max(begin, end)), size_px, total, geometry)
    # A pixel on the last centre takes nothing of the cell behind it.
    lower, upper = (np.clip(index - first, 0, cells - 1) for index in (places.lower, places.upper))
    return begin, CellPlaces(lower, upper, places.fraction)
