"""Writes names at the ends of lines and around points without overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from mitouts.visualization.palette import INK, css
from mitouts.visualization.print_figure import SMALL_PT, wrapped

_GAP = 1.25
_LINE_CHARACTERS = 24
_DIRECTIONS = ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
_REACHES_PT = (9.0, 22.0, 38.0)
_LEADER = {'arrowstyle': '-', 'linewidth': 0.6, 'color': '0.4'}


def label_ends(axes: Axes, points: Mapping[str, tuple[float, float]], colours: Sequence[str]) -> list[Annotation]:
    """Write names right of a panel, each as near to its point as the others allow, with a thin leader.

    Args:
        axes: Panel; its limits must be final.
        points: Name -> ``(x, y)`` in data units.
        colours: Colours of the leaders.
    """
    labels = [
        axes.annotate(
            wrapped(name, _LINE_CHARACTERS), point, (1.04, 0.5), textcoords='axes fraction',
            fontsize=SMALL_PT, color=css(INK), va='center', ha='left', annotation_clip=False, parse_math=False,
            arrowprops={'arrowstyle': '-', 'color': colour, 'linewidth': 0.8, 'shrinkA': 1, 'shrinkB': 3},
        )
        for (name, point), colour in zip(points.items(), colours)
    ]  # fmt: skip
    if labels:
        _figure(axes).draw_without_rendering()
        frame = axes.get_window_extent()
        heights = np.array([text_box(label).height for label in labels]) / frame.height
        ends = axes.transData.transform(list(points.values()))[:, 1]
        for label, place in zip(labels, spread((ends - frame.y0) / frame.height, heights * _GAP)):
            label.set_position((1.04, place))
    return labels


def label_points(
    axes: Axes, points: Mapping[str, tuple[float, float]], taken: Sequence[Bbox]
) -> list[Annotation] | None:
    """Write each name near its point, where it covers no other name and nothing that is taken.

    Args:
        axes: Panel; its limits must be final.
        points: Name -> ``(x, y)`` in data units.
        taken: Boxes in data units that stay free, such as markers and whiskers.

    Returns:
        The names, or None, with nothing written, where there is no room for all of them.
    """
    _figure(axes).draw_without_rendering()
    occupied = [axes.transData.transform_bbox(box).padded(4.0) for box in taken]
    labels: list[Annotation] = []
    for name, point in points.items():
        label = _beside(axes, wrapped(name, _LINE_CHARACTERS), point, occupied)
        if label is None:
            for written in labels:
                written.remove()
            return None
        labels.append(label)
        occupied.append(text_box(label).padded(2.0))
    return labels


def spread(wanted: ArrayLike, heights: ArrayLike) -> NDArray[np.float64]:
    """Move boxes on a line as little as possible until none covers another (least squares).

    Args:
        wanted: ``(N,)`` where the middles should be.
        heights: ``(N,)`` of the boxes.

    Returns:
        ``(N,)`` middles in the same order, the boxes inside [0, 1] where all of them fit there.

    >>> spread([0.5, 0.5], [0.2, 0.2]).round(3).tolist()
    [0.4, 0.6]
    """
    middles, sizes = np.asarray(wanted, dtype=np.float64), np.asarray(heights, dtype=np.float64)
    order = np.argsort(middles, kind='stable')
    # With the room that the boxes below take subtracted, "no overlap" becomes "not descending".
    below = np.concatenate([[0.0], np.cumsum((sizes[order][1:] + sizes[order][:-1]) / 2)])[: len(order)]
    if not len(order):
        return np.zeros(0)
    placed = isotonic_regression(middles[order] - below).x
    low, high = sizes[order][0] / 2, 1 - sizes[order][-1] / 2 - below[-1]
    result = np.empty(len(placed))
    result[order] = below + (np.clip(placed, low, high) if low <= high else (low + high) / 2)
    return result


def text_box(label: Text) -> Bbox:
    """Return the box of a text in pixels, without the leader of an annotation."""
    return Text.get_window_extent(label)


def _beside(axes: Axes, text: str, point: tuple[float, float], occupied: Sequence[Bbox]) -> Annotation | None:
    frame = axes.get_window_extent()
    for reach_pt in _REACHES_PT:
        for right, up in _DIRECTIONS:
            label = axes.annotate(
                text, point, (right * reach_pt, up * reach_pt), textcoords='offset points', fontsize=SMALL_PT,
                color=css(INK), ha=('right', 'center', 'left')[right + 1], va=('top', 'center', 'bottom')[up + 1],
                parse_math=False, zorder=5,
                arrowprops=None if reach_pt == _REACHES_PT[0] else _LEADER,
            )  # fmt: skip
            label.update_positions(_figure(axes).canvas.get_renderer())  # type: ignore[attr-defined]
            box = text_box(label)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in occupied):
                return label
            label.remove()
    return None


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure
