"""From maps to points, against scipy.ndimage and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.points import Centroid, map_peaks, mask_components

LITE_STRIDE_16 = FeatureGeometry(stride=16, center_offset_px=15.0)
MAPS = arrays(
    np.float32,
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    elements=st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.50001, 0.7, 0.9, 1.0]),
)


def _scipy_components(
    score_map: NDArray[np.float32], threshold: float, min_area_px: int, centroid: Centroid
) -> NDArray[np.float64]:
    labels, count = ndimage.label(score_map.astype(np.float64) > threshold, structure=np.ones((3, 3)))
    index = np.arange(1, count + 1)
    if count == 0:
        return np.zeros((0, 3))
    mass = score_map.astype(np.float64) if centroid == 'score_weighted' else np.ones(score_map.shape)
    centers = np.array(ndimage.center_of_mass(mass, labels, index))
    area = ndimage.sum_labels(np.ones(score_map.shape), labels, index)
    points = np.column_stack([centers[:, 1], centers[:, 0], ndimage.maximum(score_map, labels, index)])
    return points[area >= min_area_px]


def _sorted(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points[np.lexsort(points.T)]


@pytest.mark.parametrize('centroid', ['geometric', 'score_weighted'])
@given(score_map=MAPS, threshold=st.sampled_from([0.0, 0.3, 0.5, 0.95]), min_area_px=st.integers(1, 4))
def test_components_are_those_of_scipy(
    centroid: Centroid, score_map: NDArray[np.float32], threshold: float, min_area_px: int
) -> None:
    points = mask_components(score_map, threshold, min_area_px=min_area_px, centroid=centroid)
    expected = _scipy_components(score_map, threshold, min_area_px, centroid)
    assert points.shape == expected.shape
    np.testing.assert_allclose(_sorted(points), _sorted(expected), atol=1e-9)
    assert (np.diff(points[:, 2]) <= 0).all()


def test_the_cut_is_strict() -> None:
    score_map = np.array([[0.5, 0.25, 0.75]], dtype=np.float32)
    points = mask_components(score_map, 0.5)
    np.testing.assert_array_equal(points, [[2, 0, 0.75]])
    assert len(mask_components(score_map, 0.75)) == 0


def test_corners_that_touch_are_one_component() -> None:
    points = mask_components(np.eye(3, dtype=np.float32), 0.5)
    np.testing.assert_array_equal(points, [[1, 1, 1]])


def test_weighted_centroid_leans_to_the_higher_score() -> None:
    score_map = np.array([[0.6, 0.9]], dtype=np.float32)
    geometric = mask_components(score_map, 0.5)
    weighted = mask_components(score_map, 0.5, centroid='score_weighted')
    assert geometric[0, 0] == pytest.approx(0.5)
    assert weighted[0, 0] == pytest.approx(0.9 / 1.5)


def test_a_map_below_the_cut_gives_no_points() -> None:
    assert mask_components(np.full((4, 5), 0.2, np.float32), 0.5).shape == (0, 3)


def _regional_maxima(score_map: NDArray[np.float32], min_score: float) -> NDArray[np.float64]:
    """Value by value: groups of equal cells that touch nothing higher, as ``(column, row, value)`` of their mean."""
    found = []
    for value in np.unique(score_map[score_map > min_score]):
        labels, count = ndimage.label(score_map == value, structure=np.ones((3, 3)))
        for label in range(1, count + 1):
            group = labels == label
            if score_map[ndimage.binary_dilation(group, np.ones((3, 3)))].max() <= value:
                row, column = np.argwhere(group).mean(axis=0)
                found.append([column, row, value])
    return np.array(found, dtype=np.float64).reshape(-1, 3)


@given(score_map=MAPS, min_score=st.sampled_from([-1.0, 0.0, 0.3, 0.95]))
def test_peaks_are_the_maps_regional_maxima(score_map: NDArray[np.float32], min_score: float) -> None:
    expected = _regional_maxima(score_map, min_score) * [16, 16, 1] + [15, 15, 0]
    height, width = (16 * cells for cells in score_map.shape)
    peaks = map_peaks(score_map, LITE_STRIDE_16, height, width, min_score)
    np.testing.assert_allclose(_sorted(peaks.round(6)), _sorted(expected.round(6)), atol=1e-6)
    assert (np.diff(peaks[:, 2]) <= 0).all()


def test_a_plateau_is_one_peak_and_a_shoulder_none() -> None:
    score_map = np.zeros((7, 9), dtype=np.float32)
    score_map[1:3, 1:4] = 1.0
    score_map[5, 2:6], score_map[5, 6] = 0.4, 0.7
    peaks = map_peaks(score_map, FeatureGeometry(16, 7.5), 112, 144, 0.01)
    np.testing.assert_allclose(peaks[:, :2], [[2 * 16 + 7.5, 1.5 * 16 + 7.5], [6 * 16 + 7.5, 5 * 16 + 7.5]])


def test_peaks_stay_inside_the_image() -> None:
    peaks = map_peaks(np.ones((1, 1), np.float32), FeatureGeometry(16, 40.0), 20, 30, 0.5)
    np.testing.assert_array_equal(peaks, [[29, 19, 1]])
