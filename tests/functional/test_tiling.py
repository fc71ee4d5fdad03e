from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitouts.functional.tiling import owning_tile, tile_starts

lengths = st.integers(1, 400)


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, int]:
    tile = draw(st.integers(1, 120))
    return draw(lengths), tile, draw(st.integers(1, tile))


def test_known_sizes_by_hand():
    assert tile_starts(2000, 500, 500).tolist() == [0, 500, 1000, 1500]
    assert tile_starts(2000, 500, 500, 'drop').tolist() == [0, 500, 1000]
    assert tile_starts(1539, 500, 500).tolist() == [0, 500, 1000, 1039]
    assert tile_starts(1539, 500, 500, 'drop').tolist() == [0, 500, 1000]
    assert tile_starts(300, 500, 500).tolist() == [0]
    assert tile_starts(300, 500, 500, 'drop').tolist() == []
    assert tile_starts(700, 500, 250).tolist() == [0, 200]


@given(grids())
def test_drop_is_the_authors_loop(grid: tuple[int, int, int]):
    length, tile, stride = grid
    expected, x = [], 0
    while x + tile < length:
        expected.append(x)
        x += stride
    assert tile_starts(length, tile, stride, 'drop').tolist() == expected


@given(grids())
def test_cover_covers_every_pixel_inside_the_image(grid: tuple[int, int, int]):
    length, tile, stride = grid
    starts = tile_starts(length, tile, stride)
    covered = np.zeros(max(length, tile), dtype=bool)
    for start in starts:
        covered[start : start + tile] = True
    assert covered[:length].all()
    assert len(covered) == max(length, tile)
    assert (np.diff(starts) > 0).all()
    assert starts[-1] + tile == max(length, tile)


@given(grids(), st.lists(st.floats(-0.5, 399.5), max_size=8), st.sampled_from(['cover', 'drop']))
def test_owner_is_the_tile_in_which_the_position_is_deepest(
    grid: tuple[int, int, int], positions: list[float], edges: str
):
    length, tile, stride = grid
    positions = [min(position, length - 0.5) for position in positions]
    starts = tile_starts(length, tile, stride, edges)
    found = owning_tile(positions, starts, tile)
    for position, owner in zip(positions, found):
        depths = [min(position - (start - 0.5), start + tile - 0.5 - position) for start in starts]
        inside = [depth for depth in depths if depth >= 0]
        if not inside:
            assert owner == -1
        else:
            assert depths[owner] == pytest.approx(max(depths))
    if edges == 'cover':
        assert (found >= 0).all()


def test_position_on_the_border_of_two_tiles_belongs_to_the_first():
    assert owning_tile([499.5, 499.4, 499.6], [0, 500], 500).tolist() == [0, 0, 1]


@pytest.mark.parametrize(('length', 'tile', 'stride'), [(0, 5, 5), (5, 0, 1), (5, 5, 0), (50, 5, 6)])
def test_impossible_grids_are_refused(length: int, tile: int, stride: int):
    with pytest.raises(ValueError, match=r'positive|gaps'):
        tile_starts(length, tile, stride)
