from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.lattice import Margin, margin_cells, plan_bands


@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    share=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    max_cells=st.integers(1, 50),
    margin=st.builds(Margin, st.integers(0, 6), st.integers(0, 6)),
    step=st.integers(1, 5),
)
def test_every_needed_cell_is_in_one_window(seed, shape, share, max_cells, margin, step):
    needed = np.random.default_rng(seed).random(shape) < share
    max_cells = max(max_cells, step)
    bands = plan_bands(needed, max_cells, margin, step)
    windows = [window for band in bands for window in band]
    count = np.zeros(shape, dtype=int)
    for window in windows:
        assert max(window.rows, window.columns) <= max_cells
        assert min(window) >= 0
        assert window.row % step == window.column % step == 0
        assert window.row + window.rows <= shape[0]
        assert window.column + window.columns <= shape[1]
        part = (slice(window.row, window.row + window.rows), slice(window.column, window.column + window.columns))
        assert needed[part].any()
        count[part] += 1
    assert count.max(initial=0) <= 1
    assert (count[needed] == 1).all()
    assert all(band == sorted(band) for band in bands)
    starts = [min(window.row for window in band) for band in bands]
    ends = [max(window.row + window.rows for window in band) for band in bands]
    assert all(end <= start for end, start in zip(ends, starts[1:]))


def test_full_slide_is_cut_into_the_largest_windows():
    assert [len(band) for band in plan_bands(np.ones((100, 100), bool), 50, Margin(5, 5))] == [2, 2]


def test_two_far_specks_are_two_small_windows():
    needed = np.zeros((100, 100), bool)
    needed[3, 4] = needed[95, 90] = True
    assert plan_bands(needed, 200, Margin(5, 5)) == [[(3, 4, 1, 1), (95, 90, 1, 1)]]


def test_parts_are_of_one_size_rather_than_a_large_and_a_small_one():
    (band,) = plan_bands(np.ones((30, 60), bool), 50, Margin(5, 5))
    assert [window.columns for window in band] == [30, 30]


@pytest.mark.parametrize(('stride', 'offset', 'radius'), [(16, 15.0, 73.0), (16, 0.0, 105.0), (4, 1.5, 9.0), (1, 0, 0)])
def test_margin_holds_what_the_outermost_cells_see(stride, offset, radius):
    geometry = FeatureGeometry(stride, offset, radius)
    margin = margin_cells(geometry)
    first, last = 7, 12
    begin, end = (first - margin.before) * stride, (last + 1 + margin.after) * stride - 1
    leftmost, rightmost = geometry.cell_to_px(np.array([first, last])) + [-radius, radius]
    assert begin <= leftmost
    assert end >= rightmost
    # One cell less would not be enough.
    assert margin.before == 0 or begin + stride > leftmost
    assert margin.after == 0 or end - stride < rightmost
    for step in (2, 3):
        stepped = margin_cells(geometry, step)
        assert stepped.after == margin.after
        assert stepped.before % step == 0
        assert 0 <= stepped.before - margin.before < step
