"""Points that are read out of a score map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry, map_maximum, upsample_map
from mitouts.functional.map_reading import read_map
from mitouts.functional.points import map_peaks, mask_components
from mitouts.functional.thresholds import select_threshold

LITE_STRIDE_16 = FeatureGeometry(stride=16, center_offset_px=15.0)
MAPS = arrays(
    np.float32,
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    elements=st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.50001, 0.7, 0.9, 1.0]),
)


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
    points = read_map(score_map, height, width, LITE_STRIDE_16, min_score=min_score, **arguments).points
    full = upsample_map(score_map, height, width, LITE_STRIDE_16)
    components = mask_components(full, map_threshold, min_area_px=min_area_px)
    strong = points[points[:, 2] > map_threshold]
    weak = points[points[:, 2] <= map_threshold]
    np.testing.assert_array_equal(strong, components)
    np.testing.assert_array_equal(
        strong, read_map(score_map, height, width, LITE_STRIDE_16, min_score=None, **arguments).points
    )
    assert (np.diff(points[:, 2]) <= 0).all()
    assert (weak[:, 2] > min_score).all()
    assert (full[weak[:, 1].astype(int), weak[:, 0].astype(int)] <= map_threshold).all()


GEOMETRIES = {
    'on a pixel': FeatureGeometry(16, 15.0),
    'between pixels': FeatureGeometry(16, 7.5),
    'between pixels, patch of 14': FeatureGeometry(14, 6.5),
    'uneven stride': FeatureGeometry(12, 5.5),
    'stretched': AlignCornersGeometry(16, 7.5),
}


@pytest.mark.parametrize('geometry', GEOMETRIES.values(), ids=GEOMETRIES)
@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    cells=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    cut_px=st.integers(0, 20),
    map_threshold=st.sampled_from([0.2, 0.5, 0.8]),
)
def test_best_point_best_peak_and_map_maximum_are_one_number(
    geometry: FeatureGeometry, seed: int, cells: tuple[int, int], cut_px: int, map_threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    score_map = (rng.random(cells) ** 4).astype(np.float32)
    height, width = (max(4, geometry.stride * count - cut_px) for count in cells)
    highest = map_maximum(score_map, height, width, geometry)
    options: dict[str, Any] = {'map_threshold': map_threshold, 'min_score': 0.0}
    for is_large in (False, True):
        points, _ = read_map(score_map, height, width, geometry, is_large=is_large, **options)
        assert points[0, 2] == pytest.approx(highest, rel=3e-7)
        if highest > map_threshold:
            assert points[0, 2] == highest
    assert map_peaks(score_map, geometry, height, width, 0.0)[0, 2] == pytest.approx(highest, rel=3e-7)


def test_a_figure_between_pixels_is_found_at_a_threshold_chosen_on_map_maxima() -> None:
    geometry = FeatureGeometry(16, 7.5)
    maps = np.zeros((2, 8, 8), dtype=np.float32)
    maps[0, 3, 4], maps[1] = 0.8, 0.7
    maxima = [map_maximum(each, 128, 128, geometry) for each in maps]
    # The centre lies half a pixel from its four pixels, along both axes.
    assert maxima == pytest.approx([0.8 * (31 / 32) ** 2, 0.7])
    threshold = select_threshold(maxima, [1, 0], 'max_f1')
    for is_large in (False, True):
        points, without = (
            read_map(each, 128, 128, geometry, map_threshold=threshold, is_large=is_large).points for each in maps
        )
        np.testing.assert_allclose(points, [[4 * 16 + 7.5, 3 * 16 + 7.5, maxima[0]]], atol=1e-4)
        assert not (without[:, 2] > threshold).any()


@pytest.mark.parametrize('geometry', GEOMETRIES.values(), ids=GEOMETRIES)
def test_peaks_depend_on_no_threshold(geometry: FeatureGeometry) -> None:
    score_map = (np.random.default_rng(3).random((9, 11)) ** 2).astype(np.float32)
    read = [read_map(score_map, 140, 170, geometry, map_threshold=cut, min_score=0.05) for cut in (0.1, 0.6, 0.95, 1.0)]
    assert read[0].peaks is not None
    for _, peaks in read:
        np.testing.assert_array_equal(peaks, read[0].peaks)
    assert len({len(points) for points, _ in read}) > 1
    np.testing.assert_array_equal(read[-1][0], read[0][1])


def test_no_peaks_when_the_weakest_is_not_below_the_threshold() -> None:
    score_map = np.array([[0.3, 0.0, 0.9]], dtype=np.float32)
    points, _ = read_map(score_map, 16, 48, LITE_STRIDE_16, map_threshold=0.5, min_score=0.5)
    assert points[:, 2].tolist() == pytest.approx([0.9])


def test_small_components_leave_nothing_above_the_threshold() -> None:
    score_map = np.zeros((6, 6), np.float32)
    score_map[3, 3] = 0.6
    points, _ = read_map(score_map, 96, 96, LITE_STRIDE_16, map_threshold=0.5, min_area_px=10_000)
    assert len(points) == 0


def test_points_of_a_stretched_map_are_read_between_the_corners() -> None:
    score_map = np.full((5, 9), 0.02, dtype=np.float32)
    score_map[1, 2], score_map[3, 7] = 0.98, 0.2
    points, _ = read_map(score_map, 101, 201, AlignCornersGeometry(16, 15.0), map_threshold=0.5)
    # 200 / 8 = 100 / 4 = 25 px a cell.
    np.testing.assert_allclose(points[:2], [[50, 25, 0.98], [175, 75, 0.2]], atol=1e-5)


# Points of a large map against the same points found on the whole up-sampled map.
LARGE_GEOMETRIES = [
    FeatureGeometry(16, 15.0, 73.0),
    FeatureGeometry(16, 0.0, 105.0),
    FeatureGeometry(4, 1.5, 9.0),
    FeatureGeometry(16, 7.5, 60.0),
    FeatureGeometry(12, 5.5, 60.0),
    AlignCornersGeometry(16, 15.0),
]


def _sorted(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.T)]


@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    share=st.sampled_from([0.02, 0.1, 0.3, 0.8]),
    geometry=st.sampled_from(LARGE_GEOMETRIES),
    centroid=st.sampled_from(['geometric', 'score_weighted']),
)
def test_equals_the_points_of_the_whole_map(seed, shape, share, geometry, centroid):
    rng = np.random.default_rng(seed)
    score_map = rng.uniform(0, 0.55, shape).astype(np.float32)
    score_map[rng.random(shape) < share] = rng.uniform(0.5, 1)
    height, width = (np.array(shape) * geometry.stride + rng.integers(-geometry.stride + 1, 9)).clip(2).tolist()
    options = dict(map_threshold=0.5, min_score=0.2, min_area_px=int(rng.integers(1, 9)), centroid=centroid)
    expected, found = (
        read_map(score_map, height, width, geometry, is_large=is_large, **options).points for is_large in (False, True)
    )
    assert found.shape == expected.shape
    np.testing.assert_allclose(_sorted(found.round(3)), _sorted(expected.round(3)), atol=0.002)
    np.testing.assert_array_equal(np.sort(found[:, 2]), np.sort(expected[:, 2]))
    assert (np.diff(found[found[:, 2] > 0.5][:, 2]) <= 0).all()


def test_group_around_another_group_is_counted_once():
    score_map = np.zeros((15, 15), dtype=np.float32)
    score_map[1:14, 1:14] = 0.9
    score_map[2:13, 2:13] = 0
    score_map[7, 7] = 0.8
    points, _ = read_map(score_map, 240, 240, LARGE_GEOMETRIES[0], map_threshold=0.5, is_large=True)
    assert points[:, 2].round(2).tolist() == [0.9, 0.8]
    np.testing.assert_allclose(points[1, :2], [7 * 16 + 15, 7 * 16 + 15], atol=0.6)


def test_nothing_above_the_threshold_leaves_the_peaks():
    score_map = np.zeros((4, 4), dtype=np.float32)
    score_map[1, 2] = 0.3
    points, _ = read_map(score_map, 64, 64, LARGE_GEOMETRIES[0], map_threshold=0.5, is_large=True)
    np.testing.assert_allclose(points, [[2 * 16 + 15, 16 + 15, 0.3]], rtol=1e-6)
    strong, peaks = read_map(score_map, 64, 64, LARGE_GEOMETRIES[0], map_threshold=0.5, min_score=None, is_large=True)
    assert strong.shape == (0, 3)
    assert peaks is None


@pytest.mark.parametrize('geometry', LARGE_GEOMETRIES)
def test_empty_map_has_no_points(geometry):
    points, _ = read_map(np.zeros((3, 5), np.float32), 40, 70, geometry, map_threshold=0.5, is_large=True)
    assert points.shape == (0, 3)


def test_a_threshold_between_neighbouring_floats_cuts_between_them():
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    score_map = np.zeros((1, 9), dtype=np.float32)
    score_map[0, 2], score_map[0, 6] = low, high
    threshold = float(low) + 0.75 * (float(high) - float(low))
    for is_large in (False, True):
        points, _ = read_map(score_map, 16, 144, LARGE_GEOMETRIES[1], map_threshold=threshold, is_large=is_large)
        assert points[points[:, 2] > threshold].tolist() == [[96.0, 7.5, float(high)]]
