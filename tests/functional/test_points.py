"""From maps to points, against scipy.ndimage and brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry, upsample_map
from mitouts.functional.points import Centroid, map_peaks, map_to_points, mask_components

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
    points, labels = mask_components(score_map, threshold, min_area_px=min_area_px, centroid=centroid)
    expected = _scipy_components(score_map, threshold, min_area_px, centroid)
    assert points.shape == expected.shape
    np.testing.assert_allclose(_sorted(points), _sorted(expected), atol=1e-9)
    assert (np.diff(points[:, 2]) <= 0).all()
    assert len(np.unique(labels[labels > 0])) == len(points)


@given(score_map=MAPS, min_area_px=st.integers(1, 4))
def test_label_image_holds_exactly_the_components_that_were_kept(
    score_map: NDArray[np.float32], min_area_px: int
) -> None:
    _, labels = mask_components(score_map, 0.5, min_area_px=min_area_px)
    every, count = ndimage.label(score_map > 0.5, structure=np.ones((3, 3)))
    area = np.bincount(every.ravel(), minlength=count + 1)
    area[0] = 0
    np.testing.assert_array_equal(labels > 0, area[every] >= min_area_px)


def test_the_cut_is_strict() -> None:
    score_map = np.array([[0.5, 0.25, 0.75]], dtype=np.float32)
    points, _ = mask_components(score_map, 0.5)
    np.testing.assert_array_equal(points, [[2, 0, 0.75]])
    assert len(mask_components(score_map, 0.75)[0]) == 0


def test_corners_that_touch_are_one_component() -> None:
    points, _ = mask_components(np.eye(3, dtype=np.float32), 0.5)
    np.testing.assert_array_equal(points, [[1, 1, 1]])


def test_weighted_centroid_leans_to_the_higher_score() -> None:
    score_map = np.array([[0.6, 0.9]], dtype=np.float32)
    geometric, _ = mask_components(score_map, 0.5)
    weighted, _ = mask_components(score_map, 0.5, centroid='score_weighted')
    assert geometric[0, 0] == pytest.approx(0.5)
    assert weighted[0, 0] == pytest.approx(0.9 / 1.5)


def test_a_map_below_the_cut_gives_no_points() -> None:
    points, labels = mask_components(np.full((4, 5), 0.2, np.float32), 0.5)
    assert points.shape == (0, 3)
    assert not labels.any()


@given(score_map=MAPS, min_score=st.sampled_from([-1.0, 0.0, 0.3, 0.95]))
def test_peaks_are_cells_that_no_neighbour_exceeds(score_map: NDArray[np.float32], min_score: float) -> None:
    expected = []
    for row, column in np.ndindex(score_map.shape):
        around = score_map[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if score_map[row, column] >= around.max() and score_map[row, column] > min_score:
            expected.append([column * 16 + 15, row * 16 + 15, score_map[row, column]])
    size_px = [16 * cells for cells in score_map.shape]
    peaks = map_peaks(score_map, LITE_STRIDE_16, size_px[0], size_px[1], min_score)
    np.testing.assert_array_equal(_sorted(peaks), _sorted(np.array(expected, dtype=float).reshape(-1, 3)))


def test_peaks_stay_inside_the_image() -> None:
    peaks = map_peaks(np.ones((1, 1), np.float32), FeatureGeometry(16, 40.0), 20, 30, 0.5)
    np.testing.assert_array_equal(peaks, [[29, 19, 1]])


@settings(max_examples=60)
@given(
    score_map=MAPS,
    map_threshold=st.sampled_from([0.05, 0.4, 0.8]),
    min_area_px=st.sampled_from([1, 90]),
    min_score=st.sampled_from([0.01, 0.2]),
)
def test_points_are_the_components_then_weaker_peaks_outside_them(
    score_map: NDArray[np.float32], map_threshold: float, min_area_px: int, min_score: float
) -> None:
    height, width = 16 * score_map.shape[0], 16 * score_map.shape[1]
    arguments: dict[str, Any] = {'map_threshold': map_threshold, 'min_area_px': min_area_px}
    points = map_to_points(score_map, height, width, LITE_STRIDE_16, min_score=min_score, **arguments)
    full = upsample_map(score_map, height, width, LITE_STRIDE_16)
    components, labels = mask_components(full, map_threshold, min_area_px=min_area_px)
    strong = points[points[:, 2] > map_threshold]
    weak = points[points[:, 2] <= map_threshold]
    np.testing.assert_array_equal(strong, components)
    np.testing.assert_array_equal(
        strong, map_to_points(score_map, height, width, LITE_STRIDE_16, min_score=None, **arguments)
    )
    assert (np.diff(points[:, 2]) <= 0).all()
    assert (weak[:, 2] > min_score).all()
    assert not labels[weak[:, 1].astype(int), weak[:, 0].astype(int)].any()


@given(score_map=MAPS)
def test_the_best_point_has_the_score_of_the_maps_maximum(score_map: NDArray[np.float32]) -> None:
    points = map_to_points(
        score_map, 16 * score_map.shape[0], 16 * score_map.shape[1], LITE_STRIDE_16, map_threshold=0.2
    )
    top = float(score_map.max())
    assert (points[0, 2] if len(points) else 0.0) == pytest.approx(top, abs=1e-6)


def test_no_peaks_when_the_weakest_is_not_below_the_threshold() -> None:
    score_map = np.array([[0.3, 0.0, 0.9]], dtype=np.float32)
    points = map_to_points(score_map, 16, 48, LITE_STRIDE_16, map_threshold=0.5, min_score=0.5)
    assert points[:, 2].tolist() == pytest.approx([0.9])


def test_small_components_leave_nothing_above_the_threshold() -> None:
    score_map = np.zeros((6, 6), np.float32)
    score_map[3, 3] = 0.6
    points = map_to_points(score_map, 96, 96, LITE_STRIDE_16, map_threshold=0.5, min_area_px=10_000)
    assert len(points) == 0


def test_points_of_a_stretched_map_are_read_between_the_corners() -> None:
    score_map = np.full((5, 9), 0.02, dtype=np.float32)
    score_map[1, 2], score_map[3, 7] = 0.98, 0.2
    points = map_to_points(score_map, 101, 201, AlignCornersGeometry(16, 15.0), map_threshold=0.5)
    # 200 / 8 = 100 / 4 = 25 px a cell.
    np.testing.assert_allclose(points[:2], [[50, 25, 0.98], [175, 75, 0.2]], atol=1e-5)
