"""Draws how many figures each method finds and misses, and how many detections are false."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mitouts.functional.localization import precision_recall_f1
from mitouts.utils.defaults import COUNT_BARS as KINDS
from mitouts.visualization.palette import INK, LINE_COLOURS, css
from mitouts.visualization.print_figure import (
    SMALL_PT,
    add_foot,
    head_axes,
    name_axes,
    print_figure,
    row_cm,
    row_labels,
    say_empty,
    style_axes,
)

_ROW_CM = {'stacked': 0.85, 'grouped': 1.35}
_COLUMNS = ('TP', 'FP', 'FN', 'P', 'R', 'F1')
_COLUMN_PT = 30.0


class Part(NamedTuple):
    """Name, colour and hatch of one kind of count."""

    name: str
    colour: str
    hatch: str


PARTS = (
    Part('true positive', LINE_COLOURS[2], ''),
    Part('false positive', LINE_COLOURS[5], '////'),
    Part('missed (false negative)', '#FFFFFF', '....'),
)


class Counts(NamedTuple):
    """Counts of one method; means over several trainings need not be whole.

    Attributes:
        tp: Detections that hit a figure.
        fp: Detections that hit none.
        fn: Figures that were missed.
    """

    label: str
    tp: float
    fp: float
    fn: float


def plot_counts(methods: Sequence[Counts], *, kind: str = 'stacked', title: str = '', note: str = '') -> Figure:
    """Plot a row for each method: bars, and counts, precision, recall and F1 in columns beside them.

    Args:
        methods: From top to bottom.
        kind: ``stacked``: false positives left of the axis, found and missed figures right of it, so that the right
            part is as long as there are figures. ``grouped``: three bars from zero.

    Raises:
        ValueError: ``kind`` is neither.
    """
    if kind not in KINDS:
        raise ValueError(f'kind is {kind!r}, expected one of {", ".join(KINDS)}')
    labels = [method.label for method in methods]
    figure = print_figure(2.1 + row_cm(labels, _ROW_CM[kind]) * max(2, len(methods)))
    axes = figure.subplots()
    style_axes(axes, grid='x')
    name_axes(axes, 'figures and detections', '')
    head_axes(axes, title)
    if not methods:
        say_empty(axes, 'no run was counted')
        add_foot(figure, note)
        return figure
    (draw_stacked if kind == 'stacked' else draw_grouped)(axes, methods)
    row_labels(axes, labels)
    write_columns(axes, methods)
    handles = [Patch(facecolor=part.colour, hatch=part.hatch, edgecolor=css(INK), linewidth=0.6) for part in PARTS]
    add_foot(figure, note, [part.name for part in PARTS], handles)
    return figure


def draw_stacked(axes: Axes, methods: Sequence[Counts]) -> None:
    """Draw one bar for each method: false positives left of zero, then true positives and misses right of it."""
    for row, (_, tp, fp, fn) in enumerate(methods):
        for part, length, left in zip(PARTS, (tp, fp, fn), (0.0, -fp, tp)):
            _bar(axes, row, length, left, part, 0.62)
    widest = max(max(fp, tp + fn) for _, tp, fp, fn in methods) or 1.0
    margin = 0.03 * widest
    axes.set_xlim(-max(method.fp for method in methods) - margin, max(tp + fn for _, tp, _, fn in methods) + margin)
    axes.axvline(0, color=css(INK), linewidth=0.8)
    axes.xaxis.set_major_formatter(lambda value, _: f'{abs(value):g}')


def draw_grouped(axes: Axes, methods: Sequence[Counts]) -> None:
    """Draw three bars for each method, all from zero: true positives, false positives, misses."""
    for row, method in enumerate(methods):
        for offset, part, length in zip((-0.26, 0.0, 0.26), PARTS, method[1:]):
            _bar(axes, row + offset, length, 0.0, part, 0.24)
    axes.set_xlim(left=0)


def write_columns(axes: Axes, methods: Sequence[Counts]) -> None:
    """Write the numbers of each row, right-aligned in columns at the right of the panel."""
    for column, heading in enumerate(_COLUMNS):
        _cell(axes, column, -0.62, heading, va='bottom', weight='bold')
    for row, (_, tp, fp, fn) in enumerate(methods):
        shares = [float(value) for value in precision_recall_f1(tp, fp, fn)]
        cells = [_count(tp), _count(fp), _count(fn), *(f'{share:.3f}' for share in shares)]
        for column, cell in enumerate(cells):
            _cell(axes, column, row, cell, va='center_baseline')


def _cell(axes: Axes, column: int, row: float, text: str, **look: Any) -> None:
    axes.annotate(
        text, (1, row), (6 + _COLUMN_PT * (column + 1), 0), xycoords=axes.get_yaxis_transform(),
        textcoords='offset points', annotation_clip=False, ha='right', fontsize=SMALL_PT, **look,
    )  # fmt: skip


def _bar(axes: Axes, row: float, length: float, left: float, part: Part, height: float) -> None:
    axes.barh(
        row, length, left=left, height=height, color=part.colour, hatch=part.hatch, edgecolor=css(INK), linewidth=0.6
    )


def _count(value: float) -> str:
    return f'{value:.0f}' if float(value).is_integer() else f'{value:.1f}'
