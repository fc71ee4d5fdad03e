"""Tiles of a slide that its stain is measured on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.view import ScaledView

STAIN_TILE_PX = 256
STAIN_TILES = 64


def tissue_tiles(view: ScaledView, tissue: NDArray[np.bool_]) -> Iterator[NDArray[np.uint8]]:
    """Read tiles spread evenly over the tissue; those that cannot be read are passed over.

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
