"""Draws what methods find over their costs: a panel for each cost and noise level, a marker for each method."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from mitouts.visualization.ablation_plots import Score
from mitouts.visualization.label_placement import spread, text_box
from mitouts.visualization.palette import INK, css
from mitouts.visualization.print_figure import (
    SMALL_PT,
    TEXT_PT,
    Look,
    add_foot,
    draw_interval,
    head_axes,
    look,
    name_axes,
    print_figure,
    say_empty,
    style_axes,
    wrapped,
)

_PANEL_CM = 5.8
_NAME_WIDTHS = (20, 12, 9)
_STRIP = 0.08
_LIFT = 0.03
_GAP = 0.012
_MARKER_PT = 6.5
_LEADER: dict[str, Any] = {'color': '0.6', 'linewidth': 0.6, 'zorder': 1}
# From this ratio of the largest cost to the smallest on, equal steps are equal factors.
_LOG_FROM = 5.0


@dataclass(frozen=True)
class PricedMethod:
    """A method with its score and its costs.

    Attributes:
        kind: Kind of the method, such as its supervision; methods of one kind look alike.
        score: Score of the method; None if there is no run.
        costs: Name of a cost, such as ``GMAC per megapixel``, -> its number; None or missing where it is unknown.
    """

    label: str
    kind: str
    score: Score | None
    costs: Mapping[str, float | None]


class Drawn(NamedTuple):
    """The position of a method's marker, in data units, and the ends of its interval."""

    method: PricedMethod
    x: float
    y: float
    low: float
    high: float


class _Limits(NamedTuple):
    """Limits of a cost's axis."""

    low: float
    high: float
    is_log: bool

    @classmethod
    def around(cls, values: Sequence[float]) -> _Limits:
        low, high = min(values, default=0.0), max(values, default=1.0)
        if low > 0 and high / low >= _LOG_FROM:
            return cls(low / (high / low) ** 0.1, high * (high / low) ** 0.1, True)
        return cls(0.0, high * 1.1, False)

    def apply(self, axes: Axes) -> None:
        if self.is_log:
            axes.set_xscale('log')
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f'{value:g}'))
        axes.set_xlim(self.low, self.high)


def plot_costs(
    levels: Mapping[str, Sequence[PricedMethod]],
    costs: Sequence[str],
    score_name: str,
    *,
    title: str = '',
    note: str = '',
) -> Figure:
    """Plot a panel for each cost and level, one below the other, with each method's name beside its marker.

    If there is no room for the names, numbers are written instead, and the key explains them.

    Args:
        levels: Level, such as ``noise 0.3``, -> its methods.
        costs: Names of costs, from top to bottom.
        score_name: Name of the vertical axis.
    """
    kinds = list(dict.fromkeys(method.kind for methods in levels.values() for method in methods))
    names = list(dict.fromkeys(method.label for methods in levels.values() for method in methods))
    looks = {kind: look(index) for index, kind in enumerate(kinds)}
    figure = print_figure(_PANEL_CM * len(levels) * len(costs))
    grid = figure.subplots(len(levels) * len(costs), 1, sharey=True, squeeze=False)[:, 0]
    panels = []
    for number, (cost, (level, methods)) in enumerate(itertools.product(costs, levels.items())):
        every = [method.costs[cost] for each in levels.values() for method in _known(each, cost)]
        limits = _Limits.around([value for value in every if value is not None])
        head_axes(grid[number], level)
        panels.append((grid[number], draw_costs(grid[number], methods, cost, score_name, looks, limits)))
    if title:
        figure.suptitle(title, fontsize=TEXT_PT, x=0.01, ha='left', parse_math=False)
    keys = {kind: Line2D([], [], **_marker(style)) for kind, style in looks.items()}
    figure.draw_without_rendering()
    fitting = [_fitting(axes, [each.method.label for each in drawn]) for axes, drawn in panels]
    if any(texts is None for texts in fitting):
        fitting = [[str(names.index(each.method.label) + 1) for each in drawn] for _, drawn in panels]
        keys |= {f'{number} {name}': Line2D([], [], linestyle='') for number, name in enumerate(names, 1)}
    for (axes, drawn), texts in zip(panels, fitting):
        _name_above(axes, drawn, texts or ())
    add_foot(figure, note, list(keys), list(keys.values()))
    # The names have taken height of the panels: their ticks follow in this drawing, their margins in the next one.
    figure.draw_without_rendering()
    return figure


