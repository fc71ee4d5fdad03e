from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from mitouts.imaging import ScaledView, open_slide, tissue_tiles


def _view(path: Path) -> tuple[ScaledView, np.ndarray]:
    image = np.full((1200, 1600, 3), 243, np.uint8)
    image[300:700, 900:1400] = (170, 60, 140)
    tifffile.imwrite(path, image, photometric='rgb', tile=(256, 256))
    mask = np.zeros((60, 80), dtype=bool)
    mask[15:35, 45:70] = True
    return ScaledView(open_slide(path), level=0), mask


def test_tiles_are_centred_on_tissue_and_spread_over_it(tmp_path: Path) -> None:
    view, mask = _view(tmp_path / 'slide.tif')
    tiles = list(tissue_tiles(view, mask))
    assert len(tiles) == 64
    assert all(tile.shape == (256, 256, 3) for tile in tiles)
    assert all(tuple(tile[128, 128]) == (170, 60, 140) for tile in tiles)
    shares = [(tile[..., 1] == 60).mean() for tile in tiles]
    assert min(shares) < 0.5 < max(shares)


def test_slide_without_tissue_has_no_tiles(tmp_path: Path) -> None:
    view, mask = _view(tmp_path / 'slide.tif')
    assert list(tissue_tiles(view, np.zeros_like(mask))) == []
