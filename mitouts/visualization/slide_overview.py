"""Draws a slide on one page: where it was counted, the density of mitoses, the hottest region, and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mitouts.visualization import legend, slide_panels
from mitouts.visualization.contact_sheet import on_paper
from mitouts.visualization.palette import FAINT_INK, INK, PAPER, RGB
from mitouts.visualization.slide_gallery import Gallery, draw_gallery
from mitouts.visualization.text import draw_text, fit_text, fitting_length, text_size

RESEARCH_USE = 'For research use only. Not for diagnosis.'
WIDTH_PX = 1840
_MARGIN_PX = 28
_GAP_PX = 22
_TEXT_PX = 470
_MAX_HEIGHT_PX = 880
_MAX_ENLARGEMENT = 4.0
_LEGEND_TEXT_PX = 16.0
_WARNING: RGB = (178, 34, 0)


@dataclass(frozen=True)
class Fact:
    """A line of text beside the picture, set in the given ``style``."""

    text: str
    style: Literal['headline', 'heading', 'plain', 'faint', 'warning'] = 'plain'


@dataclass(frozen=True, eq=False)
class SlidePicture:
    """The content of an overview. Lengths are in level-0 pixels, 0 at the centre of the first one.

    Attributes:
        thumbnail: ``(h, w, 3)`` uint8, RGB.
        cell_px: Width and height of a pixel of the thumbnail.
        mpp: Micrometres per pixel of level 0.
        tissue: ``(h, w)`` bool.
        counted: ``(rows, columns)`` bool, the tiles that count.
        tile_px: Side of a tile.
        figures: ``(N, 3)`` of ``(x, y, score)``.
        is_counted: ``(N,)`` whether they lie in counted tiles.
        roi: Left, top, width and height of the region that is drawn; None draws none.
        roi_label: Label of the region.
        unreadable: Rectangles ``(x, y, width, height)``.
        galleries: Crops of points; those of each are tagged on the map.
        facts: The text.
        note: A line at the bottom, such as the model.
    """

    title: str
    thumbnail: NDArray[np.uint8]
    cell_px: tuple[float, float]
    mpp: float
    tissue: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    tile_px: float
    figures: NDArray[np.float64]
    is_counted: NDArray[np.bool_]
    roi: tuple[float, float, float, float] | None
    roi_label: str | None
    unreadable: Sequence[tuple[float, float, float, float]]
    galleries: Sequence[Gallery]
    facts: Sequence[Fact]
    note: str


def draw_overview(picture: SlidePicture) -> NDArray[np.uint8]:
    """Draw a slide on one page.

    The part with tissue is shown twice at one scale: as it looks, with what was counted, and washed out below the
    density of mitoses. Its colours run from light to dark, so that they can be told apart in print and by everyone.

    Returns:
        ``(H, WIDTH_PX, 3)`` uint8, RGB.
    """
    inner = WIDTH_PX - 2 * _MARGIN_PX
    maps, text = _maps(picture, inner - _TEXT_PX - _GAP_PX), _text_block(picture.facts, _TEXT_PX)
    middle = on_paper(inner, (0, maps), (inner - _TEXT_PX, text))
    galleries = [draw_gallery(gallery, inner) for gallery in picture.galleries]
    footer = np.full((34, inner, 3), PAPER, np.uint8)
    draw_text(footer, fit_text(picture.note, 15, inner), 0, 12, 15, FAINT_INK)
    parts = [_header(picture.title, inner), middle, *galleries, footer]
    page = np.concatenate(parts)
    return np.pad(page, ((_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0)), constant_values=PAPER[0])


def _maps(picture: SlidePicture, width_px: int) -> NDArray[np.uint8]:
    """Draw both maps, beside or above each other, whichever is larger, and explain their signs."""
    box = _shown_box(picture)
    shown_width, shown_height = box[2] - box[0], box[3] - box[1]
    half = (width_px - _GAP_PX) // 2
    beside = min((half - 2) / shown_width, _MAX_HEIGHT_PX / shown_height)
    above = min((width_px - 2) / shown_width, (_MAX_HEIGHT_PX - _GAP_PX) / 2 / shown_height)
    scale = min(max(beside, above), _MAX_ENLARGEMENT)
    slot = half if beside >= above else width_px
    panel = slide_panels.Panel.of(picture.thumbnail, box, scale, picture.cell_px)

    plain = panel.image.copy()
    slide_panels.draw_areas(plain, panel, picture.tissue, picture.counted, picture.tile_px)
    slide_panels.draw_unreadable(plain, panel, picture.unreadable)
    slide_panels.draw_figures(plain, panel, picture.figures)
    crops = [crop for gallery in picture.galleries for crop in gallery.crops]
    doubts = [crop.point for crop in crops if not crop.is_figure]
    slide_panels.draw_doubts(plain, panel, np.array(doubts, dtype=np.float64).reshape(-1, 3))
    heat, highest = slide_panels.heat_panel(
        panel, picture.figures[picture.is_counted], picture.counted, picture.tile_px, picture.mpp
    )
    slide_panels.draw_unreadable(heat, panel, picture.unreadable)
    for image in (plain, heat):
        if picture.roi is not None:
            slide_panels.draw_roi(image, panel, picture.roi, picture.roi_label or '')
    tagged = np.array([crop.point for crop in crops], dtype=np.float64).reshape(-1, 3)
    slide_panels.draw_tags(plain, panel, tagged, [crop.tag for crop in crops])
    bordered = [np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=190) for image in (plain, heat)]
    framed = [on_paper(slot, (max((slot - image.shape[1]) // 2, 0), image)) for image in bordered]
    if beside >= above:
        both = on_paper(width_px, (0, framed[0]), (width_px - slot, framed[1]))
    else:
        both = np.concatenate([framed[0], np.full((_GAP_PX, slot, 3), PAPER, np.uint8), framed[1]])

    signs: list[tuple[legend.Icon, str]] = [
        (slide_panels.tissue_icon, 'tissue'),
        (slide_panels.counted_icon, 'counted area'),
        (slide_panels.figure_icon, label_of_figures(picture.is_counted)),
        *([(slide_panels.doubt_icon, 'just below the threshold')] if doubts else []),
        *([(slide_panels.roi_icon, f'hottest region, {picture.roi_label}')] if picture.roi is not None else []),
        *([(slide_panels.unreadable_icon, 'unreadable')] if picture.unreadable else []),
    ]
    sigma_um = slide_panels.smoothing_um(picture.counted, picture.tile_px, picture.mpp)
    entries = [
        slide_panels.scale_bar(panel.um_per_px(picture.mpp), panel.image.shape[1] / 2, _LEGEND_TEXT_PX),
        *(legend.icon_entry(icon, text, _LEGEND_TEXT_PX) for icon, text in signs),
        slide_panels.colour_bar(highest, sigma_um, _LEGEND_TEXT_PX),
    ]
    return np.concatenate([both, legend.legend_strip(entries, width_px, _LEGEND_TEXT_PX)])


def label_of_figures(is_counted: NDArray[np.bool_]) -> str:
    """Return the legend's text for the figures on the map, some of which may lie outside the counted tiles.

    >>> label_of_figures(np.array([True, True])), label_of_figures(np.array([True, False]))
    ('mitotic figure (2)', 'mitotic figure (2, 1 of them counted)')
    """
    total, counted = len(is_counted), int(is_counted.sum())
    return f'mitotic figure ({total})' if counted == total else f'mitotic figure ({total}, {counted} of them counted)'


def _shown_box(picture: SlidePicture) -> tuple[int, int, int, int]:
    """Return the part of the thumbnail to show: everything with tissue, a figure or the region, and a margin."""
    height, width = picture.thumbnail.shape[:2]
    rows, columns = np.nonzero(picture.tissue)
    xy = [np.stack([columns, rows], axis=1) + 0.5] if len(rows) else []
    cell = np.array(picture.cell_px)
    if len(picture.figures):
        xy.append((picture.figures[:, :2] + 0.5) / cell)
    if picture.roi is not None:
        left, top, roi_width, roi_height = picture.roi
        xy.append((np.array([[left, top], [left + roi_width, top + roi_height]]) + 0.5) / cell)
    if not xy:
        return 0, 0, width, height
    points = np.concatenate(xy)
    low, high = points.min(axis=0), points.max(axis=0)
    rim = 0.04 * (high - low).max() + 1
    first = np.floor(np.clip(low - rim, 0, (width - 1, height - 1))).astype(int)
    last = np.ceil(np.clip(high + rim, first + 1, (width, height))).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _text_block(facts: Sequence[Fact], width_px: int) -> NDArray[np.uint8]:
    sizes = {'headline': 34.0, 'heading': 15.0, 'plain': 18.0, 'faint': 15.0, 'warning': 18.0}
    colours = {'headline': INK, 'heading': FAINT_INK, 'plain': INK, 'faint': FAINT_INK, 'warning': _WARNING}
    lines: list[tuple[str, str, int]] = []
    top = 0
    for fact in facts:
        size = sizes[fact.style]
        bold = fact.style in ('headline', 'heading')
        top += round(0.9 * size) if fact.style == 'heading' else round(0.1 * size)
        for line in wrap(fact.text, size, width_px, bold=bold):
            lines.append((line, fact.style, top))
            top += round(1.3 * size)
    block = np.full((max(top, 1), width_px, 3), PAPER, np.uint8)
    for line, style, at in lines:
        draw_text(block, line, 0, at, sizes[style], colours[style], bold=style in ('headline', 'heading'))
    return block


def wrap(text: str, size_px: float, width_px: int, *, bold: bool = False) -> list[str]:
    """Break a text into lines between words, and within a word that is wider than a line."""
    lines, line = [], ''
    waiting = text.split()[::-1]
    while waiting:
        word = waiting.pop()
        longer = f'{line} {word}' if line else word
        if text_size(longer, size_px, bold)[0] <= width_px:
            line = longer
        elif line:
            lines.append(line)
            line = ''
            waiting.append(word)
        else:
            fits = max(fitting_length(word, size_px, width_px, bold), 1)
            lines.append(word[:fits])
            waiting += [word[fits:]] if word[fits:] else []
    return [*lines, line] if line or not lines else lines


def _header(title: str, width_px: int) -> NDArray[np.uint8]:
    strip = np.full((62, width_px, 3), PAPER, np.uint8)
    notice_px = text_size(RESEARCH_USE, 17, bold=True)[0]
    draw_text(strip, fit_text(title, 28, width_px - notice_px - _GAP_PX, bold=True), 0, 0, 28, INK, bold=True)
    draw_text(strip, RESEARCH_USE, width_px - notice_px, 9, 17, _WARNING, bold=True)
    strip[48:50] = (205, 205, 210)
    return strip
