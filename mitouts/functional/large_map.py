"""Points of a score map whose up-sampled image would not fit into memory."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.functional.geometry import FeatureGeometry, interpolation_weights
from mitouts.functional.points import Centroid, map_peaks, mask_components


def large_map_to_points(
    score_map: NDArray[np.float32],
    height: int,
    width: int,
    geometry: FeatureGeometry,
    *,
    map_threshold: float,
    min_score: float | None = 0.01,
    min_area_px: int = 1,
    centroid: Centroid = 'geometric',
) -> NDArray[np.float64]:
    """The same points as :func:`mitouts.functional.points.map_to_points`, from one group of cells after the other.

    A pixel of the up-sampled map is above the threshold only if one of the four cells around it is. So a component lies
    within the cells above the threshold and their neighbours, and groups of such cells that do not touch can be
    up-sampled by themselves.

    Args:
        score_map: Array ``(h, w)``, probabilities at network resolution; may be memory-mapped.
        height: Image height in pixels.
        width: Image width in pixels.
        geometry: Where the cells of the map lie.
        map_threshold: Cut of the up-sampled map; strict.
        min_score: Weakest peak that is kept; None keeps no peaks.
        min_area_px: Smaller components are left out.
        centroid: See :func:`mitouts.functional.points.mask_components`.

    Returns:
        Points ``(N, 3)`` as ``(x, y, score)``, descending by score.
    """
    hot = (np.asarray(score_map) > map_threshold).astype(np.uint8)
    around = cv2.dilate(hot, np.ones((3, 3), np.uint8))
    _, groups, boxes, _ = cv2.connectedComponentsWithStats(around, connectivity=8, ltype=cv2.CV_32S)
    peaks = np.zeros((0, 3))
    if min_score is not None and min_score < map_threshold:
        peaks = map_peaks(score_map, geometry, height, width, min_score)
        peaks = peaks[peaks[:, 2] <= map_threshold]
    group_of_peak = groups[
        _cells(peaks[:, 1], geometry, groups.shape[0]), _cells(peaks[:, 0], geometry, groups.shape[1])
    ]
    order = np.argsort(group_of_peak, kind='stable')
    first = np.searchsorted(group_of_peak[order], np.arange(len(boxes) + 1))
    free = np.ones(len(peaks), dtype=bool)
    found = [np.zeros((0, 3))]
    for group in range(1, len(boxes)):
        column, row, columns, rows = boxes[group, :4].tolist()
        own = groups[row : row + rows, column : column + columns] == group
        cells = np.where(own, score_map[row : row + rows, column : column + columns], 0).astype(np.float32)
        top, bottom = _pixels(row, rows, groups.shape[0], height, geometry)
        left, right = _pixels(column, columns, groups.shape[1], width, geometry)
        if top >= bottom or left >= right:
            continue
        by_row = _weights(top, bottom, row, rows, geometry)
        by_column = _weights(left, right, column, columns, geometry)
        full = (by_row @ cells @ by_column.T).astype(np.float32, copy=False)
        points, labels = mask_components(full, map_threshold, min_area_px=min_area_px, centroid=centroid)
        points[:, :2] += left, top
        found.append(points)
        for index in order[first[group] : first[group + 1]]:
            x, y = np.rint(peaks[index, :2]).astype(int) - (left, top)
            inside = 0 <= x < labels.shape[1] and 0 <= y < labels.shape[0]
            free[index] = not (inside and labels[y, x])
    components = np.concatenate(found)
    peaks = peaks[free]
    components = components[np.argsort(-components[:, 2], kind='stable')]
    return np.concatenate([components, peaks[np.argsort(-peaks[:, 2], kind='stable')]])


def _cells(positions_px: NDArray[np.float64], geometry: FeatureGeometry, cells: int) -> NDArray[np.int64]:
    index = np.rint((positions_px - geometry.center_offset_px) / geometry.stride)
    return np.clip(index, 0, cells - 1).astype(np.int64)


def _weights(begin: int, end: int, first: int, cells: int, geometry: FeatureGeometry) -> NDArray[np.float32]:
    shifted = replace(geometry, center_offset_px=geometry.center_offset_px + first * geometry.stride)
    return interpolation_weights(np.arange(begin, end), cells, shifted)


def _pixels(first: int, cells: int, total: int, size_px: int, geometry: FeatureGeometry) -> tuple[int, int]:
    """The pixels between the centres of the first and the last cell; to the border where the map ends there."""
    begin = 0 if first == 0 else int(np.ceil(geometry.cell_to_px(np.array(first))))
    last = first + cells - 1
    end = size_px if last == total - 1 else int(np.floor(geometry.cell_to_px(np.array(last)))) + 1
    return max(begin, 0), min(end, size_px)
