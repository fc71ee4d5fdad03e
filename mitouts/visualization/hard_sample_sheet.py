"""Draws sheets of images for print: those that a Teacher rejected, or two models side by side on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.functional.matching import match_one_to_one
from mitouts.visualization import legend, marks
from mitouts.visualization.contact_sheet import fit_image, on_paper
from mitouts.visualization.overlay import draw_overlay, sort_points
from mitouts.visualization.palette import INK, OUTLINE, PAPER
from mitouts.visualization.print_figure import wrapped
from mitouts.visualization.samples import ANNOTATED_MARK
from mitouts.visualization.text import draw_text, fit_text

SHEET_PX = 1920
# 8.2 pt when the sheet is printed 16 cm wide.
TEXT_PX = SHEET_PX * 8.2 / 72 * 2.54 / 16.0

_GAP_PX = 14
_PART_MARGINS = ((_GAP_PX // 2, _GAP_PX // 2), (0, 0), (0, 0))
_BREAK_PX = 42
_LINE_EM = 1.3
_PICTURE_PX = 480
_MARKER_PX = 28.0
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture with lines of text under it."""

    picture: np.ndarray
    lines: Sequence[str]


@dataclass(frozen=True)
class ModelPoints:
    """The points that one model predicts on an image.

    Attributes:
        points: ``(P, 3)`` ``(x, y, score)`` in pixels.
        threshold: A point counts when its score is above it.
    """

    points: NDArray[np.float64]
    threshold: float

    @property
    def counted(self) -> NDArray[np.float64]:
        """The points above the threshold, ``(C, 2)`` float64."""
        return self.points[self.points[:, 2] > self.threshold, :2]


def draw_hard_sample(image: np.ndarray, annotated: ArrayLike, predicted: ArrayLike) -> Image:
    """Draw annotated points as cyan circles, predicted ones as yellow triangles, and a line between the nearest two.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        annotated: ``(G, 2)`` points in pixels.
        predicted: ``(P, 2)`` points in pixels.

    Returns:
        ``(h, w, 3)`` uint8, RGB, the image in the size of a square of 480 px with its proportions kept.
    """
    picture = np.ascontiguousarray(fit_image(image, _PICTURE_PX, _PICTURE_PX))
    factor = picture.shape[1] / image.shape[1]
    truth, prediction = (
        (np.asarray(points, dtype=np.float64).reshape(-1, 2) + 0.5) * factor - 0.5 for points in (annotated, predicted)
    )
    if len(truth) and len(prediction):
        distances = np.linalg.norm(truth[:, None] - prediction[None], axis=2)
        nearest = np.unravel_index(np.argmin(distances), distances.shape)
        line = [np.stack([truth[nearest[0]], prediction[nearest[1]]])]
        marks.draw_lines(picture, line, OUTLINE, 5)
        marks.draw_lines(picture, line, PAPER, 2)
    for mark, points in ((ANNOTATED_MARK, truth), (marks.FALSE_POSITIVE_MARK, prediction)):
        for x, y in points:
            marks.draw_mark(picture, mark, x, y, _MARKER_PX, pen=4)
    return picture


