"""Draws any logged scalar of several trainings over epochs; trainings of one name are drawn as mean and range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mitouts.visualization.ablation_plots import sample_line
from mitouts.visualization.label_placement import label_ends
from mitouts.visualization.print_figure import add_foot, head_axes, look, name_axes, print_figure, say_empty, style_axes
from mitouts.visualization.scalars import Entry, is_finite_number, is_training_line

FloatArray = NDArray[np.float64]
NAMES = {
    'image/f1': 'validation image F1',
    'image/auc': 'validation image AUC',
    'one_to_one/f1': 'validation localization F1',
    'presence/f1': 'validation F1, presence',
    'train/distance_px': 'mean distance on training images (px)',
    'loss': 'training loss',
    'lr': 'learning rate',
}
_COLUMNS = 2
_LABELS_AT_ENDS = 6
MOST_BANDS = 4


class Course(NamedTuple):
    """One scalar over the epochs of one or several trainings.

    Attributes:
        epochs: ``(E,)`` epochs that any of them has logged.
        mean: ``(E,)`` over the trainings that have logged the epoch.
        num_runs: Trainings that have logged the scalar.
    """

    epochs: FloatArray
    mean: FloatArray
    lowest: FloatArray
    highest: FloatArray
    num_runs: int


def by_epoch(log: Sequence[Entry], key: str) -> tuple[FloatArray, FloatArray]:
    """Return one value for each epoch: the one validation logged, or the mean of those that training logged in it.

    Args:
        log: Lines of mmengine's scalar log, see :func:`mitouts.visualization.scalars.read_scalars`.

    Returns:
        Epochs ``(E,)``, ascending, and values ``(E,)``; of a training that counts no epochs, its iterations.
    """
    values: dict[float, list[float]] = {}
    for entry in log:
        if is_finite_number(entry.get(key)):
            counts_epochs = is_training_line(entry) and 'epoch' in entry
            values.setdefault(float(entry['epoch' if counts_epochs else 'step']), []).append(float(entry[key]))
    epochs = sorted(values)
    return np.array(epochs), np.array([np.mean(values[epoch]) for epoch in epochs])


def over_runs(logs: Sequence[Sequence[Entry]], key: str) -> Course:
    """Average several trainings and find their range; a shorter one counts as far as it went."""
    courses = [course for course in (by_epoch(log, key) for log in logs) if len(course[0])]
    epochs = np.unique(np.concatenate([np.zeros(0), *(steps for steps, _ in courses)]))
    table = np.full((len(courses), len(epochs)), np.nan)
    for row, (steps, values) in zip(table, courses):
        row[np.searchsorted(epochs, steps)] = values
    if not len(epochs):
        return Course(epochs, epochs, epochs, epochs, 0)
    return Course(epochs, np.nanmean(table, axis=0), np.nanmin(table, axis=0), np.nanmax(table, axis=0), len(courses))


def plot_courses(
    logs: Mapping[str, Sequence[Sequence[Entry]]], keys: Sequence[str], *, title: str = '', note: str = ''
) -> Figure:
    """Plot a panel for each scalar, with a line for each name.

    Args:
        logs: Name -> logs of its trainings.
        keys: Scalars, such as ``image/f1``.
    """
    columns = min(_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    at_ends = len(keys) == 1 and len(logs) <= _LABELS_AT_ENDS
    figure = print_figure((7.5 if columns == 1 else 6.4) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(keys) :]:
        axes.remove()
    ends = {}
    for axes, key in zip(panels, keys):
        ends = draw_courses(axes, {name: over_runs(runs, key) for name, runs in logs.items()}, key)
    head_axes(panels[0], title)
    looks = {name: look(index) for index, name in enumerate(logs)}
    samples = {} if at_ends else {name: sample_line(style) for name, style in looks.items()}
    add_foot(figure, note, list(samples), list(samples.values()))
    if at_ends:
        label_ends(panels[0], ends, [looks[name].colour for name in ends])
    return figure


def draw_courses(axes: Axes, courses: Mapping[str, Course], key: str) -> dict[str, tuple[float, float]]:
    """Draw lines, with a band from the lowest to the highest training if a name has several and names are few.

    Returns:
        Where the line of each name ends.
    """
    style_axes(axes)
    name_axes(axes, 'epoch', NAMES.get(key, key))
    if not any(len(course.epochs) for course in courses.values()):
        say_empty(axes, f'no log has {key}')
        return {}
    ends = {}
    many = sum(course.num_runs > 1 for course in courses.values()) > MOST_BANDS
    for index, (name, course) in enumerate(courses.items()):
        if not len(course.epochs):
            continue
        style = look(index)
        if course.num_runs > 1 and not many:
            axes.fill_between(
                course.epochs, course.lowest, course.highest, color=style.colour, alpha=0.16, linewidth=0, zorder=1
            )
        axes.plot(
            course.epochs, course.mean, color=style.colour, linestyle=style.dash, linewidth=1.5, marker=style.marker,
            markersize=4, markevery=max(1, len(course.epochs) // 12), zorder=3,
        )  # fmt: skip
        ends[name] = float(course.epochs[-1]), float(course.mean[-1])
    values = np.concatenate([[*course.lowest, *course.highest] for course in courses.values()])
    if key.endswith('_px') and values.min() >= 0:
        axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ends
