"""The sheet of annotated figures."""

from __future__ import annotations

import numpy as np

from mitouts.visualization.figure_sheet import CropBlock, figure_sheet
from mitouts.visualization.palette import INK

MARGIN = 8
ORANGE, BLUE = (213, 94, 0), (0, 114, 178)


def crops(count: int) -> list[np.ndarray]:
    return [np.full((64, 64, 3), 40 + 10 * number, np.uint8) for number in range(count)]


def blocks(first: int, second: int) -> list[CropBlock]:
    return [
        CropBlock('mitotic figure: some', ORANGE, crops(first), ['case 1, train'] * first),
        CropBlock('hard negative: some', BLUE, crops(second), ['case 2, train'] * second),
    ]


def test_each_crop_is_framed_in_its_category_s_colour():
    sheet = figure_sheet(blocks(3, 5), columns=4, tile_px=100)
    for colour, count in ((ORANGE, 3), (BLUE, 5)):
        frames = (sheet == colour).all(axis=2).sum()
        swatch = 15 * 15
        assert frames == count * (100**2 - 92**2) + swatch
    for number in range(5):
        assert (sheet == 40 + 10 * number).all(axis=2).sum() >= 92**2


def test_orange_stands_above_blue():
    sheet = figure_sheet(blocks(3, 5), columns=4, tile_px=100)
    orange, blue = (np.flatnonzero((sheet == colour).all(axis=(2)).any(axis=1)) for colour in (ORANGE, BLUE))
    assert orange.max() < blue.min()


def test_a_category_without_crops_is_a_title():
    sheet = figure_sheet(blocks(2, 0), columns=4, tile_px=100)
    assert (sheet == BLUE).all(axis=2).sum() == 15 * 15
    assert sheet.dtype == np.uint8


def test_scale_bar_is_a_round_length():
    plain = figure_sheet(blocks(4, 4), columns=4, tile_px=128, note='note')
    scaled = figure_sheet(blocks(4, 4), columns=4, tile_px=128, note='note', um_per_px=0.25)
    assert plain.shape == scaled.shape
    bar = max(int((row[MARGIN:] == INK).all(axis=1).argmin()) for row in scaled[-30:])
    # 10 um at 0.125 um per pixel of the sheet.
    assert bar == 80
