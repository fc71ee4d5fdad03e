"""Draws crops of a slide's figures, numbered as on its map: the most certain ones, and those near the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.visualization.contact_sheet import contact_sheet, on_paper
from mitouts.visualization.overlay import format_score
from mitouts.visualization.palette import FAINT_INK, FALSE_POSITIVE, INK, OUTLINE, PAPER, RGB
from mitouts.visualization.slide_panels import COUNTED
from mitouts.visualization.text import draw_text

CROPS_PER_ROW = 12
_NOT_COUNTED: RGB = (170, 170, 176)
_STRIP_PX = 44
_GAP_PX = 8


@dataclass(frozen=True, eq=False)
class Crop:
    """A crop around a point, and what is known about the point.

    Attributes:
        pixels: Square, RGB.
        tag: Its name on the map: the row in ``figures.csv`` of a figure, a letter for another point.
        point: ``(x, y, score)`` in level-0 pixels.
        is_figure: Whether its score is above the threshold.
        is_counted: Whether it lies in a counted tile.
    """

    pixels: NDArray[np.uint8]
    tag: str
    point: tuple[float, float, float]
    is_figure: bool
    is_counted: bool


@dataclass(frozen=True)
class Gallery:
    """A group of crops under one title."""

    title: str
    crops: Sequence[Crop]


@dataclass(frozen=True, eq=False)
class Chosen:
    """The points to show, as positions among all points of a slide."""

    certain: list[int]
    just_above: list[int]
    just_below: list[int]


def choose_points(points: NDArray[np.float64], is_counted: NDArray[np.bool_], threshold: float) -> Chosen:
    """Choose the figures with the highest scores, two rows, and a row each of those next above and below the threshold.

    Points in counted tiles go before others. A dozen figures or fewer are shown in one row.

    Args:
        points: ``(N, 3)`` of ``(x, y, score)``, descending by score.
        is_counted: ``(N,)`` whether the point lies in a counted tile.
        threshold: Points with a higher score are figures.
    """
    is_figure = points[:, 2] > threshold
    order = np.argsort(~is_counted, kind='stable')
    figures, others = order[is_figure[order]], order[~is_figure[order]]
    num_above = min(CROPS_PER_ROW, max(len(figures) - CROPS_PER_ROW, 0))
    certain, rest = np.split(figures, [min(2 * CROPS_PER_ROW, len(figures) - num_above)])
    counted_rest = rest[is_counted[rest]]
    above = (counted_rest if len(counted_rest) >= num_above else rest)[-num_above:] if num_above else rest[:0]
    return Chosen(certain.tolist(), above.tolist(), others[:CROPS_PER_ROW].tolist())


def draw_gallery(gallery: Gallery, width_px: int) -> NDArray[np.uint8]:
    """Draw a title and rows of crops, each with its tag, score and place."""
    tile_px = (width_px - _GAP_PX) // CROPS_PER_ROW - _GAP_PX
    strip = np.full((_STRIP_PX, width_px, 3), PAPER, np.uint8)
    draw_text(strip, gallery.title, 0, 14, 18, INK if gallery.crops else FAINT_INK, bold=bool(gallery.crops))
    if not gallery.crops:
        return strip
    tiles = [_tile(crop, tile_px) for crop in gallery.crops]
    sheet = contact_sheet(tiles, [_caption(crop) for crop in gallery.crops], CROPS_PER_ROW, tile_px)
    return np.concatenate([strip, on_paper(width_px, (0, sheet))])


def _tile(crop: Crop, tile_px: int) -> NDArray[np.uint8]:
    tile = np.asarray(cv2.resize(crop.pixels, (tile_px, tile_px), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    colour = _NOT_COUNTED if not crop.is_counted else COUNTED if crop.is_figure else FALSE_POSITIVE
    cv2.rectangle(tile, (1, 1), (tile_px - 2, tile_px - 2), colour, 3)
    draw_text(tile, crop.tag, 8, 5, 17, PAPER, halo=OUTLINE, bold=True)
    return tile


def _caption(crop: Crop) -> str:
    x, y, score = crop.point
    return f'{format_score(score)} at {x:.0f}, {y:.0f}' + ('' if crop.is_counted else ' (not counted)')
