"""Makes figures for print: 16 cm wide, no text below 8 pt, readable without colour, as PNG, SVG or PDF."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend

from mitouts.errors import MitoutsError
from mitouts.utils.defaults import FIGURE_SUFFIXES as SUFFIXES
from mitouts.visualization.canvas import DPI, figure_to_array, new_figure, write_png
from mitouts.visualization.palette import FAINT_INK, LINE_COLOURS, LINE_MARKERS, LINE_STYLES, Dash, css
from mitouts.visualization.text import printable

WIDTH_CM = 16.0
TEXT_PT = 9.0
SMALL_PT = 8.0
ROW_CHARACTERS = 26

_CM_PER_INCH = 2.54
_PRINT_DPI = 300
_MOST_KEY_COLUMNS = 4
# Mean width of a letter of DejaVu Sans.
_EM_WIDTH = 0.56


class Look(NamedTuple):
    """Colour, dash and marker that tell one line from others.

    Attributes:
        colour: ``#rrggbb``.
        dash: Line style.
        marker: Shape of the marker.
    """

    colour: str
    dash: Dash
    marker: str


def look(index: int) -> Look:
    """Return the look of line ``index``; the first 28 all differ, and by more than their colour.

    >>> look(0)
    Look(colour='#0072B2', dash='-', marker='o')
    """
    # Seven colours and four dashes make 28 pairs; markers, seven as well, move on with each return of the colours.
    return Look(
        LINE_COLOURS[index % len(LINE_COLOURS)],
        LINE_STYLES[index % len(LINE_STYLES)],
        LINE_MARKERS[(index + index // len(LINE_COLOURS)) % len(LINE_MARKERS)],
    )


def check_suffix(path: str | Path, suffixes: Sequence[str] = SUFFIXES) -> Path:
    """Return the path if a figure can be written there.

    Raises:
        MitoutsError: It ends in nothing that is known.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        found = f'found {path.suffix!r}' if path.suffix else 'found none'
        raise MitoutsError(f'{path}: the file must end in {", ".join(suffixes)}, {found}')
    return path


def print_figure(height_cm: float) -> Figure:
    """Make an empty figure of this height and of 16 cm width on paper."""
    return new_figure(round(WIDTH_CM / _CM_PER_INCH * DPI), round(height_cm / _CM_PER_INCH * DPI))


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as the suffix says: PNG of 300 dots an inch, SVG or PDF; it appears only when it is complete.

    Raises:
        MitoutsError: The suffix is none of these.
    """
    path = check_suffix(path)
    if path.suffix.lower() == '.png':
        figure.set_dpi(_PRINT_DPI)
        write_png(path, figure_to_array(figure))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'.{path.name}.{os.getpid()}')
    kind = path.suffix.lower()[1:]
    # Without a date and with fixed names inside, the same figure is the same file.
    dateless = {'Date' if kind == 'svg' else 'CreationDate': None}
    try:
        with rc_context({'svg.hashsalt': 'mitouts', 'pdf.fonttype': 42}):
            figure.savefig(aside, format=kind, metadata=dateless)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def row_labels(axes: Axes, labels: Sequence[str]) -> None:
    """Name the rows 0, 1, ... of a panel of horizontal bars, row 0 at the top; ``$`` has no special meaning."""
    axes.set_yticks(range(len(labels)), [wrapped(label, ROW_CHARACTERS) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis='y', length=0)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)


def row_cm(labels: Sequence[str], least_cm: float) -> float:
    """Return the height of a row that fits the longest label, in cm."""
    lines = max([wrapped(label, ROW_CHARACTERS).count('\n') + 1 for label in labels], default=1)
    return max(least_cm, 0.2 + lines * SMALL_PT * 1.25 / 72 * _CM_PER_INCH)


def wrapped(text: str, width: int, most_lines: int = 3) -> str:
    """Break ``text`` into lines of at most ``width`` characters; what does not fit is replaced by an ellipsis.

    >>> wrapped('instance max, 4 stages', 14)
    'instance max,\\n4 stages'
    """
    return '\n'.join(
        textwrap.wrap(printable(text), width, max_lines=most_lines, placeholder=' …', break_on_hyphens=False)
    )


def style_axes(axes: Axes, *, grid: str = 'y') -> None:
    """Style axes: open, with a light grid and labels of 8 pt."""
    axes.tick_params(labelsize=SMALL_PT)
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(axis=grid, color='0.9', linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def name_axes(axes: Axes, horizontal: str, vertical: str) -> None:
    """Label both axes, in as many lines as the panel's width needs; ``$`` has no special meaning."""
    spec, figure = axes.get_subplotspec(), axes.get_figure(root=True)
    columns = 1 if spec is None else spec.get_gridspec().ncols
    panel_pt = (WIDTH_CM / _CM_PER_INCH if figure is None else figure.get_figwidth()) * 72 / columns
    axes.set_xlabel(
        wrapped(horizontal, int(panel_pt * 0.8 / (TEXT_PT * _EM_WIDTH))), fontsize=TEXT_PT, parse_math=False
    )
    axes.set_ylabel(wrapped(vertical, 30), fontsize=TEXT_PT, parse_math=False)


