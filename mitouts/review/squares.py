"""Cuts squares out of images, whichever reader opens them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

OUTSIDE = 0xE0
"""Grey of what lies outside an image."""

Read = Callable[[int, int, int, int], NDArray[np.uint8]]


def cut(
    read: Read,
    width_px: int,
    height_px: int,
    centre_px: tuple[int, int],
    side_px: int,
    ground: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Cut a square around a pixel.

    Args:
        read: Gives the rectangle ``(x, y, width, height)`` inside the image.
        width_px: Width of the image.
        height_px: Height of the image.
        centre_px: ``(x, y)`` of the pixel that becomes the central one.
        side_px: Odd.
        ground: ``(side, side, 3)``, what is shown outside the image; None is grey.

    Returns:
        Array ``(side, side, 3)``, RGB.
    """
    left, top = (value - side_px // 2 for value in centre_px)
    first = max(left, 0), max(top, 0)
    last = min(left + side_px, width_px), min(top + side_px, height_px)
    square = np.full((side_px, side_px, 3), OUTSIDE, np.uint8) if ground is None else ground.copy()
    if first[0] < last[0] and first[1] < last[1]:
        inside = read(*first, last[0] - first[0], last[1] - first[1])
        square[first[1] - top : last[1] - top, first[0] - left : last[0] - left] = inside
    return square


def stays_inside(name: str) -> bool:
    """Whether a relative name stays inside its folder; folders may still be links to wherever the images are."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and '..' not in path.parts and '\0' not in name
