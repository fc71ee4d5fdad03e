"""Reads at a scale between two levels, so that parts read one by one fit together."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

_MAX_BLOCK_PX = 64


class LevelReader(Protocol):
    """The part of a slide reader's interface that is needed here."""

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]: ...

    def read_level(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]: ...


def simplest_ratio(scale: float, tolerance: float = 0.01) -> Fraction:
    """Find the fraction with the smallest denominator within a relative ``tolerance`` of ``scale``.

    A small denominator means small blocks: ``q`` pixels are made of ``p`` pixels exactly, so blocks never share one.

    >>> simplest_ratio(0.5 / 0.2521)
    Fraction(2, 1)
    >>> simplest_ratio(1.1)
    Fraction(11, 10)
    """
    for denominator in range(1, _MAX_BLOCK_PX):
        ratio = Fraction(round(scale * denominator), denominator)
        if abs(ratio - scale) <= tolerance * scale:
            return ratio
    return Fraction(scale).limit_denominator(_MAX_BLOCK_PX)


def resampled_dimensions(size: tuple[int, int], ratio: Fraction) -> tuple[int, int]:
    """Return ``(width, height)`` of a level after resampling; a partly covered last pixel counts."""
    width, height = (-(-length * ratio.denominator // ratio.numerator) for length in size)
    return width, height


def read_resampled(
    reader: LevelReader, level: int, ratio: Fraction, x: int, y: int, width: int, height: int
) -> NDArray[np.uint8]:
    """Read a rectangle of a level that is shrunk by ``ratio`` = p/q.

    Every q x q pixels are made of their own p x p pixels of the level: area averages when it shrinks, linear
    interpolation when it enlarges. The blocks start at the level's corner, not at the rectangle's, so the same pixel
    comes out the same whatever rectangle it is read with.

    Args:
        reader: The slide.
        level: Index of the level.
        ratio: Level pixels per resampled pixel.
        x: Left column, in resampled pixels, as all that follow.
        y: Top row.
        width: Of the rectangle.
        height: Of the rectangle.

    Returns:
        Array ``(height, width, 3)``, RGB; white outside the slide.
    """
    if ratio == 1:
        return reader.read_level(level, x, y, width, height)
    size = reader.level_dimensions[level]
    full_width, full_height = resampled_dimensions(size, ratio)
    left, right = max(x, 0), min(x + width, full_width)
    top, bottom = max(y, 0), min(y + height, full_height)
    region = np.full((height, width, 3), 255, np.uint8)
    if left < right and top < bottom:
        columns, rows = _blocks(left, right, ratio), _blocks(top, bottom, ratio)
        source = _read_blocks(reader, level, size, columns, rows, ratio.numerator)
        block = ratio.denominator
        target = (columns[1] - columns[0]) * block, (rows[1] - rows[0]) * block
        smooth = cv2.INTER_AREA if ratio > 1 else cv2.INTER_LINEAR
        resized = cv2.resize(source, target, interpolation=smooth)
        dx, dy = left - columns[0] * block, top - rows[0] * block
        region[top - y : bottom - y, left - x : right - x] = resized[dy : dy + bottom - top, dx : dx + right - left]
    return region


def _blocks(start: int, stop: int, ratio: Fraction) -> tuple[int, int]:
    # Interpolation looks half a pixel over the edge of a block, averaging does not.
    margin = 0 if ratio > 1 else 1
    return start // ratio.denominator - margin, -(-stop // ratio.denominator) + margin


def _read_blocks(
    reader: LevelReader, level: int, size: tuple[int, int], columns: tuple[int, int], rows: tuple[int, int], block: int
) -> NDArray[np.uint8]:
    """Read whole blocks of a level's pixels; beyond the slide its outermost pixels are repeated."""
    left, right = max(columns[0] * block, 0), min(columns[1] * block, size[0])
    top, bottom = max(rows[0] * block, 0), min(rows[1] * block, size[1])
    inside = reader.read_level(level, left, top, right - left, bottom - top)
    margins = top - rows[0] * block, rows[1] * block - bottom, left - columns[0] * block, columns[1] * block - right
    if not any(margins):
        return inside
    return np.asarray(cv2.copyMakeBorder(inside, *margins, cv2.BORDER_REPLICATE), dtype=np.uint8)
