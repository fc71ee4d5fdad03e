"""The texts that a figure really shows, for tests that they are legible."""

from __future__ import annotations

import itertools

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def drawn_texts(figure: Figure) -> list[Text]:
    """All texts with letters, without the labels of ticks outside their axis."""
    figure.draw_without_rendering()
    hidden = {label for axes in figure.axes for label in _outside(axes)}
    return [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_text().strip() and text.get_visible() and text not in hidden
    ]


def check_legible(figure: Figure) -> list[str]:
    """Assert that every text has 8 pt, is on the page, and covers no other; returns what they say."""
    texts = drawn_texts(figure)
    boxes = [Text.get_window_extent(text) for text in texts]
    for text, box in zip(texts, boxes):
        assert text.get_fontsize() >= 8, f'{text.get_text()!r} has {text.get_fontsize()} pt'
        assert _inside(box, figure.bbox), f'{text.get_text()!r} leaves the page: {box}'
    for (first, box), (second, other) in itertools.combinations(zip(texts, boxes), 2):
        assert not box.padded(-1).overlaps(other.padded(-1)), f'{first.get_text()!r} covers {second.get_text()!r}'
    return [text.get_text() for text in texts]


def _outside(axes: Axes) -> list[Text]:
    hidden: list[Text] = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not low <= tick.get_loc() <= high or not tick.label1.get_visible() or not axis.get_visible():
                hidden.append(tick.label1)
            hidden.append(tick.label2)
    return hidden


def _inside(box: Bbox, page: Bbox) -> bool:
    return box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1 and box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1
