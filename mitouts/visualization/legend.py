"""Draws the strip under a picture that explains its markers, with a scale bar if the resolution is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mitouts.visualization.marks import MarkStyle, draw_mark
from mitouts.visualization.palette import FAINT_INK, INK, PAPER
from mitouts.visualization.text import draw_text, text_size

_NICE_STEPS = (1.0, 2.0, 5.0)
# Draws into a strip, in the square with this left edge, top and side.
Icon = Callable[[np.ndarray, int, int, int], None]


@dataclass(frozen=True)
class Entry:
    """An entry of a legend: its width, and a function that draws it at a left edge and the top of a line."""

    width_px: int
    draw: Callable[[np.ndarray, int, int], None]


def legend_strip(entries: list[Entry], width_px: int, text_px: float) -> np.ndarray:
    """Draw entries from left to right, on as many lines as they need.

    Returns:
        ``(h, width_px, 3)`` uint8, RGB.
    """
    line_px, gap_px, margin_px = round(text_px * 1.75), round(text_px * 1.3), round(text_px * 0.6)
    places, left, top = [], margin_px, margin_px // 2
    for entry in entries:
        if left > margin_px and left + entry.width_px > width_px - margin_px:
            left, top = margin_px, top + line_px
        places.append((left, top))
        left += entry.width_px + gap_px
    strip = np.full((top + line_px + margin_px // 2, width_px, 3), PAPER, np.uint8)
    for entry, (x, y) in zip(entries, places):
        entry.draw(strip, x, y)
    return strip


def icon_entry(icon: Icon, text: str, text_px: float) -> Entry:
    """Make an entry of a small square picture and its meaning."""
    side_px = round(text_px * 0.9)

    def draw(strip: np.ndarray, left: int, top: int) -> None:
        icon(strip, left, top + round(text_px * 0.4), side_px)
        draw_text(strip, text, left + round(side_px * 1.6), text_top(top, text_px), text_px, INK)

    return Entry(round(side_px * 1.6) + text_size(text, text_px)[0], draw)


def mark_entry(mark: MarkStyle, text: str, text_px: float) -> Entry:
    """Make an entry of a marker and its meaning."""
    icon_px = round(text_px * 1.4)

    def draw(strip: np.ndarray, left: int, top: int) -> None:
        middle = top + text_px * 0.85
        draw_mark(strip, mark, left + icon_px / 2, middle, text_px * 0.48, max(2, round(text_px / 9)))
        draw_text(strip, text, left + icon_px + 2, text_top(top, text_px), text_px, INK)

    return Entry(icon_px + 2 + text_size(text, text_px)[0], draw)


def text_entry(text: str, text_px: float) -> Entry:
    """Make an entry of a remark."""

    def draw(strip: np.ndarray, left: int, top: int) -> None:
        draw_text(strip, text, left, text_top(top, text_px), text_px, FAINT_INK)

    return Entry(text_size(text, text_px)[0], draw)


def scale_bar_entry(um_per_px: float, longest_px: float, text_px: float) -> Entry:
    """Make an entry of a bar with a round number of micrometres, at most ``longest_px`` long."""
    length_um = round_length(longest_px * um_per_px)
    length_px = round(length_um / um_per_px)
    label = f'{length_um:g} µm'

    def draw(strip: np.ndarray, left: int, top: int) -> None:
        y, tick, pen = top + round(text_px * 0.85), max(3, round(text_px * 0.3)), max(2, round(text_px / 9))
        strip[y - 1 : y - 1 + pen, left : left + length_px] = INK
        for x in (left, left + length_px - pen):
            strip[y - tick : y + tick, x : x + pen] = INK
        draw_text(strip, label, left + length_px + round(text_px * 0.5), text_top(top, text_px), text_px, INK)

    return Entry(length_px + round(text_px * 0.5) + text_size(label, text_px)[0], draw)


def round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50, ... that is not above ``longest``.

    >>> round_length(49.9)
    20.0
    """
    decade = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * decade for step in _NICE_STEPS if step * decade <= longest * (1 + 1e-9)))


def text_top(top: int, text_px: float) -> int:
    """Return the row where an entry's text begins if its line begins at ``top``."""
    return top + round(text_px * 0.3)
