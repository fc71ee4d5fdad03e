"""Computes the score map of a whole slide tile by tile, in a file that an interrupted run continues."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.lattice import Window, plan_bands
from mitouts.inference.dense import DenseModel
from mitouts.utils.journal import Journal
from mitouts.wsi.tiles import Rectangle, Tile, TileReader

MAP_NAME = 'score_map.npy'
JOURNAL_NAME = 'tiles.jsonl'

Progress = Callable[[float, float], None]
"""Called with the MPix that are done and that there are, margins left out."""


@dataclass(frozen=True)
class SlideMap:
    """The score map of a slide, and what could not be read.

    Attributes:
        scores: Array ``(rows, columns)``, float32, one a cell; 0 where nothing was looked at.
        unreadable: Rectangles of the view that could not be read.
        megapixels: Pixels that this run computed, margins left out, in millions.
    """

    scores: NDArray[np.float32]
    unreadable: tuple[Rectangle, ...]
    megapixels: float


def map_slide(
    dense: DenseModel,
    reader: TileReader,
    needed: NDArray[np.bool_],
    folder: Path,
    stamp: Mapping[str, Any],
    *,
    tile_cells: int,
    batch: int = 1,
    progress: Progress | None = None,
) -> SlideMap:
    """Compute the scores of the needed cells.

    The tiles of one row of the grid are a band. A finished band is written to disk before it is recorded as done, so a
    run that was killed continues with the next one.

    Args:
        dense: The network.
        reader: Gives its tiles.
        needed: Array ``(rows, columns)``, the cells to be computed.
        folder: Gets the map and the list of finished bands.
        stamp: All that the scores depend on; a folder with another stamp is begun again.
        tile_cells: Longest side of a tile without its margin.
        batch: Tiles of one shape that go through the network together.
        progress: Told before the first batch and after every one.
    """
    bands = plan_bands(needed, max(tile_cells, dense.step), dense.margin, dense.step)
    if not _has_map(folder / MAP_NAME, needed.shape):
        (folder / JOURNAL_NAME).unlink(missing_ok=True)
    journal = Journal(folder / JOURNAL_NAME, {**stamp, 'tile_cells': tile_cells}, other='forget')
    scores = _open_map(folder / MAP_NAME, needed.shape, keep=bool(journal.steps))
    with journal:
        done = {step['band'] for step in journal.steps}
        total = sum(_megapixels(each, reader.stride) for band in bands for each in band)
        finished = sum(_megapixels(each, reader.stride) for number in done for each in bands[number])
        before = finished
        if progress:
            progress(finished, total)
        for number, band in enumerate(bands):
            if number in done:
                continue
            unreadable: list[Rectangle] = []
            for tiles in _batches(reader.tiles(band), batch):
                maps = dense(np.stack([tile.image for tile in tiles]))
                for tile, scored in zip(tiles, maps):
                    window, margin = tile.window, dense.margin
                    rows = slice(window.row, window.row + window.rows)
                    columns = slice(window.column, window.column + window.columns)
                    scores[rows, columns] = scored[margin.inner(window.rows), margin.inner(window.columns)]
                    unreadable += tile.unreadable
                    finished += _megapixels(tile.window, reader.stride)
                if progress:
                    progress(finished, total)
            scores.flush()
            journal.add({'band': number, 'unreadable': [asdict(each) for each in unreadable]})
    rectangles = {Rectangle(**each) for step in journal.steps for each in step['unreadable']}
    ordered = tuple(sorted(rectangles, key=lambda each: (each.y, each.x)))
    return SlideMap(scores, ordered, finished - before)


def _has_map(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether the file holds a whole map of this shape; a full disk leaves half of one."""
    try:
        return np.lib.format.open_memmap(path, mode='r').shape == shape
    except (OSError, ValueError):
        return False


def _open_map(path: Path, shape: tuple[int, ...], *, keep: bool) -> np.memmap:
    path.parent.mkdir(parents=True, exist_ok=True)
    if keep:
        return np.lib.format.open_memmap(path, mode='r+')
    return np.lib.format.open_memmap(path, mode='w+', dtype=np.float32, shape=shape)


def _batches(tiles: Iterator[Tile], batch: int) -> Iterator[Sequence[Tile]]:
    """Yield up to ``batch`` consecutive tiles of one shape at a time."""
    for _, run in itertools.groupby(tiles, key=lambda tile: tile.image.shape):
        while group := list(itertools.islice(run, batch)):
            yield group


def _megapixels(window: Window, stride: int) -> float:
    return window.rows * window.columns * stride**2 / 1e6
