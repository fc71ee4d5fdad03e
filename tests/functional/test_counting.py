from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import poisson

from mitouts.functional.counting import (
    count_slide,
    counted_tiles,
    exclusion_reason,
    in_counted_tiles,
    overlap_px,
    poisson_ci95,
    tile_of_points,
    tile_side_px,
)


def tiles_of(probability, **changes):
    """Cells of 100 px, tiles of 2 x 2 cells, 1 um per pixel: a whole tile has 0.04 mm2."""
    probability = np.asarray(probability, dtype=np.float64)
    height, width = probability.shape
    arguments = {'cell_px': 100, 'tile_px': 200, 'slide_size_px': (100 * width, 100 * height), 'mpp': 1.0}
    return counted_tiles(probability, **(arguments | changes))


@pytest.mark.parametrize(('mpp', 'side'), [(0.25, 1024), (0.5, 512), (0.2, 1280), (1.0, 256)])
def test_a_tile_is_512_px_at_20x(mpp, side):
    assert tile_side_px(mpp) == pytest.approx(side)
    assert tile_side_px(mpp) * mpp == pytest.approx(256)


def test_tile_means_are_block_means_and_the_limit_is_inclusive():
    probability = [[0.4, 0.4, 0.0, 1.0], [0.4, 0.4, 0.3, 0.2], [0.9, 0.9, 0.0, 0.0], [0.9, 0.9, 0.8, 0.8]]
    tiles = tiles_of(probability)
    assert_allclose(tiles.probability, [[0.4, 0.375], [0.9, 0.4]])
    assert tiles.counted.tolist() == [[True, False], [True, True]]
    assert tiles.num_counted == 3
    assert tiles.counted_mm2 == pytest.approx(0.12)
    assert tiles.tile_um == 200
    assert tiles.unreadable_mm2 == 0


def test_a_probability_of_the_limit_counts_however_it_is_summed():
    tiles = counted_tiles(np.full((97, 103), 0.4), cell_px=33.3, tile_px=171.7, slide_size_px=(3400, 3200), mpp=0.25)
    assert tiles.counted[:-1, :-1].all()


def test_edge_tiles_have_the_mean_and_the_area_of_their_part_on_the_slide():
    probability = np.ones((2, 4))
    probability[:, 2] = 0.5
    half = tiles_of(probability, slide_size_px=(300, 200))
    assert_allclose(half.probability, [[1.0, 0.5]])
    assert_allclose(half.area_mm2, [[0.04, 0.02]])
    assert half.counted.tolist() == [[True, True]]
    less = tiles_of(probability, slide_size_px=(299, 200))
    assert less.counted.tolist() == [[True, False]]
    assert less.counted_mm2 == pytest.approx(0.04)


def test_unreadable_cells_are_taken_from_mean_and_area():
    probability = [[0.0, 0.6, 0.6, 0.6], [0.0, 0.6, 0.6, 0.6]]
    unreadable = [[True, False, True, True], [True, False, False, True]]
    tiles = tiles_of(probability, unreadable=unreadable)
    assert_allclose(tiles.probability, [[0.6, 0.6]])
    assert_allclose(tiles.area_mm2, [[0.02, 0.01]])
    assert tiles.counted.tolist() == [[True, False]]
    assert tiles.unreadable_mm2 == pytest.approx(0.05)


