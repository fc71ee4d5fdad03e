"""Reads points out of a score map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.functional.drift import remove_drift
from mitouts.functional.geometry import FeatureGeometry, upsample_map
from mitouts.functional.large_map import large_map_components
from mitouts.functional.points import Centroid, map_peaks, mask_components


class MapPoints(NamedTuple):
    """Points of a map, both ``(N, 3)`` float64, ``(x, y, score)`` in pixels, descending by score.

    Attributes:
        points: The components at the map threshold, which are the prediction, then the peaks that are not above it,
            which say what a lower threshold would find.
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
    """Read a map in both ways: what is predicted at a threshold, and what curves over all thresholds are drawn from.

    Args:
        score_map: Array ``(h, w)``, probabilities at network resolution; may be memory-mapped where ``is_large``.
        height: Image height in pixels.
        width: Image width in pixels.
        geometry: Where the cells of the map lie.
        map_threshold: Cut of the up-sampled map; strict.
        min_score: Weakest peak that is kept; None reads no peaks.
        min_area_px: Smaller components are left out.
        centroid: See :func:`mitouts.functional.points.mask_components`.
        drift_px: Taken off all points, see :mod:`mitouts.functional.drift`.
        is_large: Never up-sample the whole map, which would not fit into memory.
    """
    if is_large:
        components = large_map_components(
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