def head_axes(axes: Axes, text: str) -> None:
    """Write the title of a panel, if it has one, at its upper left."""
    if text:
        axes.set_title(printable(text), fontsize=TEXT_PT, loc='left', parse_math=False)


def draw_interval(axes: Axes, x: float, low: float, high: float, colour: str) -> None:
    """Draw a thin vertical whisker."""
    axes.errorbar(x, (low + high) / 2, yerr=(high - low) / 2, fmt='none', ecolor=colour, capsize=2, elinewidth=0.9)


def say_empty(axes: Axes, text: str) -> None:
    """Write in an empty panel why it is empty."""
    axes.set(xticks=[], yticks=[])
    axes.annotate(
        wrapped(text, 24, 5), (0.5, 0.5), xycoords='axes fraction', ha='center', va='center', fontsize=SMALL_PT,
        color=css(FAINT_INK), parse_math=False,
    )  # fmt: skip


def add_foot(figure: Figure, note: str = '', names: Sequence[str] = (), handles: Sequence[Artist] = ()) -> None:
    """Add one key for all panels, and a remark below it; the figure grows by their height."""
    width_in, panels_in = figure.get_size_inches()
    lines = wrapped(note, int(width_in * 72 / (SMALL_PT * _EM_WIDTH)), 4) if note else ''
    note_in = (lines.count('\n') + 1.4) * 1.25 * SMALL_PT / 72 if note else 0.0
    legend = _key(figure, [wrapped(name, 44, 2) for name in names], handles) if names else None
    key_in = legend.get_window_extent().height / figure.dpi if legend is not None else 0.0
    height_in = panels_in + note_in + key_in
    figure.set_size_inches(width_in, height_in)
    layout = figure.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    layout.set(rect=(0.0, 1 - panels_in / height_in, 1.0, panels_in / height_in))
    if legend is not None:
        legend.set_bbox_to_anchor((0.5, note_in / height_in), figure.transFigure)
    if note:
        figure.text(
            0.01, 0.03 / height_in, lines, fontsize=SMALL_PT, color=css(FAINT_INK), linespacing=1.2, va='bottom',
            parse_math=False,
        )  # fmt: skip


def _key(figure: Figure, labels: Sequence[str], handles: Sequence[Artist]) -> Legend:
    """Add a key with as many columns as fit."""
    for columns in range(min(_MOST_KEY_COLUMNS, len(labels)), 0, -1):
        legend = figure.legend(
            handles, labels, loc='lower center', ncols=columns, fontsize=SMALL_PT, frameon=False, handlelength=3.0,
            columnspacing=1.4, borderaxespad=0.2,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    return legend