def draw_costs(
    axes: Axes,
    methods: Sequence[PricedMethod],
    cost: str,
    score_name: str,
    looks: Mapping[str, Look],
    limits: _Limits | None = None,
) -> list[Drawn]:
    """Draw a marker with its interval for each method; methods of equal cost are moved apart a little.

    Args:
        methods: Those without the score or the cost are left out.
        score_name: Name of the vertical axis.
        looks: Kind -> colour and marker.
        limits: Limits of the cost; default as these methods need them.

    Returns:
        The methods with the places of their markers.
    """
    style_axes(axes, grid='both')
    name_axes(axes, cost, score_name)
    known = _known(methods, cost)
    if not known:
        say_empty(axes, f'no run has a {score_name} and is known to cost {cost}')
        return []
    values = [float(method.costs[cost] or 0.0) for method in known]
    (limits or _Limits.around(values)).apply(axes)
    drawn = []
    for method, x in zip(known, _beside_each_other(axes, values)):
        assert method.score is not None
        style, y = looks[method.kind], method.score.value
        low, high = method.score.ci95 or (y, y)
        draw_interval(axes, x, low, high, style.colour)
        axes.plot(x, y, zorder=3, **_marker(style))
        drawn.append(Drawn(method, x, y, low, high))
    return drawn


def _known(methods: Sequence[PricedMethod], cost: str) -> list[PricedMethod]:
    return [method for method in methods if method.score is not None and method.costs.get(cost) is not None]


def _beside_each_other(axes: Axes, values: Sequence[float]) -> list[float]:
    """Move positions on the horizontal axis as little as possible, so that no marker hides another."""
    figure = axes.get_figure(root=True)
    columns = axes.get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]
    panel_pt = figure.get_figwidth() * 72 / columns  # type: ignore[union-attr]
    to_share = axes.transScale + axes.transLimits
    shares = to_share.transform([(value, 0.5) for value in values])[:, 0]
    placed = spread(shares, [_MARKER_PT * 1.6 / panel_pt] * len(values))
    return to_share.inverted().transform([(share, 0.5) for share in placed])[:, 0].tolist()


def _fitting(axes: Axes, names: Sequence[str]) -> list[str] | None:
    """Wrap names into as few lines as let them fit side by side above the panel; None if they do not fit."""
    for width in _NAME_WIDTHS:
        texts = [wrapped(name, width) for name in names]
        if sum(_shares(axes, texts)) <= 1:
            return texts
    return None


def _shares(axes: Axes, texts: Sequence[str]) -> list[float]:
    """Return the widths of texts, with a gap, as shares of the panel's width."""
    labels = [axes.text(0, 0, text, fontsize=SMALL_PT, parse_math=False) for text in texts]
    widths = [text_box(label).width / axes.get_window_extent().width + _GAP for label in labels]
    for label in labels:
        label.remove()
    return widths


def _name_above(axes: Axes, drawn: Sequence[Drawn], texts: Sequence[str]) -> None:
    """Write names in a line above the panel, each with a thin leader to its method.

    A leader goes straight down inside the panel, so that it crosses no interval but its own.
    """
    to_share = axes.transScale + axes.transLimits
    ends = [to_share.transform((each.x, each.high)).tolist() for each in drawn]
    for text, place, (x, top) in zip(texts, spread([x for x, _ in ends], _shares(axes, texts)), ends):
        axes.text(
            place, 1 + _STRIP + _LIFT, text, transform=axes.transAxes, fontsize=SMALL_PT, color=css(INK), ha='center',
            va='baseline', linespacing=1.05, parse_math=False,
        )  # fmt: skip
        axes.plot([place, x, x], [1 + _STRIP, 1, top], transform=axes.transAxes, clip_on=False, **_LEADER)
    lines = max((text.count('\n') + 1 for text in texts), default=0)
    axes.set_title(axes.get_title(loc='left'), loc='left', fontsize=TEXT_PT, pad=14 + lines * SMALL_PT * 1.3)


def _marker(style: Look) -> dict[str, Any]:
    return {
        'color': style.colour, 'marker': style.marker, 'markersize': _MARKER_PT, 'linestyle': '',
        'markeredgecolor': css(INK), 'markeredgewidth': 0.6,
    }  # fmt: skip
