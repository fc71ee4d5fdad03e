"""Draws predicted points over an image, judged by its annotations, in the colours of Fernandez-Martin et al. 2024."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mitouts.errors import ImageError
from mitouts.functional.matching import match_one_to_one
from mitouts.visualization import legend, marks
from mitouts.visualization.palette import OUTLINE, lighter
from mitouts.visualization.text import draw_text, text_size

_SMALLEST_SIDE_PX = 480


class PointOutcome(NamedTuple):
    """The points of an image, sorted into hits, misses and false positives.

    Attributes:
        hits: ``(M, 3)`` predictions ``(x, y, score)`` that are matched.
        hit_truth: ``(M, 2)`` the annotation of each.
        missed: ``(K, 2)`` annotations without a prediction.
        false: ``(F, 3)`` predictions ``(x, y, score)`` without an annotation.
        unjudged: ``(U, 3)`` predictions ``(x, y, score)`` on an image whose truth is not known.
    """

    hits: np.ndarray
    hit_truth: np.ndarray
    missed: np.ndarray
    false: np.ndarray
    unjudged: np.ndarray


class _Style(NamedTuple):
    scale: int
    radius: float
    pen: int
    text_px: float


def sort_points(truth: np.ndarray | None, points: np.ndarray, *, threshold: float, radius_px: float) -> PointOutcome:
    """Match one to one, and sort the points into hits, misses and false positives.

    Args:
        truth: ``(G, 2)`` annotated points in pixels; None where nobody annotated the image.
        points: ``(P, 3)`` predicted points ``(x, y, score)``.
        threshold: A prediction counts when its score is above it.
        radius_px: The largest distance of a match, inclusive.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    counted = points[points[:, 2] > threshold]
    if truth is None:
        return PointOutcome(np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 3)), counted)
    truth = np.asarray(truth, dtype=np.float64).reshape(-1, 2)
    matches = match_one_to_one(counted[:, :2], truth, radius_px)
    return PointOutcome(
        counted[matches.pred_index],
        truth[matches.truth_index],
        np.delete(truth, matches.truth_index, axis=0),
        np.delete(counted, matches.pred_index, axis=0),
        np.zeros((0, 3)),
    )


