"""Arranges many small pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.visualization.palette import INK, PAPER
from mitouts.visualization.text import draw_text, fit_text

_GAP_PX = 8


def contact_sheet(
    tiles: Sequence[np.ndarray], captions: Sequence[str] | None = None, columns: int = 6, tile_px: int = 240
) -> np.ndarray:
    """Arrange pictures row by row, each with its caption below.

    Args:
        tiles: ``(h, w, 3)`` uint8, RGB, of any size; each is fitted into a square with its proportions kept.
        captions: One a tile, shortened where it is too wide; None for a sheet without captions.
        columns: Tiles in a row; a sheet with fewer tiles is as wide as they are.
        tile_px: Side of the square.

    Returns:
        ``(H, W, 3)`` uint8, RGB; the first tile is at the top left.

    Raises:
        ValueError: There is no tile, or not one caption a tile, or ``columns`` or ``tile_px`` is not positive.
    """
    if not tiles:
        raise ValueError('a contact sheet needs at least one tile')
    if captions is not None and len(captions) != len(tiles):
        raise ValueError(f'{len(captions)} captions for {len(tiles)} tiles: expected one a tile')
    if columns < 1 or tile_px < 1:
        raise ValueError(f'columns is {columns} and tile_px is {tile_px}: expected at least 1')
    columns = min(columns, len(tiles))
    text_px = float(np.clip(tile_px / 20, 11, 16))
    cell_width = tile_px + _GAP_PX
    cell_height = tile_px + _GAP_PX + (round(text_px * 1.5) if captions is not None else 0)
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * cell_height + _GAP_PX, columns * cell_width + _GAP_PX, 3), PAPER, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = _GAP_PX + index // columns * cell_height, _GAP_PX + index % columns * cell_width
        fitted = fit_image(tile, tile_px, tile_px)
        y, x = top + (tile_px - fitted.shape[0]) // 2, left + (tile_px - fitted.shape[1]) // 2
        sheet[y : y + fitted.shape[0], x : x + fitted.shape[1]] = fitted
        if captions is not None:
            caption = fit_text(captions[index], text_px, tile_px)
            draw_text(sheet, caption, left, top + tile_px + round(text_px * 0.15), text_px, INK)
    return sheet


def fit_image(image: np.ndarray, width_px: int, height_px: int, *, enlarge: bool = True) -> np.ndarray:
    """Resize ``(h, w, 3)`` to the largest size inside ``width_px`` x ``height_px`` with the same proportions."""
    factor = min(width_px / image.shape[1], height_px / image.shape[0])
    if factor > 1 and not enlarge:
        return image
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def on_paper(width_px: int, *placed: tuple[int, np.ndarray]) -> NDArray[np.uint8]:
    """Make a strip of paper of this width, as high as needed, with pictures at its top, each at its left edge."""
    strip = np.full((max(picture.shape[0] for _, picture in placed), width_px, 3), PAPER, np.uint8)
    for left, picture in placed:
        strip[: picture.shape[0], left : left + picture.shape[1]] = picture[:, : width_px - left]
    return strip
