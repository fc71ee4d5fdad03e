"""Draws markers on images at sub-pixel positions: each meaning has its own shape, with a dark rim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from mitouts.visualization.palette import FALSE_POSITIVE, MISSED, OUTLINE, PREDICTED, RGB, TRUE_POSITIVE

_SHIFT = 4
Shape = Callable[[float, float, float], np.ndarray]


@dataclass(frozen=True)
class MarkStyle:
    """Colour and shape of the marker for one kind of point.

    Attributes:
        shape: ``(x, y, radius) -> corners (N, 2)`` of a polygon, or None for a circle.
    """

    colour: RGB
    shape: Shape | None


def _square(x: float, y: float, radius: float) -> np.ndarray:
    half = radius * 0.9
    return np.array([(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)])


def _triangle(x: float, y: float, radius: float) -> np.ndarray:
    # 1.3 times the radius from centre to corner: about the area of the circle, so that no kind of point shouts.
    angles = np.deg2rad([-90, 30, 150])
    return np.stack([x + 1.3 * radius * np.cos(angles), y + 1.3 * radius * np.sin(angles)], axis=1)


TRUE_POSITIVE_MARK = MarkStyle(TRUE_POSITIVE, None)
MISSED_MARK = MarkStyle(MISSED, _square)
FALSE_POSITIVE_MARK = MarkStyle(FALSE_POSITIVE, _triangle)
PREDICTED_MARK = MarkStyle(PREDICTED, None)


def draw_mark(image: np.ndarray, mark: MarkStyle, x: float, y: float, radius: float, pen: int) -> None:
    """Draw one marker in place, with a dark line of one pixel on either side of the coloured one.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        x: Centre, in pixels; a whole number is the centre of a pixel.
        y: Centre, in pixels.
        radius: Radius of the marker, in pixels.
        pen: Width of the coloured line, in pixels.
    """
    for width, colour in ((pen + 2, OUTLINE), (pen, mark.colour)):
        if mark.shape is None:
            cv2.circle(image, (_fixed(x), _fixed(y)), _fixed(radius), colour, width, cv2.LINE_AA, _SHIFT)
        else:
            draw_lines(image, [mark.shape(x, y, radius)], colour, width, closed=True)


def draw_lines(image: np.ndarray, lines: list[np.ndarray], colour: RGB, pen: int, *, closed: bool = False) -> None:
    """Draw polylines ``(N, 2)`` with sub-pixel corners in place."""
    corners = [np.rint(line * (1 << _SHIFT)).astype(np.int32)[:, None] for line in lines]
    cv2.polylines(image, corners, closed, colour, pen, cv2.LINE_AA, _SHIFT)


def draw_dot(image: np.ndarray, x: float, y: float, radius: float, colour: RGB) -> None:
    """Draw a filled dot with a dark rim in place."""
    cv2.circle(image, (_fixed(x), _fixed(y)), _fixed(radius + 1), OUTLINE, -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(image, (_fixed(x), _fixed(y)), _fixed(radius), colour, -1, cv2.LINE_AA, _SHIFT)


def _fixed(value: float) -> int:
    return round(value * (1 << _SHIFT))
