"""Covers a slide with tiles that start on the lattice of a network's cells."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.geometry import FeatureGeometry

_COST_OF_A_WINDOW = 256


class Window(NamedTuple):
    """A rectangle of cells.

    Attributes:
        row: First row.
        column: First column.
        rows: Number of rows.
        columns: Number of columns.
    """

    row: int
    column: int
    rows: int
    columns: int


class Margin(NamedTuple):
    """Cells that are computed around a window and thrown away, so that padding is never seen.

    Attributes:
        before: On the left and above.
        after: On the right and below.
    """

    before: int
    after: int

    @property
    def both(self) -> int:
        """Number of cells on both sides together."""
        return self.before + self.after

    def inner(self, cells: int) -> slice:
        """Return the slice of ``cells + both`` cells that is kept."""
        return slice(self.before, self.before + cells)


def margin_cells(geometry: FeatureGeometry, step: int = 1) -> Margin:
    """Compute the margin that a network needs.

    The first cell that is kept sees ``receptive_radius_px`` to the left of its centre, the last one as far to the
    right of its own; a cell's centre is not the centre of its pixels, so the sides differ.

    Args:
        geometry: Where the cells lie.
        step: The margin before is a multiple of it; see :func:`plan_bands`.
    """
    before = geometry.receptive_radius_px - geometry.center_offset_px
    after = geometry.center_offset_px + geometry.receptive_radius_px - (geometry.stride - 1)
    cells_before, cells_after = (max(0, int(np.ceil(reach / geometry.stride))) for reach in (before, after))
    return Margin(-(-cells_before // step) * step, cells_after)


def plan_bands(needed: NDArray[np.bool_], max_cells: int, margin: Margin, step: int = 1) -> list[list[Window]]:
    """Cover the needed cells with windows that include few other cells.

    The needed area is cut into equal windows of at most ``max_cells``; each window is shrunk, and halved wherever its
    halves cost less. The cost of a window is its area with the margin, plus a small constant.

    Args:
        needed: Array ``(h, w)``.
        max_cells: Longest side of a window; at least ``step``.
        margin: Cells that are computed around a window.
        step: Windows begin at multiples of it: a network with a coarse level inside gives the same for a tile as for
            the whole image only if the tile begins on that level's lattice.

    Returns:
        Bands of rows, from above; the windows of each, ordered by row and column. They do not overlap and hold every
        needed cell.
    """
    if max_cells < step:
        raise ValueError(f'max_cells must be at least {step}, found {max_cells}')
    if step > 1:
        blocks = _blocks(needed, step)
        coarse = Margin(*(-(-cells // step) for cells in margin))
        bands = plan_bands(blocks, max_cells // step, coarse)
        return [[_enlarged(window, step, needed.shape) for window in band] for band in bands]
    whole = _shrink(needed, Window(0, 0, *needed.shape))
    if whole is None:
        return []
    bands = []
    for row, rows in _equal_parts(whole.row, whole.rows, max_cells):
        band: list[Window] = []
        for column, columns in _equal_parts(whole.column, whole.columns, max_cells):
            part = _shrink(needed, Window(row, column, rows, columns))
            if part is not None:
                band += _divide(needed, part, margin)
        if band:
            bands.append(sorted(band))
    return bands


def _blocks(needed: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """Mark the blocks of ``step`` x ``step`` cells that hold a needed one."""
    padded = np.pad(needed, [(0, -length % step) for length in needed.shape])
    rows, columns = (length // step for length in padded.shape)
    return np.asarray(padded.reshape(rows, step, columns, step).any(axis=(1, 3)))


def _enlarged(window: Window, step: int, shape: tuple[int, ...]) -> Window:
    """Convert a window of blocks into a window of cells, clipped where the cells end."""
    row, column, rows, columns = (step * number for number in window)
    return Window(row, column, min(rows, shape[0] - row), min(columns, shape[1] - column))


def _equal_parts(first: int, length: int, longest: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, length, -(-length // longest) + 1).round().astype(int) + first
    return [(int(begin), int(end - begin)) for begin, end in itertools.pairwise(edges)]


def _divide(needed: NDArray[np.bool_], window: Window, margin: Margin) -> list[Window]:
    half = max(window.rows, window.columns) // 2
    if half <= margin.both // 2:
        return [window]
    if window.rows >= window.columns:
        parts = [window._replace(rows=half), window._replace(row=window.row + half, rows=window.rows - half)]
    else:
        parts = [window._replace(columns=half), window._replace(column=window.column + half)]
        parts[1] = parts[1]._replace(columns=window.columns - half)
    shrunk = [_shrink(needed, part) for part in parts]
    divided = [piece for part in shrunk if part is not None for piece in _divide(needed, part, margin)]
    return divided if sum(_cost(part, margin) for part in divided) < _cost(window, margin) else [window]


def _shrink(needed: NDArray[np.bool_], window: Window) -> Window | None:
    part = needed[window.row : window.row + window.rows, window.column : window.column + window.columns]
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not len(rows):
        return None
    return Window(
        window.row + int(rows[0]),
        window.column + int(columns[0]),
        int(rows[-1] - rows[0]) + 1,
        int(columns[-1] - columns[0]) + 1,
    )


def _cost(window: Window, margin: Margin) -> int:
    return (window.rows + margin.both) * (window.columns + margin.both) + _COST_OF_A_WINDOW