def test_a_slide_without_any_readable_cell_counts_nothing():
    tiles = tiles_of(np.ones((4, 4)), unreadable=np.ones((4, 4), bool))
    assert (tiles.num_counted, tiles.counted_mm2) == (0, 0.0)
    assert tiles.unreadable_mm2 == pytest.approx(0.16)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(2, 9),
    st.integers(3, 11),
    st.integers(0, 5),
    st.integers(0, 2**20),
)
def test_tile_means_equal_those_over_pixels(rows, columns, cell, tile, short, seed):
    generator = np.random.default_rng(seed)
    probability = generator.random((rows, columns))
    unreadable = generator.random((rows, columns)) < 0.3
    height, width = max(1, rows * cell - short), max(1, columns * cell - short)
    tiles = counted_tiles(
        probability, cell_px=cell, tile_px=tile, slide_size_px=(width, height), mpp=1000, unreadable=unreadable
    )
    pixels, lost = (np.kron(each, np.ones((cell, cell)))[:height, :width] for each in (probability, unreadable))
    assert tiles.counted.shape == (math.ceil(height / tile), math.ceil(width / tile))
    for (row, column), area in np.ndenumerate(tiles.area_mm2):
        block = np.s_[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
        readable = lost[block] == 0
        assert area == pytest.approx(readable.sum())
        expected = pixels[block][readable].mean() if readable.any() else 0.0
        assert tiles.probability[row, column] == pytest.approx(expected)
        assert tiles.counted[row, column] == (expected >= 0.4 and readable.sum() * 2 >= tile**2)
    assert tiles.unreadable_mm2 == pytest.approx(lost.sum())


@pytest.mark.parametrize(
    ('probability', 'changes', 'words'),
    [
        (np.ones(4), {}, r'shape \(h, w\)'),
        (np.ones((0, 3)), {}, r'shape \(h, w\)'),
        ([[0.5, np.nan]], {}, 'from 0 to 1'),
        ([[0.5, 1.5]], {}, 'from 0 to 1'),
        (np.ones((2, 2)), {'unreadable': np.zeros((2, 3))}, 'unreadable'),
        (np.ones((2, 2)), {'slide_size_px': (301, 200)}, 'width'),
        (np.ones((2, 2)), {'slide_size_px': (200, 301)}, 'height'),
        (np.ones((2, 2)), {'mpp': 0}, 'mpp'),
        (np.ones((2, 2)), {'tile_px': math.nan}, 'tile_px'),
    ],
)
def test_maps_that_fit_nothing_are_refused(probability, changes, words):
    arguments = {'cell_px': 100, 'tile_px': 200, 'slide_size_px': (200, 200), 'mpp': 1.0} | changes
    with pytest.raises(ValueError, match=words):
        counted_tiles(probability, **arguments)


def test_tiles_are_half_open_but_for_the_last_border():
    x = [-0.5, 9.4, 9.5, 19.4, 19.5, 19.6, -0.6]
    points = [[value, 0] for value in x]
    assert tile_of_points(points, 10, (2, 2)).tolist() == [0, 0, 1, 1, 1, -1, -1]
    assert tile_of_points([[y, x] for x, y in points], 10, (2, 2)).tolist() == [0, 0, 2, 2, 2, -1, -1]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(-2, 64), st.integers(-2, 64)), max_size=30), st.floats(3, 20))
def test_each_point_is_in_exactly_one_tile(halves, tile):
    points = np.array(halves, dtype=np.float64).reshape(-1, 2) / 2
    rows, columns = 3, 2
    found = tile_of_points(points, tile, (rows, columns))
    for (x, y), index in zip(points + 0.5, found):
        holders = [
            row * columns + column
            for row in range(rows)
            for column in range(columns)
            if column <= x / tile < column + 1 and row <= y / tile < row + 1
        ]
        on_the_last_border = x / tile == columns or y / tile == rows
        assert on_the_last_border or holders == ([index] if index >= 0 else [])


def test_only_figures_in_counted_tiles_count():
    tiles = tiles_of([[1, 1, 0, 0], [1, 1, 0, 0]])
    points = [[10, 10, 0.9], [199.4, 10, 0.8], [199.5, 10, 0.7], [500, 10, 0.6]]
    assert in_counted_tiles(points, tiles).tolist() == [True, True, False, False]
    assert in_counted_tiles([], tiles).tolist() == []


@pytest.mark.parametrize('count', [0, 1, 2, 3, 10, 57, 1000])
def test_the_interval_is_where_the_tails_have_two_and_a_half_percent(count):
    low, high = poisson_ci95(count)
    assert poisson.cdf(count, high) == pytest.approx(0.025)
    if count:
        assert poisson.sf(count - 1, low) == pytest.approx(0.025)
    else:
        assert low == 0


