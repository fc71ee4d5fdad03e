"""Points of a large map against the same points found on the whole up-sampled map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.functional.map_reading import read_map

GEOMETRIES = [
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
    geometry=st.sampled_from(GEOMETRIES),
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
    points, _ = read_map(score_map, 240, 240, GEOMETRIES[0], map_threshold=0.5, is_large=True)
    assert points[:, 2].round(2).tolist() == [0.9, 0.8]
    np.testing.assert_allclose(points[1, :2], [7 * 16 + 15, 7 * 16 + 15], atol=0.6)


def test_nothing_above_the_threshold_leaves_the_peaks():
    score_map = np.zeros((4, 4), dtype=np.float32)
    score_map[1, 2] = 0.3
    points, _ = read_map(score_map, 64, 64, GEOMETRIES[0], map_threshold=0.5, is_large=True)
    np.testing.assert_allclose(points, [[2 * 16 + 15, 16 + 15, 0.3]], rtol=1e-6)
    strong, peaks = read_map(score_map, 64, 64, GEOMETRIES[0], map_threshold=0.5, min_score=None, is_large=True)
    assert strong.shape == (0, 3)
    assert peaks is None


@pytest.mark.parametrize('geometry', GEOMETRIES)
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
        points, _ = read_map(score_map, 16, 144, GEOMETRIES[1], map_threshold=threshold, is_large=is_large)
        assert points[points[:, 2] > threshold].tolist() == [[96.0, 7.5, float(high)]]
