from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from mitouts.functional.hotspot import (
    Roi,
    density_map,
    hottest_roi,
    reference_hotspot,
    roi_side_px,
)

BRIEF = settings(derandomize=True, deadline=None, max_examples=60)
# At 1000 um per pixel an area in mm2 is one in pixels.
UNIT = {'mpp': 1000.0}

lattice_points = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=24)
free_points = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), min_size=1, max_size=24)


def brute_force(points, side) -> tuple[int, tuple[float, float]]:
    """Try every point's x as left and every point's y as upper side; strict, so that the first of equals stands."""
    best, corner = 0, (math.nan, math.nan)
    for left in sorted({x for x, _ in points}):
        for top in sorted({y for _, y in points}):
            inside = [left <= x <= left + side and top <= y <= top + side for x, y in points]
            if sum(inside) > best:
                best, corner = sum(inside), (left, top)
    return best, corner


@BRIEF
@given(st.one_of(lattice_points, free_points), st.sampled_from([1.0, 4.0, 9.0, 30.25]))
def test_hottest_roi_equals_brute_force(points, area):
    side = roi_side_px(area, 1000)
    best, (left, top) = brute_force(points, side)
    found = hottest_roi(points, area_mm2=area, **UNIT)
    assert found.count == best
    xy = np.array(points, dtype=np.float64)
    members = xy[Roi(left, top, side, side).contains(xy)]
    assert found.roi.contains(members).all()
    middle = (members.min(axis=0) + members.max(axis=0)) / 2
    # The members fill the region but for rounding where it starts at their first point instead.
    assert_allclose(found.roi.left_px + side / 2, middle[0], atol=1e-6)
    assert_allclose(found.roi.top_px + side / 2, middle[1], atol=1e-6)


@BRIEF
@given(free_points, st.sampled_from([4.0, 25.0, 300.0]), st.floats(0, 8), st.floats(9, 20))
def test_bounds_hold_the_region_and_cost_no_point_inside(points, area, low, high):
    bounds = (low, 0.0, high, 20.0)
    side = math.sqrt(area)
    inside = [point for point in points if low <= point[0] <= high]
    found = hottest_roi(points, area_mm2=area, bounds_px=bounds, **UNIT)
    if side > high - low or side > 20 or not inside:
        assert found is None
        return
    assert found.count == brute_force(inside, side)[0]
    assert found.roi.left_px >= low - 1e-9
    assert found.roi.top_px >= -1e-9
    assert found.roi.left_px + side <= high + 1e-9
    assert found.roi.top_px + side <= 20 + 1e-9


def test_positions_are_continuous_and_sides_belong_to_the_region():
    points = [[0.3, 0.1], [10.3, 10.1], [10.31, 5.0], [30, 30]]
    found = hottest_roi(points, area_mm2=100, **UNIT)
    assert found.count == 2
    assert_allclose([found.roi.left_px, found.roi.top_px], [0.3, 0.1])
    assert hottest_roi(points, area_mm2=100.3, **UNIT).count == 3


def test_of_equally_hot_regions_the_leftmost_then_topmost_is_taken_and_centred():
    points = [[50, 0], [52, 0], [10, 40], [12, 44], [10, 80], [12, 80]]
    found = hottest_roi(points, area_mm2=100, **UNIT)
    assert (found.roi.left_px, found.roi.top_px, found.count) == (6, 37, 2)
    in_bounds = hottest_roi(points, area_mm2=100, bounds_px=(8, 0, 100, 100), **UNIT)
    assert (in_bounds.roi.left_px, in_bounds.roi.top_px) == (8, 37)


def test_the_order_of_the_points_does_not_matter():
    generator = np.random.default_rng(3)
    points = generator.integers(0, 60, (300, 2)).astype(np.float64)
    found = {hottest_roi(generator.permutation(points), area_mm2=64, **UNIT) for _ in range(5)}
    assert len(found) == 1


def test_sizes_in_micrometres():
    assert roi_side_px(1.59, 0.25) == pytest.approx(5043.808, abs=1e-3)
    with pytest.raises(ValueError, match='mpp must be'):
        roi_side_px(2.0, 0)


def test_nothing_to_find():
    assert hottest_roi([], area_mm2=1, **UNIT) is None


def test_twenty_thousand_points_in_a_tight_and_a_wide_slide():
    generator = np.random.default_rng(0)
    wide = generator.integers(0, 90_000, (18_000, 2))
    hot = generator.integers(40_000, 44_000, (2_000, 2))
    found = hottest_roi(np.concatenate([wide, hot]), area_mm2=1.59, mpp=0.25)
    around = Roi(39_500, 39_500, 5043.8, 5043.8).contains(np.concatenate([wide, hot])).sum()
    assert found.count >= around >= 2_000
    assert found.roi.to_dict()['width_px'] == pytest.approx(5043.808, abs=1e-3)