def test_published_intervals():
    assert poisson_ci95(0)[1] == pytest.approx(3.6889, abs=1e-4)
    assert_allclose(poisson_ci95(10), [4.7954, 18.3904], atol=1e-4)


@pytest.mark.parametrize('count', [-1, 1.5])
def test_no_interval_of_what_is_no_count(count):
    with pytest.raises(ValueError, match='whole number'):
        poisson_ci95(count)


def test_rates_by_hand():
    tiles = counted_tiles(np.ones((8, 5)), cell_px=1024, tile_px=1024, slide_size_px=(5120, 8192), mpp=0.25)
    counts = count_slide(np.zeros((30, 2)), tiles, field_diameter_mm=0.63)
    assert counts.mai == 30 / 40
    assert counts.per_mm2 == pytest.approx(30 / (40 * 0.256**2))
    assert counts.per_10_hpf == pytest.approx(30 / (40 * 0.256**2) * 10 * math.pi * 0.315**2)
    with pytest.raises(ValueError, match='field_diameter_mm'):
        count_slide([], tiles, field_diameter_mm=0)


def test_a_slide():
    tiles = counted_tiles(np.ones((8, 5)), cell_px=1024, tile_px=1024, slide_size_px=(5120, 8192), mpp=0.25)
    points = np.random.default_rng(0).uniform(0, 5000, (25, 3))
    counts = count_slide(np.concatenate([points, [[6000, 10, 0.9]]]), tiles)
    assert (counts.figures, counts.count, counts.num_tiles, counts.tile_um) == (26, 25, 40, 256)
    area = 40 * 0.256**2
    assert counts.counted_mm2 == pytest.approx(area)
    assert counts.excluded_because is None
    assert counts.mai == 25 / 40
    low, high = poisson_ci95(25)
    assert_allclose(counts.count_ci95, [low, high])
    assert_allclose(counts.mai_ci95, [low / 40, high / 40])
    assert_allclose(counts.per_mm2_ci95, [low / area, high / area])
    assert counts.per_10_hpf == pytest.approx(25 / area * 2.2062, rel=1e-4)
    plain = json.loads(json.dumps(counts.to_dict(), allow_nan=False))
    assert plain['mai_ci95'] == list(counts.mai_ci95)
    assert plain['excluded_because'] is None


def test_a_slide_with_little_tumour_is_excluded_and_says_why():
    tiles = counted_tiles(np.ones((4, 6)), cell_px=1024, tile_px=1024, slide_size_px=(6144, 4096), mpp=0.25)
    counts = count_slide([[5, 5], [9, 9]], tiles)
    assert counts.excluded_because == '1.57 mm2 counted, less than 1.59 mm2'
    assert (counts.count, counts.figures) == (2, 2)
    rates = counts.mai, counts.mai_ci95, counts.per_mm2, counts.per_mm2_ci95, counts.per_10_hpf, counts.per_10_hpf_ci95
    assert rates == (None,) * 6
    assert count_slide([[5, 5], [9, 9]], tiles, min_area_mm2=1.5).mai == 2 / 24


def test_the_area_limit_is_inclusive():
    assert exclusion_reason(1.59) is None
    # Added one by one; `sum` makes up for the rounding from Python 3.12 on.
    *_, added = itertools.accumulate([1.59 / 26] * 26)
    assert added < 1.59
    assert exclusion_reason(added) is None
    assert exclusion_reason(1.58) == '1.58 mm2 counted, less than 1.59 mm2'


def test_no_tumour_at_all_has_no_rates_even_without_a_limit():
    counts = count_slide([], tiles_of(np.zeros((4, 4))), min_area_mm2=0)
    assert counts.excluded_because == 'no tile is counted'
    assert (counts.count, counts.mai, counts.per_mm2, counts.per_10_hpf) == (0, None, None, None)


def test_overlap_of_intervals_with_cells():
    assert_allclose(overlap_px([0, 5, -3, 25], [10, 25, 4, 40], 10, 3), [[10, 0, 0], [5, 10, 5], [4, 0, 0], [0, 0, 5]])
