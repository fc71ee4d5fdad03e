"""Picks the tiles of a slide or image that its stain is measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.view import ScaledView

STAIN_TILE_PX = 256
STAIN_TILES = 64
GRID_TILES = 5
"""Tiles along each side of an image whose tissue is not known."""


def tissue_tiles(view: ScaledView, tissue: NDArray[np.bool_]) -> Iterator[NDArray[np.uint8]]:
    """Read tiles spread evenly over the tissue; tiles that cannot be read are skipped.

    Args:
        view: The slide at one resolution.
        tissue: Array ``(h, w)`` over the whole slide, at any resolution.

    Returns:
        At most 64 arrays ``(256, 256, 3)``, RGB, white outside the slide; none without tissue.
    """
    rows, columns = np.nonzero(tissue)
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), STAIN_TILES)).round().astype(int))
    across, down = (length / cells for length, cells in zip(view.dimensions, tissue.shape[::-1]))
    for index in chosen:
        x = int((columns[index] + 0.5) * across) - STAIN_TILE_PX // 2
        y = int((rows[index] + 0.5) * down) - STAIN_TILE_PX // 2
        try:
            yield view.read(x, y, STAIN_TILE_PX, STAIN_TILE_PX)
        except ImageError:
            view.reader.close()


def even_tiles(
    dimensions: tuple[int, int], read: Callable[[int, int, int, int], NDArray[np.uint8]]
) -> Iterator[NDArray[np.uint8]]:
    """Read tiles spread evenly over an image, regardless of its content.

    Args:
        dimensions: Width and height in pixels.
        read: Called with left, top, width and height.

    Returns:
        At most 25 arrays ``(256, 256, 3)``, RGB; smaller where the image is.
    """
    width, height = dimensions
    tile = min(width, STAIN_TILE_PX), min(height, STAIN_TILE_PX)
    columns = np.unique(np.linspace(0, width - tile[0], GRID_TILES + 2).astype(int)[1:-1])
    rows = np.unique(np.linspace(0, height - tile[1], GRID_TILES + 2).astype(int)[1:-1])
    for y in rows.tolist():
        for x in columns.tolist():
            yield read(x, y, *tile)


def array_tiles(image: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Return the :func:`even_tiles` of an image ``(H, W, 3)`` in memory, as views of it."""
    return even_tiles(
        (image.shape[1], image.shape[0]), lambda x, y, width, height: image[y : y + height, x : x + width]
    )
