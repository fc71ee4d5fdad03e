"""Draws how detectors trade misses for false alarms: free-response, precision-recall and ROC curves.

The runs of one method (seeds, folds) have a model each. Their free-response curves are averaged vertically: at an equal
rate of false positives, found figures are summed and divided by the figures of all runs. The precision-recall curve
is the same average in other units, and ROC curves are averaged at an equal false positive rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from mitouts.functional.localization import froc_curve
from mitouts.structures import EvaluatedImages
from mitouts.utils.defaults import CURVES as PANELS
from mitouts.visualization.ablation_plots import sample_line
from mitouts.visualization.palette import INK, css
from mitouts.visualization.print_figure import add_foot, head_axes, look, name_axes, print_figure, say_empty, style_axes

FloatArray = NDArray[np.float64]
Unit = Literal['mm2', 'image']
DrawStyle = Literal['default', 'steps-post']
_MOST_TICKS = 6


class Curve(NamedTuple):
    """A stepwise curve, with the operating point of the run.

    Attributes:
        x: ``(T,)``, ascending.
        y: ``(T,)``.
        point: ``(x, y)`` at the threshold of the run, or of each run where there are several.
    """

    x: FloatArray
    y: FloatArray
    point: tuple[float, float]


@dataclass(frozen=True)
class Method:
    """The curves of one method; None if one is not defined, such as the ROC of a single class.

    Attributes:
        froc: False positives a unit of area -> share of the figures found.
        pr: Recall -> precision.
        roc: False positive rate of images -> true positive rate.
    """

    label: str
    froc: Curve | None
    pr: Curve | None
    roc: Curve | None


class _Steps(NamedTuple):
    """The steps of one run: ``hits`` of ``total`` at each ``x``, and ``(x, hits)`` at its own threshold."""

    x: FloatArray
    hits: FloatArray
    total: int
    size: float
    point: tuple[float, float]


def unit_of(methods: Sequence[Sequence[EvaluatedImages]]) -> Unit:
    """Return ``mm2`` if the area of every image of every run is known, otherwise ``image``."""
    return 'mm2' if all(run.located().areas_mm2 is not None for runs in methods for run in runs) else 'image'


def curves_of(label: str, runs: Sequence[EvaluatedImages], *, radius_px: float, unit: Unit) -> Method:
    """Compute the curves of a method.

    Args:
        runs: One for each trained model.
        radius_px: The largest distance of a hit in pixels, inclusive.
        unit: False positives are given by square millimetre or by image.
    """
    steps = [_froc_steps(run, radius_px, unit) for run in runs]
    steps = [step for step in steps if step.total]
    froc = _averaged(steps)
    roc_steps = [_roc_steps(run) for run in runs if len(np.unique(run.labels)) == 2]
    return Method(label, froc, _precision_recall(froc, steps), _averaged(roc_steps))


def plot_methods(
    methods: Sequence[Method], unit: Unit, panels: Sequence[str] = PANELS, *, title: str = '', note: str = ''
) -> Figure:
    """Plot a panel for each kind of curve, with a line for each method and its operating point.

    Args:
        methods: At most a dozen or so.
        unit: Unit of false positives.
        panels: Any of ``froc``, ``pr``, ``roc``.
    """
    figure = print_figure(6.6 if len(panels) > 1 else 8.5)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        if panel == 'froc':
            draw_froc(axes, methods, unit)
        else:
            (draw_pr if panel == 'pr' else draw_roc)(axes, methods)
    head_axes(figure.axes[0], title)
    add_foot(figure, note, [method.label for method in methods], [sample_line(look(i)) for i in range(len(methods))])
    return figure


def draw_froc(axes: Axes, methods: Sequence[Method], unit: Unit) -> None:
    """Draw the share of figures found over false positives, on a logarithmic axis."""
    name = 'false positives per mm²' if unit == 'mm2' else 'false positives per image'
    curves = [method.froc for method in methods]
    if not _open(axes, name, 'figures found (sensitivity)', curves, 'no annotated figure'):
        return
    positive = np.concatenate([[*curve.x[curve.x > 0], curve.point[0]] for curve in curves if curve is not None])
    positive = positive[positive > 0]
    first, last = (positive.min(), positive.max()) if len(positive) else (0.1, 10.0)
    axes.set_xscale('log')
    # What is found without any false positive stands at the left edge.
    low, high = first / 1.6, max(last, first * 2) * 1.1
    axes.set_xlim(low, high)
    ticks = _log_ticks(low, high)
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    _draw(axes, curves, first / 1.6, 'steps-post')


def draw_pr(axes: Axes, methods: Sequence[Method]) -> None:
    """Draw precision over recall."""
    curves = [method.pr for method in methods]
    if _open(axes, 'recall', 'precision', curves, 'no annotated figure'):
        axes.set_xlim(0, 1.01)
        _draw(axes, curves)


def draw_roc(axes: Axes, methods: Sequence[Method]) -> None:
    """Draw true positive rate over false positive rate of the image label, with the diagonal of a guess."""
    curves = [method.roc for method in methods]
    if _open(axes, 'false positive rate, images', 'true positive rate, images', curves, 'images of one class only'):
        axes.plot([0, 1], [0, 1], color='0.75', linewidth=0.8, linestyle=':', zorder=1)
        axes.set_xlim(-0.01, 1)
        _draw(axes, curves)


def _open(axes: Axes, horizontal: str, vertical: str, curves: Sequence[Curve | None], empty: str) -> bool:
    style_axes(axes, grid='both')
    name_axes(axes, horizontal, vertical)
    if not any(curve is not None for curve in curves):
        say_empty(axes, empty if curves else 'no run')
        return False
    axes.set_ylim(0, 1.02)
    return True


def _draw(axes: Axes, curves: Sequence[Curve | None], left: float = -np.inf, between: DrawStyle = 'default') -> None:
    for index, curve in enumerate(curves):
        if curve is None:
            continue
        style = look(index)
        axes.plot(
            np.maximum(curve.x, left), curve.y, color=style.colour, linestyle=style.dash, linewidth=1.4,
            drawstyle=between, zorder=2 + index / 100,
        )  # fmt: skip
        axes.plot(
            max(curve.point[0], left), curve.point[1], marker=style.marker, markersize=7, color=style.colour,
            markeredgecolor=css(INK), markeredgewidth=0.8, linestyle='', zorder=4, clip_on=False,
        )  # fmt: skip


def _log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten, with 2 and 5 between if there are fewer than two; few enough for a narrow panel."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [10.0**decade for decade in decades if low <= 10.0**decade <= high]
    if len(inside) < 2:
        inside = [step * 10.0**decade for decade in decades for step in (1, 2, 5) if low <= step * 10.0**decade <= high]
    return inside[:: -(-len(inside) // _MOST_TICKS)] if inside else []


def _froc_steps(run: EvaluatedImages, radius_px: float, unit: Unit) -> _Steps:
    run = run.located()
    froc, own = (
        froc_curve(points, run.truths, radius_px=radius_px, ignored=run.ignored)
        for points in (run.curve_points, run.points)
    )
    total = sum(map(len, run.truths))
    areas_mm2 = run.areas_mm2 if unit == 'mm2' else None
    size = float(len(run.images)) if areas_mm2 is None else float(np.sum(areas_mm2))
    scale = len(run.images) / (size or 1.0)
    at = int(np.sum(own.thresholds[:-1] > run.map_threshold))
    point = float(own.fp_per_image[at] * scale), float(own.sensitivity[at] * total)
    return _Steps(froc.fp_per_image * scale, froc.sensitivity * total, total, size, point)


def _roc_steps(run: EvaluatedImages) -> _Steps:
    labels = run.labels
    rate, hits, thresholds = roc_curve(labels, run.scores, drop_intermediate=False)
    total = int(labels.sum())
    at = int(np.sum(thresholds[1:] > run.image_threshold))
    point = float(rate[at]), float(hits[at] * total)
    return _Steps(rate, hits * total, total, float(len(labels) - total), point)


def _averaged(runs: Sequence[_Steps]) -> Curve | None:
    """Average curves vertically: what all runs together find if each has at most this rate of false positives."""
    if not runs:
        return None
    total = sum(run.total for run in runs)
    size = sum(run.size for run in runs)
    point = sum(run.point[0] * run.size for run in runs) / size, sum(run.point[1] for run in runs) / total
    if len(runs) == 1:
        x, hits = runs[0].x, runs[0].hits
    else:
        x = np.unique(np.concatenate([run.x for run in runs]))
        hits = np.sum([run.hits[np.searchsorted(run.x, x, side='right') - 1] for run in runs], axis=0)
    # The inner points of a level stretch are thousands of false positives and change nothing.
    corners = np.ones(len(x), dtype=bool)
    corners[1:-1] = (np.diff(hits)[:-1] != 0) | (np.diff(hits)[1:] != 0)
    return Curve(x[corners], hits[corners] / total, point)


def _precision_recall(froc: Curve | None, runs: Sequence[_Steps]) -> Curve | None:
    """Convert a free-response curve to a precision-recall curve, given the size and figures of all runs."""
    if froc is None:
        return None
    total, size = sum(run.total for run in runs), sum(run.size for run in runs)
    tp, fp = froc.y * total, froc.x * size
    counted = tp + fp > 0
    point_tp, point_fp = froc.point[1] * total, froc.point[0] * size
    precision = point_tp / (point_tp + point_fp) if point_tp + point_fp > 0 else 0.0
    return Curve(froc.y[counted], tp[counted] / (tp + fp)[counted], (froc.point[1], precision))