def sheet(
    tiles: Sequence[CaptionedPicture],
    columns: int,
    *,
    title: str = '',
    subtitles: Sequence[str] = (),
    together: int | None = None,
    entries: Sequence[legend.Entry] = (),
) -> Image:
    """Put tiles in rows, 1920 px wide, so that the text has 8 pt when the sheet is printed 16 cm wide.

    Args:
        tiles: From left to right, row by row; pictures are made as wide as their column.
        columns: Tiles in a row.
        together: So many tiles belong together, and a wider gap follows them; by default a whole row.

    Returns:
        ``(h, 1920, 3)`` uint8, RGB.

    Raises:
        ValueError: There is no tile, or ``columns`` is not positive.
    """
    if not tiles or columns < 1:
        raise ValueError(f'a sheet needs at least one tile and one column, found {len(tiles)} and {columns}')
    inner = SHEET_PX - 2 * _GAP_PX
    parts = [_text_strip([title], inner, bold=True)] if title else []
    beside = together or columns
    breaks = (columns - 1) // beside
    width = (SHEET_PX - (columns + 1) * _GAP_PX - breaks * _BREAK_PX) // columns
    lefts = [column * (width + _GAP_PX) + column // beside * _BREAK_PX for column in range(columns)]
    if subtitles:
        headings = [_text_strip(_broken(text, width), width, bold=True) for text in subtitles]
        parts.append(on_paper(inner, *zip(lefts, headings)))
    for first in range(0, len(tiles), columns):
        cells = [_cell(tile, width) for tile in tiles[first : first + columns]]
        parts.append(on_paper(inner, *zip(lefts, cells)))
    if entries:
        parts.append(legend.legend_strip(list(entries), inner, TEXT_PX))
    spaced = [np.pad(part, _PART_MARGINS, constant_values=255) for part in parts]
    return np.concatenate([on_paper(SHEET_PX, (_GAP_PX, part)) for part in spaced])


def hard_sample_key() -> list[legend.Entry]:
    """Explain the marks of :func:`draw_hard_sample`."""
    return [
        legend.mark_entry(ANNOTATED_MARK, ' annotated', TEXT_PX),
        legend.mark_entry(marks.FALSE_POSITIVE_MARK, ' predicted by the Teacher', TEXT_PX),
        legend.text_entry('line: the nearest two', TEXT_PX),
    ]


def outcome_key(radius_px: float) -> list[legend.Entry]:
    """Explain the marks of :func:`compare_tiles`."""
    return [
        legend.mark_entry(marks.TRUE_POSITIVE_MARK, ' true positive', TEXT_PX),
        legend.mark_entry(marks.MISSED_MARK, ' missed', TEXT_PX),
        legend.mark_entry(marks.FALSE_POSITIVE_MARK, ' false positive', TEXT_PX),
        legend.text_entry(f'hit: within {radius_px:g} px; a green dot is the annotation', TEXT_PX),
    ]


def difference_px(a: ArrayLike, b: ArrayLike, radius_px: float) -> float:
    """Sum the distances of matched pairs of two sets of points, and the radius for each point without a partner.

    Args:
        a: ``(P, 2)`` points in pixels.
        b: ``(Q, 2)`` points in pixels.
        radius_px: The largest distance of a pair, inclusive.
    """
    first, second = (np.asarray(points, dtype=np.float64).reshape(-1, 2) for points in (a, b))
    matches = match_one_to_one(first, second, radius_px)
    alone = len(first) + len(second) - 2 * len(matches.pred_index)
    return float(matches.distance_px.sum() + radius_px * alone)


def compare_tiles(
    image: np.ndarray, truth: NDArray[np.float64] | None, models: Sequence[ModelPoints], radius_px: float, caption: str
) -> list[CaptionedPicture]:
    """Draw one overlay per model on the same image, each with its counts below; the caption is below the first.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        truth: ``(G, 2)`` annotated points in pixels; None where it is not known where the image's figures are.
        models: Points that each model predicts.
        radius_px: The largest distance of a hit in pixels, inclusive.
        caption: Description of the image.
    """
    tiles = []
    for index, model in enumerate(models):
        picture = draw_overlay(
            image, truth, model.points, threshold=model.threshold, radius_px=radius_px, marker_px=image.shape[1] / 16,
            show_scores=False, show_legend=False,
        )  # fmt: skip
        outcome = sort_points(truth, model.points, threshold=model.threshold, radius_px=radius_px)
        counts = [f'{len(outcome.hits)} found, {len(outcome.missed)} missed', f'{len(outcome.false)} false']
        if truth is None:
            counts = [f'{len(outcome.unjudged)} predicted', 'no annotated point']
        tiles.append(CaptionedPicture(picture, [*counts, caption if index == 0 else '']))
    return tiles


def _cell(tile: CaptionedPicture, width: int) -> Image:
    picture = fit_image(tile.picture, width, round(1.5 * width))
    centred = on_paper(width, ((width - picture.shape[1]) // 2, picture))
    return np.concatenate([centred, _text_strip(tile.lines, width)])


def _broken(text: str, width: int) -> list[str]:
    """Break a heading in bold letters, whose mean width is two thirds of their size, into lines."""
    return wrapped(text, int(width / (TEXT_PX * 0.66))).split('\n')


def _text_strip(lines: Sequence[str], width: int, bold: bool = False) -> Image:
    pitch = round(TEXT_PX * _LINE_EM)
    strip = np.full((pitch * len(lines) + _GAP_PX, width, 3), PAPER, np.uint8)
    for number, line in enumerate(lines):
        draw_text(strip, fit_text(line, TEXT_PX, width, bold), 0, 4 + number * pitch, TEXT_PX, INK, bold=bold)
    return strip
