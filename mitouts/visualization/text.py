"""Writes smooth text on arrays: OpenCV's own letters are hard to read at small sizes and lack µ.

The outlines come from the DejaVu Sans that matplotlib ships, so the pixels do not depend on the machine's fonts.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

import cv2
import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.path import Path as Outline
from matplotlib.textpath import text_to_path

from mitouts.visualization.palette import INK, RGB

_SUPERSAMPLING = 8
_ASCENT_EM = 0.80
_DESCENT_EM = 0.26


@lru_cache(maxsize=4)
def _font(bold: bool) -> FontProperties:
    return FontProperties(family='DejaVu Sans', weight='bold' if bold else 'normal')


@lru_cache(maxsize=4096)
def printable(text: str) -> str:
    """Replace every character of ``text`` that the font lacks, or that leaves no mark, by ``?``."""
    font = get_font(findfont(_font(False)))
    return ''.join(c if c.isprintable() and font.get_char_index(ord(c)) else '?' for c in text)


@lru_cache(maxsize=1024)
def text_mask(text: str, size_px: float, bold: bool = False) -> np.ndarray:
    """Compute the coverage of one line of text.

    Args:
        text: Text to write; ``$`` has no special meaning.
        size_px: Size of the font (its em) in pixels.
        bold: Whether the bold cut is used.

    Returns:
        ``(h, w)`` float32 in [0, 1], read-only, with the baseline ``ceil(0.8 * size_px)`` rows below the top.
    """
    ascent, descent = int(np.ceil(_ASCENT_EM * size_px)), int(np.ceil(_DESCENT_EM * size_px))
    vertices, codes = text_to_path.get_text_path(_font(bold), printable(text), ismath=False)
    advance_px = text_to_path.get_text_width_height_descent(printable(text), _font(bold), ismath=False)[0]
    width = int(np.ceil(advance_px * size_px / _font(bold).get_size_in_points())) + 1 if text else 0
    coverage = np.zeros((ascent + descent, width), np.float32)
    if len(vertices):
        fine = np.asarray(vertices) * (size_px / text_to_path.FONT_SCALE * _SUPERSAMPLING)
        fine = fine * (1, -1) + (0, ascent * _SUPERSAMPLING)
        polygons = Outline(fine, codes).to_polygons(closed_only=True)
        mask = np.zeros(((ascent + descent) * _SUPERSAMPLING, width * _SUPERSAMPLING), np.uint8)
        cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32) for polygon in polygons], (255,))
        coverage[:] = cv2.resize(mask, (width, ascent + descent), interpolation=cv2.INTER_AREA) / np.float32(255)
    coverage.setflags(write=False)
    return coverage


def text_size(text: str, size_px: float, bold: bool = False) -> tuple[int, int]:
    """Return width and height in pixels of the box that :func:`draw_text` fills."""
    height, width = text_mask(text, size_px, bold).shape
    return width, height


def draw_text(
    image: np.ndarray,
    text: str,
    left: int,
    top: int,
    size_px: float,
    colour: RGB = INK,
    *,
    halo: RGB | None = None,
    bold: bool = False,
) -> None:
    """Write one line of text into ``image`` in place; what lies outside is cut off.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        left: Column of the text box's left edge.
        top: Row of the text box's upper edge.
        size_px: Size of the font in pixels.
        halo: Colour of a rim around the letters, for text on tissue.
        bold: Whether the bold cut is used.
    """
    mask = text_mask(text, size_px, bold)
    if halo is not None:
        rim_px = max(1, round(size_px / 9))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim_px + 1, 2 * rim_px + 1))
        rim = cv2.dilate(np.pad(mask, rim_px), kernel)
        _blend(image, rim, left - rim_px, top - rim_px, halo)
    _blend(image, mask, left, top, colour)


def fit_text(text: str, size_px: float, width_px: int, bold: bool = False) -> str:
    """Return ``text``, or its beginning with an ellipsis if the whole is wider than ``width_px``."""
    if fitting_length(text, size_px, width_px, bold) == len(text):
        return text
    # Without the space that a beginning may end with, it is no wider.
    length = fitting_length(text, size_px, width_px, bold, end='…')
    return text[:length].rstrip() + '…' if length else ''


def fitting_length(text: str, size_px: float, width_px: int, bold: bool = False, end: str = '') -> int:
    """Count the characters of the longest beginning that is not wider than ``width_px``, with ``end`` after it.

    Only a few beginnings are measured, however long the text is.
    """

    def width(length: int) -> int:
        return text_size(text[:length] + end, size_px, bold)[0]

    return bisect_right(range(1, len(text) + 1), width_px, key=width)


def _blend(image: np.ndarray, mask: np.ndarray, left: int, top: int, colour: RGB) -> None:
    height, width = image.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + mask.shape[1], width), min(top + mask.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    alpha = mask[y0 - top : y1 - top, x0 - left : x1 - left, None]
    region = image[y0:y1, x0:x1]
    blended = region * (1 - alpha) + np.asarray(colour, np.float32) * alpha
    image[y0:y1, x0:x1] = np.rint(blended).astype(np.uint8)
