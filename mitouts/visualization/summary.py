"""Draws one picture of a run: results, course of training, dropped images, and training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mitouts.visualization.canvas import figure_to_array, new_figure, write_png
from mitouts.visualization.contact_sheet import fit_image, on_paper
from mitouts.visualization.palette import DROPPED, FAINT_INK, INK, KEPT, PAPER, RGB
from mitouts.visualization.plots import draw_losses, draw_score_histogram, draw_validation
from mitouts.visualization.scalars import Entry
from mitouts.visualization.tables import (
    TEXT_COLUMNS,
    comparison_note,
    localization_note,
    of_total,
    result_columns,
    result_rows,
)
from mitouts.visualization.text import draw_text, fit_text, text_size

WIDTH_PX = 1600
Histogram = tuple[ArrayLike, ArrayLike, float | None]

_MARGIN_PX = 24
_TEXT_PX = 17.0
_LINE_PX = 28
_STAGE_HEIGHT_PX = 360
_OVERLAY_COLUMNS = 4


def write_summary(
    path_png: str | Path,
    *,
    title: str,
    stages: Sequence[Mapping[str, Any]],
    overlays: Sequence[np.ndarray] = (),
    curves: Mapping[str, list[Entry]] | None = None,
    histograms: Mapping[str, Histogram] | None = None,
    distillation: Mapping[str, Any] | None = None,
    overlay_title: str = 'test images',
) -> None:
    """Write ``summary.png``, 1600 px wide and as high as it needs to be.

    Args:
        stages: The stages of ``results.json``, see :func:`mitouts.visualization.tables.result_rows`.
        overlays: Test images ``(h, w, 3)`` uint8, as :func:`mitouts.visualization.overlay.draw_overlay` makes them.
        curves: Scalar log of each trained stage, see :func:`mitouts.visualization.scalars.read_scalars`.
        histograms: ``(scores, labels, threshold)`` of each tested stage's images.
        distillation: The ``summary`` of :class:`mitouts.engine.distill.Distillation`.
        overlay_title: Heading above the overlays, for instance which stage drew them.
    """
    curves, histograms = curves or {}, histograms or {}
    parts = [_line(title, 66, 18, 32, bold=True), _table(stages)]
    names = list(dict.fromkeys([*(str(stage['stage']) for stage in stages), *curves, *histograms]))
    for name in names:
        if name in curves or name in histograms:
            parts += [_heading(f'{name}: training and test'), _stage_plots(curves.get(name), histograms.get(name))]
    if distillation:
        parts += [_heading('distillation: what the model kept and dropped'), _distillation_bars(distillation)]
        if note := comparison_note(distillation):
            parts.append(_line(note, _LINE_PX, 4, _TEXT_PX, FAINT_INK))
    if len(overlays):
        parts += [_heading(overlay_title), _overlay_rows(overlays)]
    parts.append(_blank(_MARGIN_PX // 2))
    write_png(path_png, np.vstack(parts))


def _blank(height_px: int) -> np.ndarray:
    return np.full((height_px, WIDTH_PX, 3), PAPER, np.uint8)


def _line(
    text: str, height_px: int, top_px: int, size_px: float, colour: RGB = INK, *, bold: bool = False
) -> np.ndarray:
    strip = _blank(height_px)
    fitted = fit_text(text, size_px, WIDTH_PX - 2 * _MARGIN_PX, bold)
    draw_text(strip, fitted, _MARGIN_PX, top_px, size_px, colour, bold=bold)
    return strip


def _heading(text: str) -> np.ndarray:
    strip = _line(text, 46, 16, 20, bold=True)
    strip[12:13, _MARGIN_PX : WIDTH_PX - _MARGIN_PX] = 214
    return strip


def _table(stages: Sequence[Mapping[str, Any]]) -> np.ndarray:
    rows, columns, note = result_rows(stages), result_columns(stages), localization_note(stages)
    strip = _blank(_LINE_PX * (len(rows) + 1 + bool(note)) + 18)
    if not rows:
        draw_text(strip, 'no stage was tested', _MARGIN_PX, 4, _TEXT_PX, FAINT_INK)
        return strip
    lines = [list(columns), *rows]
    widths = [max(text_size(line[i], _TEXT_PX, bold=True)[0] for line in lines) for i in range(len(columns))]
    gap = max(8, (WIDTH_PX - 2 * _MARGIN_PX - sum(widths)) // (len(columns) - 1))
    for number, line in enumerate(lines):
        left, top = _MARGIN_PX, 4 + number * _LINE_PX
        if number and line[0]:
            strip[top - 2 : top - 1, _MARGIN_PX : WIDTH_PX - _MARGIN_PX] = INK if number == 1 else 214
        for column, cell, width in zip(columns, line, widths):
            bold = number == 0 or column in ('Stage', 'F1')
            indent = 0 if column in TEXT_COLUMNS else width - text_size(cell, _TEXT_PX, bold)[0]
            draw_text(strip, cell, left + indent, top + 2, _TEXT_PX, INK, bold=bold)
            left += width + gap
    if note:
        draw_text(strip, note, _MARGIN_PX, 6 + len(lines) * _LINE_PX, _TEXT_PX, FAINT_INK)
    return strip


def _stage_plots(log: list[Entry] | None, histogram: Histogram | None) -> np.ndarray:
    figure = _new_part(_STAGE_HEIGHT_PX)
    if log is not None and histogram is not None:
        losses, validation, scores = figure.subplots(1, 3, width_ratios=(1, 1.2, 1.2))
    elif log is not None:
        losses, validation = figure.subplots(1, 2)
    else:
        scores = figure.subplots()
    if log is not None:
        draw_losses(losses, log)
        draw_validation(validation, log)
    if histogram is not None:
        draw_score_histogram(scores, *histogram)
    return figure_to_array(figure)


def _new_part(height_px: int) -> Figure:
    margin = _MARGIN_PX / WIDTH_PX
    return new_figure(WIDTH_PX, height_px, rect=(margin, 0, 1 - 2 * margin, 1))


def _distillation_bars(distillation: Mapping[str, Any]) -> np.ndarray:
    """Draw bars of 100%: the images that were kept or, if images have weights, their weights."""
    is_weighted = bool(distillation.get('weighted'))
    noise_kept = None
    if distillation.get('noise_total') is not None and distillation.get('noise_dropped') is not None:
        noise_kept = distillation['noise_total'] - distillation['noise_dropped']
    known_counts = {**distillation, 'noise_kept': noise_kept}
    left, right = ('count as', 'left out by weight') if is_weighted else ('kept', 'dropped')
    bars = [
        (name, known_counts.get(weight if is_weighted else count), total)
        for name, count, weight, total in (
            ('training images', 'kept', 'weight_sum', distillation['kept'] + distillation['dropped']),
            ('clean positive images', 'clean_kept', 'clean_weight_sum', distillation.get('clean_total')),
            ('mislabelled images', 'noise_kept', 'noise_weight_sum', distillation.get('noise_total')),
        )
    ]
    known = [(name, count, total) for name, count, total in bars if count is not None and total is not None]
    figure = _new_part(14 + 40 * len(known))
    axes = figure.subplots()
    for place, (_, count, total) in enumerate(known):
        _bar(axes, -place, count, total, left, right)
    axes.set(xlim=(0, 100.1), ylim=(0.5 - len(known), 0.5), xticks=[])
    axes.set_yticks([-place for place in range(len(known))], [name for name, *_ in known], fontsize=12)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure_to_array(figure)


def _bar(axes: Axes, place: int, kept: float, total: int, kept_as: str, dropped_as: str) -> None:
    """Draw one bar of 100%: what was kept on the left, what was dropped (hatched) on the right."""
    if not total:
        axes.text(1, place, 'none', va='center', fontsize=11)
        return
    share = 100 * kept / total
    axes.barh(place, share, height=0.72, color=KEPT, edgecolor='black', linewidth=0.8)
    axes.barh(place, 100 - share, left=share, height=0.72, color=DROPPED, edgecolor='black', linewidth=0.8, hatch='//')
    for left, align, text in (
        (0.6, 'left', f'{kept_as} {of_total(kept, total)}' if kept else ''),
        (99.4, 'right', f'{dropped_as} {of_total(total - kept, total)}' if kept < total else ''),
    ):
        paper = {'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.85 if text else 0, 'pad': 1.5}
        axes.text(left, place, text, ha=align, va='center', fontsize=11, bbox=paper)


def _overlay_rows(overlays: Sequence[np.ndarray]) -> np.ndarray:
    columns = min(_OVERLAY_COLUMNS, max(2, len(overlays)))
    gap_px = 16
    width = (WIDTH_PX - 2 * _MARGIN_PX - (columns - 1) * gap_px) // columns
    rows = []
    for start in range(0, len(overlays), columns):
        fitted = [fit_image(image, width, 2 * width, enlarge=False) for image in overlays[start : start + columns]]
        lefts = [_MARGIN_PX + index * (width + gap_px) for index in range(len(fitted))]
        rows += [on_paper(WIDTH_PX, *zip(lefts, fitted)), _blank(gap_px)]
    return np.vstack(rows)
