"""Draws settings beside each other: scores with their intervals and seeds, as bars, over a number, or over minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from mitouts.visualization.label_placement import label_ends, label_points
from mitouts.visualization.palette import INK, LINE_COLOURS, css
from mitouts.visualization.print_figure import (
    SMALL_PT,
    Look,
    add_foot,
    draw_interval,
    head_axes,
    look,
    name_axes,
    print_figure,
    row_cm,
    row_labels,
    say_empty,
    style_axes,
)

_ROW_CM = 0.95
_BAR = '#A6CDE5'
_LABELS_AT_ENDS = 6
_DODGE = 0.012
NO_VALUE = 'no run'


@dataclass(frozen=True)
class Score:
    """A score with its interval, and its value for each seed.

    Attributes:
        value: Over all runs.
        ci95: 95% interval over cases, or None where it is not available.
        seeds: One number a seed.
    """

    value: float
    ci95: tuple[float, float] | None = None
    seeds: Sequence[float] = ()


@dataclass(frozen=True)
class Setting:
    """A row or point of an ablation.

    Attributes:
        scores: Name of a score, such as ``localization F1``, -> its score; None where there is no run.
        minutes: Minutes a run takes, one number a seed; empty where unknown.
    """

    label: str
    scores: Mapping[str, Score | None]
    minutes: Sequence[float] = ()


def plot_bars(settings: Sequence[Setting], names: Sequence[str], *, title: str = '', note: str = '') -> Figure:
    """Plot a row for each setting and a panel for each score: bar, interval, a dot for each seed, and the numbers.

    Args:
        settings: From top to bottom.
        names: Scores to show, from left to right.
    """
    names_of_rows = [setting.label for setting in settings]
    figure = print_figure(2.3 + row_cm(names_of_rows, _ROW_CM) * max(2, len(settings)))
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names):
        draw_bars(axes, [setting.scores.get(name) for setting in settings], name)
    if settings:
        row_labels(panels[0], names_of_rows)
    _finish(figure, title, note)
    return figure


def draw_bars(axes: Axes, scores: Sequence[Score | None], name: str) -> None:
    """Draw horizontal bars from 0, row 0 at the top, with the numbers at the right of the panel."""
    style_axes(axes, grid='x')
    name_axes(axes, name, '')
    if not any(scores):
        say_empty(axes, f'no run has a {name}')
        return
    axes.tick_params(axis='y', length=0)
    highest = 0.0
    for row, score in enumerate(scores):
        text = NO_VALUE
        if score is not None:
            axes.barh(row, score.value, height=0.66, color=_BAR, edgecolor=css(INK), linewidth=0.6)
            if score.ci95 is not None:
                axes.errorbar(
                    np.mean(score.ci95), row, xerr=np.ptp(score.ci95) / 2, fmt='none', ecolor=css(INK), capsize=2.5,
                    elinewidth=1.2,
                )  # fmt: skip
            # Dots stand in the lower part of the bar, so that they leave its interval free.
            axes.plot(
                score.seeds, np.full(len(score.seeds), row + 0.2), linestyle='', marker='o', markersize=3.6,
                color=LINE_COLOURS[1], markeredgecolor='white', markeredgewidth=0.4, zorder=4,
            )  # fmt: skip
            text = score_in_words(score)
            highest = max(highest, score.value, *(score.ci95 or ()), *score.seeds)
        axes.text(
            1.03, row, text, transform=axes.get_yaxis_transform(), va='center', fontsize=SMALL_PT, linespacing=1.1
        )
    axes.set_xlim(0, min(1.0, np.ceil(highest * 10 + 0.3) / 10) if highest <= 1 else None)


def plot_lines(
    arms: Mapping[str, Sequence[tuple[float, Setting]]],
    names: Sequence[str],
    x_name: str,
    *,
    title: str = '',
    note: str = '',
) -> Figure:
    """Plot scores over a number, with a line for each arm.

    Args:
        arms: Name of an arm -> its settings, each with its place on the horizontal axis.
        names: Scores, a panel each.
        x_name: Name of the horizontal axis.
    """
    at_ends = len(names) == 1 and len(arms) <= _LABELS_AT_ENDS
    figure = print_figure(7.5)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names):
        lines = {arm: [(x, s.scores.get(name)) for x, s in settings] for arm, settings in arms.items()}
        ends = draw_lines(axes, lines, name, x_name)
    keys = {} if at_ends else {arm: sample_line(look(index)) for index, arm in enumerate(arms)}
    _finish(figure, title, note, keys)
    if at_ends:
        colours = [look(list(arms).index(arm)).colour for arm in ends]
        label_ends(panels[0], ends, colours)
    return figure


def draw_lines(
    axes: Axes, lines: Mapping[str, Sequence[tuple[float, Score | None]]], name: str, x_name: str
) -> dict[str, tuple[float, float]]:
    """Draw a line for each arm, with intervals and a small dot for each seed; it breaks where a run is missing.

    Arms are shifted sideways a little, so that intervals at the same place can be told apart; the line's data keep the
    shift.

    Returns:
        Where the line of each arm ends, in data units.
    """
    style_axes(axes)
    name_axes(axes, x_name, name)
    places = sorted({x for points in lines.values() for x, score in points if score is not None})
    if not places:
        say_empty(axes, f'no run has a {name}')
        return {}
    ends = {}
    for index, (arm, points) in enumerate(lines.items()):
        style = look(index)
        shift = (index - (len(lines) - 1) / 2) * _DODGE * ((places[-1] - places[0]) or 1.0)
        known = {x: score for x, score in points if score is not None}
        values = [known[x].value if x in known else np.nan for x in places]
        axes.plot(
            np.array(places) + shift, values, color=style.colour, linestyle=style.dash, marker=style.marker,
            markersize=5.5, linewidth=1.5, zorder=3,
        )  # fmt: skip
        for x, score in sorted(known.items(), key=lambda item: item[0]):
            if score.ci95 is not None:
                draw_interval(axes, x + shift, *score.ci95, style.colour)
            seeds = [x + shift] * len(score.seeds), list(score.seeds)
            axes.plot(*seeds, linestyle='', marker='.', markersize=3.5, color=style.colour, alpha=0.55, zorder=2)
            ends[arm] = x + shift, score.value
    if len(places) <= 8:
        axes.set_xticks(places, [f'{place:g}' for place in places])
    return ends


def plot_cost(settings: Sequence[Setting], name: str, *, title: str = '', note: str = '') -> Figure:
    """Plot a score over minutes of training, with a named point for each setting.

    Args:
        settings: Those without minutes or without the score are left out.
    """
    figure = print_figure(8.0)
    axes = figure.subplots()
    points = {
        s.label: (np.array(s.minutes), score) for s in settings if len(s.minutes) and (score := s.scores.get(name))
    }
    boxes = draw_cost(axes, points, name)
    places = {label: (float(minutes.mean()), score.value) for label, (minutes, score) in points.items()}
    crowded = bool(points) and label_points(axes, places, boxes) is None
    keys = {}
    if crowded:
        for index, label in enumerate(points):
            keys[label] = sample_line(look(index))
            keys[label].set(linestyle='', markersize=7)
    _finish(figure, title, note, keys)
    return figure


def draw_cost(axes: Axes, points: Mapping[str, tuple[NDArray[np.float64], Score]], name: str) -> list[Bbox]:
    """Draw points with the interval of the score and, for several seeds, the range of the minutes.

    Args:
        points: Name -> minutes ``(S,)``, one a seed, and the score.

    Returns:
        The boxes of whiskers and points in data units.
    """
    style_axes(axes, grid='both')
    name_axes(axes, 'minutes of training, all stages that it needs', name)
    if not points:
        say_empty(axes, f'no run has both minutes and a {name}')
        return []
    boxes = []
    for index, (minutes, score) in enumerate(points.values()):
        style, middle = look(index), minutes.mean()
        low, high = score.ci95 or (score.value, score.value)
        draw_interval(axes, middle, low, high, style.colour)
        axes.errorbar(
            (minutes.min() + minutes.max()) / 2, score.value, xerr=np.ptp(minutes) / 2, fmt='none',
            ecolor=style.colour, capsize=2, elinewidth=0.9,
        )  # fmt: skip
        axes.plot(
            middle, score.value, color=style.colour, marker=style.marker, markersize=7, linestyle='',
            markeredgecolor=css(INK), markeredgewidth=0.6, zorder=3,
        )  # fmt: skip
        boxes.append(Bbox.from_extents(middle, low, middle, high))
        boxes.append(Bbox.from_extents(minutes.min(), score.value, minutes.max(), score.value))
    axes.set_xlim(left=0)
    return boxes


def score_in_words(score: Score, between: str = '\n') -> str:
    """Format a score with its interval.

    >>> score_in_words(Score(0.8425, (0.7756, 0.8962)))
    '0.843\\n(0.776–0.896)'
    """
    if score.ci95 is None:
        return f'{score.value:.3f}'
    return f'{score.value:.3f}{between}({score.ci95[0]:.3f}–{score.ci95[1]:.3f})'


def sample_line(style: Look) -> Line2D:
    """Make a piece of line for a key."""
    line = Line2D([], [], color=style.colour, marker=style.marker, markersize=5.5, linewidth=1.5)
    line.set_linestyle(style.dash)
    return line


def _finish(figure: Figure, title: str, note: str, keys: Mapping[str, Line2D] | None = None) -> None:
    head_axes(figure.axes[0], title)
    add_foot(figure, note, list(keys or ()), list((keys or {}).values()))
