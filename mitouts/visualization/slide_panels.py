"""Draws the maps of a slide's overview, and the signs in their legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from mitouts.formats.regions import mask_to_polygons
from mitouts.functional.hotspot import density_map
from mitouts.visualization.legend import Entry, round_length, text_top
from mitouts.visualization.marks import MarkStyle, draw_dot, draw_lines, draw_mark
from mitouts.visualization.palette import FALSE_POSITIVE, INK, OUTLINE, PAPER, PREDICTED, RGB
from mitouts.visualization.text import draw_text, text_size

TISSUE: RGB = (70, 70, 78)
COUNTED: RGB = (0, 114, 178)
ROI: RGB = (255, 222, 0)
SIGMA_UM = (50.0, 300.0)
"""Least and largest standard deviation of the heat map's smoothing."""
_SIGMAS_PER_SIDE = 8

# The lightest colours would be lost on paper, and the darkest are all black.
_HEAT_COLOURS = np.rint(colormaps['magma_r'](np.linspace(0.03, 0.9, 256))[:, :3] * 255).astype(np.uint8)
_HEAT_OPACITY = 0.78
_WASHED = 0.45
_NICE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_CELLS_PER_SIGMA = 12
_TAG_PX = 14.0
# Where a tag is tried, in half widths and heights from its point.
_AROUND = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
DOUBT_MARK = MarkStyle(FALSE_POSITIVE, None)


