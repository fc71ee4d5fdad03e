"""Replaces tiles by their mean colour: a control for images that are put together from tiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from mitouts.errors import ConfigError
from mitouts.registry import TRANSFORMS
from mitouts.transforms.base import Transform


@TRANSFORMS.register_module()
class TileMeans(Transform):
    """Replace each tile's pixels by their mean colour, so that only its position, its colour and the seams are left.

    A model that finds figures after training on such images recognizes them by the way the images were put together.

    Args:
        tile_px: Side of a tile in pixels, counted from the top left corner; the last ones may be cut.

    Raises:
        ConfigError: ``tile_px`` is not a whole number above 0.
    """

    def __init__(self, tile_px: int = 48) -> None:
        if tile_px < 1 or tile_px != int(tile_px):
            raise ConfigError(f'TileMeans.tile_px must be a whole number above 0, found {tile_px}')
        self.tile_px = int(tile_px)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        image = results['img'].copy()
        for top in range(0, image.shape[0], self.tile_px):
            for left in range(0, image.shape[1], self.tile_px):
                tile = image[top : top + self.tile_px, left : left + self.tile_px]
                tile[:] = np.rint(tile.mean(axis=(0, 1)))
        results['img'] = image
        return results