def draw_overlay(
    image: np.ndarray,
    truth: np.ndarray | None,
    points: np.ndarray,
    *,
    threshold: float,
    radius_px: float,
    mpp: float | None = None,
    marker_px: float = 20.0,
    show_scores: bool = True,
    show_legend: bool = True,
) -> np.ndarray:
    """Draw true positives (green circle), missed figures (blue square) and false positives (yellow triangle).

    A line leads from a true positive to the annotation it is matched with. Small images are enlarged by a whole number
    until both sides have 480 px.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        truth: ``(G, 2)`` annotated mitotic figures ``(x, y)`` in pixels; None where nobody annotated the image, whose
            predictions are then drawn in a colour of their own (cyan circle) and judged as nothing.
        points: ``(P, 3)`` predictions ``(x, y, score)``.
        threshold: A prediction counts, and is drawn, when its score is above it.
        radius_px: The largest distance of a match, inclusive.
        mpp: Micrometres per pixel of ``image``; adds a scale bar.
        marker_px: Radius of the markers in pixels of ``image``.
        show_scores: Whether each prediction's score is written beside it.
        show_legend: Whether a strip that explains the markers is put below.

    Returns:
        ``(scale * H + strip, scale * W, 3)`` uint8, RGB.

    Raises:
        ImageError: ``image`` is no RGB uint8 array.
        ValueError: ``mpp`` is not positive.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f'an overlay needs an RGB image (H, W, 3) of uint8, found {image.shape} of {image.dtype}')
    if mpp is not None and not mpp > 0:
        raise ValueError(f'mpp is {mpp}, expected micrometres per pixel above 0, or None')
    outcome = sort_points(truth, points, threshold=threshold, radius_px=radius_px)
    style = _style(image, marker_px)
    canvas = cv2.resize(image, None, fx=style.scale, fy=style.scale, interpolation=cv2.INTER_CUBIC)
    _draw_points(canvas, outcome, style)
    if show_scores:
        _draw_scores(canvas, outcome, style)
    if not show_legend:
        return canvas
    counted: tuple[tuple[marks.MarkStyle, str], ...] = (
        (marks.TRUE_POSITIVE_MARK, f'true positive {len(outcome.hits)}'),
        (marks.MISSED_MARK, f'missed {len(outcome.missed)}'),
        (marks.FALSE_POSITIVE_MARK, f'false positive {len(outcome.false)}'),
    )
    if truth is None:
        counted = ((marks.PREDICTED_MARK, f'predicted {len(outcome.unjudged)}'),)
    entries = [legend.mark_entry(mark, text, style.text_px) for mark, text in counted]
    if mpp is not None:
        entries.append(legend.scale_bar_entry(mpp / style.scale, canvas.shape[1] / 6, style.text_px))
    reach = f', within {radius_px:g} px' + (f' = {radius_px * mpp:.3g} µm' if mpp is not None else '')
    entries.append(legend.text_entry(f'score > {threshold:.3g}' + (reach if truth is not None else ''), style.text_px))
    return np.vstack([canvas, legend.legend_strip(entries, canvas.shape[1], style.text_px)])


def _style(image: np.ndarray, marker_px: float) -> _Style:
    factor = max(int(np.ceil(_SMALLEST_SIDE_PX / min(image.shape[:2]))), 1)
    radius = marker_px * factor
    long_side = factor * max(image.shape[:2])
    pen = int(np.clip(round(long_side / 500), 2, max(2, round(radius / 5))))
    return _Style(factor, radius, pen, float(np.clip(round(factor * image.shape[1] / 32), 11, 28)))


def _place(xy: np.ndarray, style: _Style) -> np.ndarray:
    """Convert pixel positions of the image to those of the enlarged image."""
    return (np.asarray(xy, dtype=np.float64)[:, :2] + 0.5) * style.scale - 0.5


def _draw_points(canvas: np.ndarray, outcome: PointOutcome, style: _Style) -> None:
    green = marks.TRUE_POSITIVE_MARK.colour
    for mark, points in (
        (marks.PREDICTED_MARK, outcome.unjudged),
        (marks.FALSE_POSITIVE_MARK, outcome.false),
        (marks.MISSED_MARK, outcome.missed),
        (marks.TRUE_POSITIVE_MARK, outcome.hits),
    ):
        for x, y in _place(points, style):
            marks.draw_mark(canvas, mark, x, y, style.radius, style.pen)
    for start, end in zip(_place(outcome.hits, style), _place(outcome.hit_truth, style)):
        if np.hypot(*(end - start)) > style.radius:
            edge = start + (end - start) * style.radius / np.hypot(*(end - start))
            marks.draw_lines(canvas, [np.stack([edge, end])], OUTLINE, style.pen + 2)
            marks.draw_lines(canvas, [np.stack([edge, end])], green, style.pen)
        marks.draw_dot(canvas, end[0], end[1], style.pen * 1.2, green)


def _draw_scores(canvas: np.ndarray, outcome: PointOutcome, style: _Style) -> None:
    """Write each score where it covers no marker and no other score, if there is such a place beside its marker."""
    scored = np.concatenate([outcome.hits, outcome.false, outcome.unjudged])
    colours = [lighter(marks.TRUE_POSITIVE_MARK.colour)] * len(outcome.hits)
    colours += [lighter(marks.FALSE_POSITIVE_MARK.colour)] * len(outcome.false)
    colours += [lighter(marks.PREDICTED_MARK.colour)] * len(outcome.unjudged)
    centres = _place(np.concatenate([scored[:, :2], outcome.missed]), style)
    taken = np.concatenate([centres - style.radius, centres + style.radius], axis=1)
    text_px = max(11.0, style.text_px * 0.95)
    for index, (score, colour) in enumerate(zip(scored[:, 2], colours)):
        label = format_score(score)
        width, height = text_size(label, text_px, bold=True)
        boxes = _label_places(centres[index], style.radius + style.pen, width, height)
        left, top = _least_covering(boxes, np.delete(taken, index, axis=0), canvas.shape)[:2]
        taken = np.concatenate([taken, [[left, top, left + width, top + height]]])
        draw_text(canvas, label, round(left), round(top), text_px, colour, halo=OUTLINE, bold=True)


def format_score(score: float) -> str:
    """Format a score with two digits, or with more if two would read as certainty.

    >>> format_score(0.5), format_score(0.9987), format_score(0.99999)
    ('0.50', '0.999', '>0.999')
    """
    if score > 0.9995:
        return '1' if score >= 1 else '>0.999'
    return f'{score:.3f}' if score > 0.985 else f'{score:.2f}'


def _label_places(centre: np.ndarray, reach: float, width: int, height: int) -> np.ndarray:
    """Return boxes ``(8, 4)`` as ``(x0, y0, x1, y1)`` around a marker, the best one first."""
    x, y = centre
    near = reach * 0.75
    corners = [
        (x + near, y - near - height),
        (x + near, y + near),
        (x - near - width, y - near - height),
        (x - near - width, y + near),
        (x + reach, y - height / 2),
        (x - reach - width, y - height / 2),
        (x - width / 2, y - reach - height),
        (x - width / 2, y + reach),
    ]
    return np.array([(left, top, left + width, top + height) for left, top in corners])


def _least_covering(boxes: np.ndarray, taken: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    low = np.maximum(boxes[:, None, :2], taken[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], taken[None, :, 2:])
    covered = np.prod(np.clip(high - low, 0, None), axis=2).sum(axis=1)
    inside_low = np.maximum(boxes[:, :2], 0)
    inside_high = np.minimum(boxes[:, 2:], (shape[1], shape[0]))
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    outside = area - np.prod(np.clip(inside_high - inside_low, 0, None), axis=1)
    return boxes[int(np.argmin(covered + 10 * outside))]
