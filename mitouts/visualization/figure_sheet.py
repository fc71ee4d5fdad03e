"""Draws a sheet of annotated figures, a block for each category, to look at a data set before a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mitouts.visualization.contact_sheet import contact_sheet, fit_image, on_paper
from mitouts.visualization.legend import legend_strip, scale_bar_entry, text_entry
from mitouts.visualization.palette import INK, PAPER, RGB
from mitouts.visualization.text import draw_text, fit_text, text_size

_TITLE_PX = 19.0
_FRAME_PX = 4
_MARGIN_PX = 8


@dataclass(frozen=True)
class CropBlock:
    """The crops of one category.

    Attributes:
        title: Title of the block.
        colour: Colour of the frames.
        crops: ``(h, w, 3)`` uint8, RGB, each with its figure in the centre.
        captions: One a crop.
    """

    title: str
    colour: RGB
    crops: Sequence[np.ndarray]
    captions: Sequence[str]


def figure_sheet(
    blocks: Sequence[CropBlock], columns: int = 8, tile_px: int = 150, note: str = '', um_per_px: float | None = None
) -> np.ndarray:
    """Draw the blocks one below the other.

    Args:
        blocks: Blocks to draw; one without crops is only a title.
        columns: Crops in a row.
        tile_px: Side of a crop on the sheet.
        note: A remark for the bottom line.
        um_per_px: Micrometres per pixel of the crops, for a scale bar; None draws none.

    Returns:
        ``(H, W, 3)`` uint8, RGB.
    """
    scales = {tile_px / max(crop.shape[:2]) for block in blocks for crop in block.crops}
    sheets = []
    for block in blocks:
        if block.crops:
            tiles = [_framed(crop, tile_px, block.colour) for crop in block.crops]
            sheets.append(contact_sheet(tiles, block.captions, columns, tile_px))
        else:
            sheets.append(np.full((_MARGIN_PX, 1, 3), PAPER, np.uint8))
    titles = [_title(block) for block in blocks]
    width = max([part.shape[1] for part in (*sheets, *titles)])
    parts = [part for pair in zip(titles, sheets) for part in pair]
    entries = [text_entry(fit_text(note, 13, width - 2 * _MARGIN_PX), 13)] if note else []
    if um_per_px is not None and len(scales) == 1:
        entries.insert(0, scale_bar_entry(um_per_px / scales.pop(), tile_px, 13))
    if entries:
        parts.append(legend_strip(entries, width, 13))
    return np.concatenate([on_paper(width, (0, part)) for part in parts])


def _framed(crop: np.ndarray, tile_px: int, colour: RGB) -> np.ndarray:
    tile = np.ascontiguousarray(fit_image(crop, tile_px, tile_px))
    height, width = tile.shape[:2]
    half = _FRAME_PX // 2
    cv2.rectangle(tile, (half - 1, half - 1), (width - half, height - half), colour, _FRAME_PX)
    return tile


def _title(block: CropBlock) -> np.ndarray:
    swatch = round(_TITLE_PX * 0.8)
    left = _MARGIN_PX + swatch + 8
    width = left + text_size(block.title, _TITLE_PX, bold=True)[0] + _MARGIN_PX
    strip = np.full((round(_TITLE_PX * 1.7), width, 3), PAPER, np.uint8)
    top = round(_TITLE_PX * 0.5)
    strip[top : top + swatch, _MARGIN_PX : _MARGIN_PX + swatch] = block.colour
    draw_text(strip, block.title, left, round(_TITLE_PX * 0.4), _TITLE_PX, INK, bold=True)
    return strip