def test_the_reference_region_is_centred_on_the_most_populated_cluster():
    generator = np.random.default_rng(0)
    large, small = generator.normal([3000, 3000], 200, (40, 2)), generator.normal([20_000, 9000], 200, (25, 2))
    points = np.concatenate([small, large])
    found = reference_hotspot(points, mpp=0.25)
    side = math.sqrt(1.59) * 4000
    assert_allclose([found.roi.left_px + side / 2, found.roi.top_px + side / 2], large.mean(axis=0))
    assert (found.count, found.cluster_size, found.num_clusters, found.min_samples) == (40, 40, 2, 11)
    assert found.eps_um == pytest.approx(side * math.sqrt(2) / 2 * 0.25)
    assert found.converged
    assert found.roi.width_px == pytest.approx(side)
    assert json.loads(json.dumps(found.to_dict()))['count'] == 40


def test_one_wide_cluster_is_split_and_too_few_cores_are_allowed_for():
    ridge = np.array([[x, 0] for x in range(0, 20_000, 400)] + [[x, 10] for x in (100, 200, 300)], dtype=float)
    split = reference_hotspot(ridge, mpp=0.25)
    assert split.converged
    assert split.num_clusters >= 2
    sparse = np.array([[0, 0], [100, 0], [0, 100], [50_000, 0], [50_100, 0], [0, 90_000], [90_000, 90_000]] + [
        [200_000 + 10_000 * index, 0] for index in range(20)
    ], dtype=float)  # fmt: skip
    found = reference_hotspot(sparse, mpp=0.25)
    assert found.converged
    assert found.min_samples < 5
    assert (found.cluster_size, found.count) == (3, 3)


def test_figures_in_one_spot_never_split_and_the_loop_ends():
    found = reference_hotspot([[700, 900]] * 30, mpp=0.25)
    assert not found.converged
    assert (found.num_clusters, found.count, found.min_samples) == (1, 30, 5)
    assert found.eps_um == pytest.approx(math.sqrt(1.59) * 1000 * math.sqrt(2) / 2)


def test_few_figures():
    assert reference_hotspot([], mpp=0.25) is None
    one = reference_hotspot([[9000, 9000]], mpp=0.25)
    assert (one.count, one.converged) == (1, True)
    two = reference_hotspot([[9000, 9000], [60_000, 9000]], mpp=0.25)
    assert (two.count, two.num_clusters, two.converged) == (1, 2, True)
    assert two.roi.contains([[9000, 9000], [60_000, 9000]]).tolist() == [True, False]


def test_the_reference_region_may_reach_beyond_the_slide():
    assert reference_hotspot([[100, 100]] * 5, mpp=0.25).roi.left_px < 0


def test_figures_far_apart_are_clusters_of_one():
    assert reference_hotspot([[40_000 * index, 0] for index in range(60)], mpp=0.25).converged


def test_density_of_an_even_slide_is_even_up_to_its_edges():
    grid = np.stack(np.meshgrid(np.arange(20) * 100 + 49.5, np.arange(30) * 100 + 49.5), axis=-1).reshape(-1, 2)
    density = density_map(grid, mpp=0.5, cell_px=100, sigma_um=120, mask=np.ones((30, 20)))
    assert_allclose(density, 1 / 0.05**2)
    mask = np.zeros((30, 20), bool)
    mask[5:, 3:9] = True
    masked = density_map(grid, mpp=0.5, cell_px=100, sigma_um=120, mask=mask)
    assert_allclose(masked, np.where(mask, 400.0, 0.0))


def test_density_of_one_figure_is_a_gaussian():
    density = density_map([[1049.5, 2049.5]], mpp=1.0, cell_px=100, sigma_um=300, mask=np.ones((41, 41)))
    assert density.sum() * 0.01 == pytest.approx(1.0, rel=0.02)
    assert np.unravel_index(density.argmax(), density.shape) == (20, 10)
    assert density[20, 13] / density[20, 10] == pytest.approx(math.exp(-0.5), rel=0.02)
    assert density[20, 10] == pytest.approx(1 / (2 * math.pi * 0.09), rel=0.02)


def test_density_ignores_what_lies_outside():
    empty = density_map([[-50, 5], [5, 999]], mpp=1, cell_px=10, sigma_um=10, mask=np.ones((4, 4)))
    assert not empty.any()
    mask = np.array([[True, False]])
    assert not density_map([[15, 5]], mpp=1, cell_px=10, sigma_um=10, mask=mask).any()
    for arguments in ({'mask': [True]}, {'mask': mask, 'sigma_um': 0}):
        with pytest.raises(ValueError, match=r'shape|positive'):
            density_map([], **({'mpp': 1, 'cell_px': 10, 'sigma_um': 10} | arguments))
