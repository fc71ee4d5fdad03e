"""Draws predicted counts against reference counts: a scatter plot with the fitted line, and a Bland-Altman plot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from mitouts.functional.agreement import Agreement, BlandAltman, Correlation, as_pairs
from mitouts.visualization.canvas import figure_to_array, label_axes, new_figure, write_in_middle, write_png
from mitouts.visualization.palette import LINE_COLOURS
from mitouts.visualization.text import printable

_DOT = LINE_COLOURS[0]
_FIT = LINE_COLOURS[1]
_LONGEST_NAME = 48
_MANY_DOTS = 300


def plot_agreement(
    x: ArrayLike,
    y: ArrayLike,
    result: Agreement,
    path_png: str | Path,
    *,
    x_name: str = 'reference',
    y_name: str = 'prediction',
    title: str = '',
) -> None:
    """Write a PNG of the scatter plot with its fitted line beside the Bland-Altman plot.

    Args:
        x: ``(N,)`` reference, one value a slide; pairs with NaN are left out.
        y: ``(N,)`` prediction.
        result: Result of :func:`mitouts.functional.agreement.agreement`.
        x_name: Name of ``x``.
        y_name: Name of ``y``.
    """
    figure = new_figure(1120, 500)
    scatter, differences = figure.subplots(1, 2, width_ratios=(1.0, 1.1))
    draw_scatter(scatter, x, y, result, x_name=x_name, y_name=y_name)
    draw_bland_altman(differences, x, y, result.bland_altman, x_name=x_name, y_name=y_name)
    if title:
        figure.suptitle(printable(title), fontsize=11, parse_math=False)
    write_png(path_png, figure_to_array(figure))


def draw_scatter(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    result: Agreement,
    *,
    x_name: str = 'reference',
    y_name: str = 'prediction',
) -> None:
    """Draw a dot for each slide, the least-squares line between the outermost ones, and both correlations as text."""
    first, second = as_pairs(x, y)
    _label(axes, _short(y_name), f'{_short(x_name)} (n = {len(first)})')
    if not len(first):
        write_in_middle(axes, 'no slide has both values')
        return
    _draw_dots(axes, first, second)
    if result.line is not None:
        ends = np.array([first.min(), first.max()])
        sign = '-' if result.line.intercept < 0 else '+'
        text = f'y = {result.line.slope:.3g} x {sign} {abs(result.line.intercept):.3g}'
        axes.plot(ends, result.line.slope * ends + result.line.intercept, color=_FIT, linewidth=1.8, label=text)
    lines = (_in_words('Pearson r', result.pearson), _in_words('Spearman rho', result.spearman))
    axes.set_title('\n'.join(lines), fontsize=9.5, loc='left')
    if result.line is not None:
        axes.legend(fontsize=9.5, frameon=False, loc='best')


def draw_bland_altman(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    result: BlandAltman | None,
    *,
    x_name: str = 'reference',
    y_name: str = 'prediction',
) -> None:
    """Draw differences over means, with bias and limits of agreement, and a band for the interval of each."""
    first, second = as_pairs(x, y)
    _label(axes, _short(f'{y_name} - {x_name}'), 'mean of both')
    if not len(first):
        write_in_middle(axes, 'no slide has both values')
        return
    axes.axhline(0, color='0.75', linewidth=0.8, zorder=1)
    _draw_dots(axes, (first + second) / 2, second - first)
    if result is None:
        axes.set_title('limits of agreement: not available', fontsize=9.5, loc='left')
        return
    low, high = result.limits
    levels = (
        (result.bias, result.bias_ci95, '-', f'bias {result.bias:.3g}'),
        (high, result.upper_limit_ci95, '--', f'95% limits {low:.3g} to {high:.3g}'),
        (low, result.lower_limit_ci95, '--', '_'),
    )
    for level, interval, style, name in levels:
        axes.axhline(level, color=_FIT, linestyle=style, linewidth=1.6, label=name)
        if interval is not None:
            axes.axhspan(*interval, color=_FIT, alpha=0.12, linewidth=0)
    if result.bias_ci95 is not None:
        axes.set_title('bands: 95% intervals of the bias and of the limits', fontsize=9.5, loc='left')
    axes.margins(y=0.22)
    axes.legend(fontsize=9.5, frameon=False, loc='upper center', ncols=2)


def _draw_dots(axes: Axes, horizontal: np.ndarray, vertical: np.ndarray) -> None:
    size, alpha = (26, 0.65) if len(horizontal) <= _MANY_DOTS else (10, 0.4)
    axes.scatter(horizontal, vertical, s=size, color=_DOT, alpha=alpha, linewidths=0, zorder=3)


def _in_words(name: str, correlation: Correlation) -> str:
    if correlation.value is None:
        return f'{name}: not available'
    if correlation.ci95_fisher is None:
        return f'{name} = {correlation.value:.3f} (95% interval not available)'
    low, high = correlation.ci95_fisher
    return f'{name} = {correlation.value:.3f} (95% CI {low:.3f} to {high:.3f})'


def _short(name: str) -> str:
    return printable(name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + '…')


def _label(axes: Axes, vertical: str, horizontal: str) -> None:
    label_axes(axes, vertical, horizontal)
    axes.grid(color='0.93', linewidth=0.8)
