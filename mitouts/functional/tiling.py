"""Computes where patches start, and which patch a figure belongs to."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Edges = Literal['cover', 'drop']
EDGES: tuple[Edges, ...] = ('cover', 'drop')


def tile_starts(length_px: int, tile_px: int, stride_px: int, edges: Edges = 'cover') -> NDArray[np.int64]:
    """Place tiles along one axis.

    Args:
        length_px: Length of the image.
        tile_px: Length of a tile.
        stride_px: Distance from the start of one tile to the next.
        edges: ``cover`` adds a last tile, shifted inward to end where the image ends; an image that is shorter than a
            tile gets one tile at 0, which reaches beyond it. ``drop`` keeps the tiles that end before the image does,
            as the authors' code has it (``while x + tile < length``): a tile that fits exactly is dropped as well.

    Returns:
        ``(T,)`` int64, the first pixels of the tiles, ascending.

    Raises:
        ValueError: A length or the stride is not positive, or the stride leaves gaps between tiles.

    >>> tile_starts(1000, tile_px=400, stride_px=400).tolist()
    [0, 400, 600]
    """
    if length_px < 1 or tile_px < 1 or stride_px < 1:
        raise ValueError(f'lengths must be positive, found length {length_px}, tile {tile_px}, stride {stride_px} px')
    if stride_px > tile_px:
        raise ValueError(f'a stride of {stride_px} px leaves gaps between tiles of {tile_px} px')
    if edges == 'drop':
        return np.arange(0, max(length_px - tile_px, 0), stride_px, dtype=np.int64)
    last = max(length_px - tile_px, 0)
    return np.append(np.arange(0, last, stride_px, dtype=np.int64), last)


def owning_tile(positions_px: ArrayLike, starts_px: ArrayLike, tile_px: int) -> NDArray[np.int64]:
    """Find the tile in which a position lies deepest, along one axis.

    A tile spans ``start - 0.5 .. start + tile - 0.5``, both ends included. As tiles form a grid, the tile that a point
    belongs to in the plane (the one whose nearest side is farthest) is the owner along each axis.

    Args:
        positions_px: ``(N,)`` in pixels, 0 at the centre of the first pixel.
        starts_px: ``(T,)`` first pixels of the tiles, ascending.
        tile_px: Length of a tile.

    Returns:
        ``(N,)`` int64, the index of the tile, of equally deep ones the first; -1 where no tile holds the position.
    """
    positions = np.asarray(positions_px, dtype=np.float64).reshape(-1)
    starts = np.asarray(starts_px, dtype=np.float64).reshape(-1)
    if not len(starts) or not len(positions):
        return np.full(len(positions), -1, dtype=np.int64)
    centers = starts + (tile_px - 1) / 2
    # The deepest tile is the one with the nearest centre: that at or after the position, or the one before it.
    after = np.clip(np.searchsorted(centers, positions), 1, max(len(starts) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(starts) - 1)
    nearer_after = np.abs(centers[after] - positions) < np.abs(centers[before] - positions)
    owner = np.where(nearer_after, after, before)
    return np.where(np.abs(centers[owner] - positions) <= tile_px / 2, owner, -1)
