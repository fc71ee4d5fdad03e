"""Draws the panels of a run's summary: losses, validation metrics and histograms of scores."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from mitouts.visualization.canvas import label_axes, write_in_middle
from mitouts.visualization.palette import LINE_COLOURS, LINE_MARKERS, LINE_STYLES, NEGATIVE_CLASS, POSITIVE_CLASS
from mitouts.visualization.scalars import Entry, is_finite_number, is_training_line, series
from mitouts.visualization.text import printable

_NOT_METRICS = frozenset({'step', 'epoch', 'iter', 'time', 'data_time', 'memory', 'lr'})
_PREFERRED = ('auc', 'f1')
_MOST_CURVES = 6
_LOGIT_TICKS = (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
_LOGIT_LIMIT = 1e-4


def draw_losses(axes: Axes, log: list[Entry]) -> None:
    """Draw the training loss, and its parts if there are several."""
    training = [entry for entry in log if is_training_line(entry)]
    parts = sorted(
        {key for entry in training for key in entry if 'loss' in key.lower() and is_finite_number(entry[key])}
    )
    parts = ['loss'] * ('loss' in parts) + [key for key in parts if key != 'loss']
    if len(parts) == 2 and parts[0] == 'loss':
        parts = parts[:1]
    _label(axes, 'training loss', _unit(training))
    if not parts:
        write_in_middle(axes, 'no loss logged')
        return
    for index, key in enumerate(parts[:_MOST_CURVES]):
        steps, values = series(training, key)
        # A line of one point is invisible without a marker.
        axes.plot(
            _to_epochs(steps, training), values, color=LINE_COLOURS[index], linestyle=LINE_STYLES[index % 4],
            linewidth=1.8 if index == 0 else 1.2, marker='o' if len(steps) == 1 else '', label=printable(key),
        )  # fmt: skip
    if axes.dataLim.ymin >= 0:
        axes.set_ylim(bottom=0)
    if len(parts) > 1:
        axes.legend(fontsize=9.5, frameon=False)


def draw_validation(axes: Axes, log: list[Entry]) -> None:
    """Draw validation metrics between 0 and 1: areas under curves and F1 if logged, otherwise whatever there is."""
    training = [entry for entry in log if is_training_line(entry)]
    validation = [entry for entry in log if not is_training_line(entry)]
    unit = _unit(training)
    _label(axes, 'validation', unit)
    keys = _metric_keys(validation)
    if not keys:
        write_in_middle(axes, 'no validation logged')
        return
    for index, key in enumerate(keys):
        steps, values = series(validation, key)
        best = int(np.argmax(values))
        axes.plot(
            steps, values, color=LINE_COLOURS[index], linestyle=LINE_STYLES[index % 4], linewidth=1.4,
            marker=LINE_MARKERS[index], markersize=4.5, markevery=max(1, len(steps) // 25),
            label=printable(f'{key}: best {values[best]:.3f}, {unit} {steps[best]:g}'),
        )  # fmt: skip
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=9.5, frameon=False, loc='lower right')


def draw_score_histogram(axes: Axes, scores: ArrayLike, labels: ArrayLike, threshold: float | None) -> None:
    """Draw the image scores of both classes as shares of their class, with the threshold as a line.

    Where most scores pile up near 0 and 1 the axis is in log odds, cut off at 0.0001 and 0.9999.

    Args:
        scores: ``(N,)`` image scores in [0, 1].
        labels: ``(N,)`` 0 or 1.
        threshold: None where there is none.

    Raises:
        ValueError: ``scores`` and ``labels`` differ in length, or a score is no probability.
    """
    score, label = np.asarray(scores, dtype=np.float64).ravel(), np.asarray(labels).ravel().astype(int)
    if len(score) != len(label):
        raise ValueError(f'{len(score)} scores and {len(label)} labels: expected one label a score')
    if len(score) and not (score.min() >= 0 and score.max() <= 1):
        raise ValueError(f'scores run from {score.min()} to {score.max()}, expected probabilities')
    _label(axes, 'share of the class (%)', 'image score')
    if not len(score):
        write_in_middle(axes, 'no images')
        return
    piled_up = bool(np.mean((score < 0.05) | (score > 0.95)) > 0.5)
    transform = _logit if piled_up else np.asarray
    edges = np.linspace(transform(0.0), transform(1.0), 26)
    looks = ((0, 'no mitosis', NEGATIVE_CLASS, '//'), (1, 'mitosis', POSITIVE_CLASS, '\\\\'))
    for value, name, colour, hatch in looks:
        members = score[label == value]
        if not len(members):
            continue
        share = np.histogram(transform(members), edges)[0] / len(members) * 100
        text = f'{name} (n = {len(members)})'
        axes.stairs(share, edges, fill=True, facecolor=colour, alpha=0.22)
        axes.stairs(share, edges, edgecolor=colour, hatch=hatch, linewidth=1.6, label=text)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    if piled_up:
        axes.set_xticks(_logit(_LOGIT_TICKS), [f'{tick:g}' for tick in _LOGIT_TICKS])
        axes.set_xlabel('image score (log-odds axis)', fontsize=10.5)
    if threshold is not None and np.isfinite(threshold):
        place = float(np.clip(transform(np.clip(threshold, 0, 1)), edges[0], edges[-1]))
        axes.axvline(place, color='black', linestyle='--', linewidth=1.6, label=f'threshold {threshold:.3g}')
    axes.legend(
        fontsize=9.5, frameon=False, loc='lower center', bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.2,
        handlelength=1.6,
    )  # fmt: skip
    if len(set(label.tolist())) == 1:
        axes.set_xlabel(f'{axes.get_xlabel()}; one class only: AUC is not defined', fontsize=10.5)


def _metric_keys(validation: list[Entry]) -> list[str]:
    """Return the metrics between 0 and 1 to draw; those of further radii (``one_to_one@15px/f1``) are left out."""
    known = sorted({key for entry in validation for key in entry if '@' not in key} - _NOT_METRICS)
    shares = [
        key for key in known if len(values := series(validation, key)[1]) and 0 <= values.min() <= values.max() <= 1
    ]
    preferred = [key for key in shares if key.rsplit('/', 1)[-1].lower() in _PREFERRED]
    return (preferred or [key for key in shares if 'threshold' not in key])[:_MOST_CURVES]


def _unit(training: list[Entry]) -> str:
    return 'epoch' if any('epoch' in entry for entry in training) else 'iteration'


def _to_epochs(steps: np.ndarray, training: list[Entry]) -> np.ndarray:
    """Convert iterations to fractions of epochs by the last iteration logged in each; unchanged without epochs."""
    last: dict[int, float] = {}
    for entry in training:
        if 'epoch' in entry:
            last[entry['epoch']] = max(last.get(entry['epoch'], 0), entry['step'])
    if not last:
        return steps
    epochs = sorted(last)
    return np.interp(steps, [0, *(last[epoch] for epoch in epochs)], [epochs[0] - 1, *epochs])


def _logit(probability: ArrayLike) -> np.ndarray:
    clipped = np.clip(np.asarray(probability, dtype=np.float64), _LOGIT_LIMIT, 1 - _LOGIT_LIMIT)
    return np.log(clipped / (1 - clipped))


def _label(axes: Axes, vertical: str, horizontal: str) -> None:
    label_axes(axes, vertical, horizontal)
    axes.grid(axis='y', color='0.9', linewidth=0.8)