@dataclass(frozen=True, eq=False)
class Panel:
    """A part of the thumbnail, scaled as it is shown.

    Attributes:
        image: ``(H, W, 3)`` uint8, RGB.
        corner: Its first column and row in the thumbnail.
        cell_px: Width and height of a pixel of the thumbnail, in level-0 pixels.
        zoom: Pixels shown per pixel of the thumbnail, along x and y.
    """

    image: NDArray[np.uint8]
    corner: tuple[int, int]
    cell_px: tuple[float, float]
    zoom: tuple[float, float]

    @classmethod
    def of(
        cls, thumbnail: NDArray[np.uint8], box: tuple[int, int, int, int], scale: float, cell_px: tuple[float, float]
    ) -> Panel:
        """Cut ``(left, top, right, bottom)`` out of the thumbnail and scale it."""
        left, top, right, bottom = box
        size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = cv2.resize(thumbnail[top:bottom, left:right], size, interpolation=interpolation)
        zoom = size[0] / (right - left), size[1] / (bottom - top)
        return cls(np.asarray(image, dtype=np.uint8), (left, top), cell_px, zoom)

    def place(self, points_xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where ``(N, 2)`` points of level 0 are shown, 0 at the centre of the first pixel."""
        return ((points_xy + 0.5) / self.cell_px - self.corner) * self.zoom - 0.5

    def um_per_px(self, mpp: float) -> float:
        """Return the micrometres per pixel that is shown."""
        return mpp * self.cell_px[0] / self.zoom[0]


def draw_areas(
    image: NDArray[np.uint8], panel: Panel, tissue: NDArray[np.bool_], counted: NDArray[np.bool_], tile_px: float
) -> None:
    """Outline tissue, thinly, and the counted tiles in place."""
    height, width = image.shape[:2]
    (left, top), size = panel.corner, (width, height)
    columns, rows = (round(length / zoom) for length, zoom in zip(size, panel.zoom))
    shown = tissue[top : top + rows, left : left + columns].astype(np.float32)
    mask = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA)) >= 0.5
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outlines, -1, TISSUE, 1, cv2.LINE_AA)
    rings = [panel.place(ring) for region in mask_to_polygons(counted, tile_px) for ring in region]
    for colour, pen in ((PAPER, 4), (COUNTED, 2)):
        draw_lines(image, rings, colour, pen, closed=True)


def draw_figures(image: NDArray[np.uint8], panel: Panel, figures: NDArray[np.float64]) -> None:
    """Draw a dot for each figure in place, smaller ones where there are many."""
    radius = 3.0 if len(figures) <= 300 else 2.0 if len(figures) <= 2000 else 1.0
    for x, y in panel.place(figures[:, :2]).tolist():
        draw_dot(image, x, y, radius, PREDICTED)


def draw_doubts(image: NDArray[np.uint8], panel: Panel, points: NDArray[np.float64]) -> None:
    """Draw a ring in place for each point just below the threshold."""
    for x, y in panel.place(points[:, :2]).tolist():
        draw_mark(image, DOUBT_MARK, x, y, 3.5, 2)


def draw_tags(image: NDArray[np.uint8], panel: Panel, points: NDArray[np.float64], tags: Sequence[str]) -> None:
    """Write a short text beside each point in place, where it covers no other one if possible."""
    taken: list[tuple[float, float, float, float]] = []
    height, width = image.shape[:2]
    for (x, y), tag in zip(panel.place(points[:, :2]).tolist(), tags):
        wide, high = text_size(tag, _TAG_PX, bold=True)
        places = [
            (
                min(max(x + across * (wide / 2 + 5) - wide / 2, 0), max(width - wide, 0)),
                min(max(y + down * (high / 2 + 4) - high / 2, 0), max(height - high, 0)),
            )
            for across, down in _AROUND
        ]
        boxes = [(left, top, left + wide, top + high) for left, top in places]
        box = next((each for each in boxes if not any(_overlap(each, other) for other in taken)), boxes[0])
        taken.append(box)
        draw_text(image, tag, round(box[0]), round(box[1]), _TAG_PX, PAPER, halo=OUTLINE, bold=True)


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def draw_roi(image: NDArray[np.uint8], panel: Panel, roi: tuple[float, float, float, float], label: str) -> None:
    """Frame a region ``(left, top, width, height)`` and label it, inside the picture, in place."""
    left, top, width, height = roi
    corners = np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])
    shown = panel.place(corners)
    for colour, pen in ((OUTLINE, 6), (ROI, 3)):
        draw_lines(image, [shown], colour, pen, closed=True)
    size_px = 17.0
    label_width, label_height = text_size(label, size_px, bold=True)
    x = min(max(round(shown[0, 0]), 4), max(image.shape[1] - label_width - 4, 4))
    above, below = round(shown[0, 1]) - label_height - 5, round(shown[2, 1]) + 5
    y = above if above >= 0 else min(below, image.shape[0] - label_height)
    draw_text(image, label, x, y, size_px, ROI, halo=OUTLINE, bold=True)


def draw_unreadable(
    image: NDArray[np.uint8], panel: Panel, rectangles: Sequence[tuple[float, float, float, float]]
) -> None:
    """Cross out rectangles ``(x, y, width, height)`` in place."""
    for x, y, width, height in rectangles:
        corners = panel.place(np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]]) - 0.5)
        _cross_out(image, corners)


def smoothing_um(counted: NDArray[np.bool_], tile_px: float, mpp: float) -> float:
    """Return the standard deviation of the heat map's Gaussian: an eighth of the side of a square of the counted area.

    It is limited to 50 um, a few cells, and to 300 um, its value for any slide with 5.76 mm2 or more; with a larger one
    a single field would have one colour.

    Args:
        counted: ``(rows, columns)`` the tiles that count.
        tile_px: Side of a tile in level-0 pixels.
        mpp: Micrometres per pixel of level 0.

    Returns:
        A whole multiple of 10 um.
    """
    side_um = float(np.sqrt(np.count_nonzero(counted))) * tile_px * mpp
    return float(np.clip(10 * round(side_um / _SIGMAS_PER_SIDE / 10), *SIGMA_UM))


def heat_panel(
    panel: Panel, figures: NDArray[np.float64], counted: NDArray[np.bool_], tile_px: float, mpp: float
) -> tuple[NDArray[np.uint8], float]:
    """Draw the density of mitoses, smoothed by :func:`smoothing_um`, over the pale slide where it was counted.

    Args:
        panel: The slide.
        figures: ``(N, 2+)`` counted figures in level-0 pixels.
        counted: ``(rows, columns)`` the tiles that count.
        tile_px: Side of a tile in level-0 pixels.
        mpp: Micrometres per pixel of level 0.

    Returns:
        The picture, and the density of the last colour in mitoses per mm2.
    """
    grey = cv2.cvtColor(panel.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    washed = 255 - (255 - grey) * _WASHED
    image = np.repeat(washed[..., None], 3, axis=2)
    height, width = grey.shape
    um_per_px, sigma_um = panel.um_per_px(mpp), smoothing_um(counted, tile_px, mpp)
    # Where the slide is small, fewer cells than pixels say the same.
    step = max(1, int(sigma_um / um_per_px / _CELLS_PER_SIGMA))
    mask = _is_counted(panel, counted, tile_px, step)
    points = (panel.place(figures[:, :2]) + 0.5) / step - 0.5
    density = density_map(points, mpp=um_per_px * step, cell_px=1.0, sigma_um=sigma_um, mask=mask)
    highest = nice_ceiling(float(density.max(initial=0.0)))
    index = np.rint(np.minimum(density / highest, 1) * 255).astype(np.uint8)
    colour = _HEAT_COLOURS[index.repeat(step, axis=0).repeat(step, axis=1)[:height, :width]]
    inside = _is_counted(panel, counted, tile_px, 1)[..., None]
    blended = image * (1 - _HEAT_OPACITY) + colour * _HEAT_OPACITY
    return np.rint(np.where(inside, blended, image)).astype(np.uint8), highest


def nice_ceiling(value: float) -> float:
    """Return the smallest round number that is not below ``value``; 1 for 0.

    >>> nice_ceiling(23.0), nice_ceiling(0.0)
    (30.0, 1.0)
    """
    if value <= 0:
        return 1.0
    decade = 10.0 ** np.floor(np.log10(value))
    return float(min(step * decade for step in _NICE if step * decade >= value * (1 - 1e-9)))


def scale_bar(um_per_px: float, longest_px: float, text_px: float) -> Entry:
    """Draw a bar with a round number of millimetres, or of micrometres below a tenth of one."""
    length_um = round_length(max(longest_px, 1) * um_per_px)
    length_px = max(1, round(length_um / um_per_px))
    label = f'{length_um / 1000:g} mm' if length_um >= 100 else f'{length_um:g} µm'

    def draw(strip: NDArray[np.uint8], left: int, top: int) -> None:
        y, tick = top + round(text_px * 0.85), max(3, round(text_px * 0.35))
        strip[y - 1 : y + 2, left : left + length_px] = INK
        for x in (left, left + length_px - 3):
            strip[y - tick : y + tick + 1, max(x, left) : max(x, left) + 3] = INK
        draw_text(strip, label, left + length_px + round(text_px * 0.5), text_top(top, text_px), text_px, INK)

    return Entry(length_px + round(text_px * 0.5) + text_size(label, text_px)[0], draw)


def tissue_icon(strip: NDArray[np.uint8], left: int, top: int, side: int) -> None:
    """Draw the outline of tissue into a legend."""
    cv2.rectangle(strip, (left, top), (left + side, top + side), TISSUE, 1, cv2.LINE_AA)


def counted_icon(strip: NDArray[np.uint8], left: int, top: int, side: int) -> None:
    """Draw the outline of the counted area into a legend."""
    cv2.rectangle(strip, (left, top), (left + side, top + side), COUNTED, 2, cv2.LINE_AA)


def figure_icon(strip: NDArray[np.uint8], left: int, top: int, side: int) -> None:
    """Draw the dot of a figure into a legend."""
    draw_dot(strip, left + side / 2, top + side / 2, side / 3.5, PREDICTED)


def doubt_icon(strip: NDArray[np.uint8], left: int, top: int, side: int) -> None:
    """Draw the ring of a point just below the threshold into a legend."""
    draw_mark(strip, DOUBT_MARK, left + side / 2, top + side / 2, side / 3.5, 2)


def roi_icon(strip: NDArray[np.uint8], left: int, top: int, side: int) -> None:
    """Draw the frame of the hottest region into a legend."""
    for colour, pen in ((OUTLINE, 5), (ROI, 2)):
        cv2.rectangle(strip, (left, top), (left + side, top + side), colour, pen, cv2.LINE_AA)


def unreadable_icon(strip: NDArray[np.uint8], left: int, top: int, side: int) -> None:
    """Draw a crossed-out rectangle into a legend."""
    _cross_out(strip, np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64) * side + (left, top))


def colour_bar(highest: float, sigma_um: float, text_px: float) -> Entry:
    """Draw the colours of the density, as they look over tissue, with three marks."""
    bar_px, height_px = round(11 * text_px), round(text_px * 0.95)
    unit = f'mitoses per mm² (smoothed, σ = {sigma_um:g} µm)'
    marks = [f'{highest * share:g}' for share in (0, 0.5, 1)]
    zero_px = text_size(marks[0], text_px)[0] + round(text_px * 0.4)
    last = f'{marks[2]}   {unit}'
    shown = _HEAT_COLOURS * _HEAT_OPACITY + 215 * (1 - _HEAT_OPACITY)

    def draw(strip: NDArray[np.uint8], left: int, top: int) -> None:
        draw_text(strip, marks[0], left, text_top(top, text_px), text_px, INK)
        x, y = left + zero_px, top + round(text_px * 0.4)
        bar = cv2.resize(np.rint(shown).astype(np.uint8)[None], (bar_px, height_px), interpolation=cv2.INTER_LINEAR)
        strip[y : y + height_px, x : x + bar_px] = bar[:, : strip.shape[1] - x]
        cv2.rectangle(strip, (x, y), (x + bar_px, y + height_px), INK, 1)
        middle, size = x + bar_px // 2, text_px * 0.8
        cv2.line(strip, (middle, y), (middle, y + height_px), PAPER, 1)
        draw_text(strip, marks[1], middle + 4, text_top(top, text_px) + 2, size, PAPER, halo=OUTLINE)
        draw_text(strip, last, x + bar_px + round(text_px * 0.4), text_top(top, text_px), text_px, INK)

    return Entry(zero_px + bar_px + round(text_px * 0.4) + text_size(last, text_px)[0], draw)


def _is_counted(panel: Panel, counted: NDArray[np.bool_], tile_px: float, step: int) -> NDArray[np.bool_]:
    """Whether the tile below each cell of ``step`` shown pixels counts; a coarse cell does if any of its pixels do."""
    height, width = panel.image.shape[:2]
    inside = []
    for length, tiles, corner, cell, zoom in zip(
        (height, width), counted.shape, panel.corner[::-1], panel.cell_px[::-1], panel.zoom[::-1]
    ):
        center = ((np.arange(length) + 0.5) / zoom + corner) * cell
        inside.append(np.minimum((center / tile_px).astype(int), tiles - 1))
    fine = counted[np.ix_(inside[0], inside[1])]
    if step == 1:
        return fine
    padded = np.pad(fine, ((0, -height % step), (0, -width % step)))
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.asarray(blocks.any(axis=(1, 3)))


def _cross_out(image: NDArray[np.uint8], corners: NDArray[np.float64]) -> None:
    lines = [corners[[0, 1, 2, 3, 0]], corners[[0, 2]], corners[[1, 3]]]
    draw_lines(image, lines, PAPER, 3)
    draw_lines(image, lines, INK, 1)
