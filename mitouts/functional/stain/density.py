"""Converts grey levels to optical density and back, and mixes stains in between."""

from __future__ import annotations

import math
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Scalar = TypeVar('Scalar', bound=np.generic)

HED_RUIFROK = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical densities of haematoxylin, eosin and DAB in R, G, B (Ruifrok and Johnston 2001), one stain a row."""

MIN_TISSUE_PX = 64
MIN_TISSUE_SHARE = 0.02
TISSUE_DENSITY = 0.15
"""Least optical density of tissue in all three channels (beta of Macenko et al. 2009)."""

WHITE = 240
"""Grey level of glass (``Io``)."""

DENSITY_OF_GREY = -np.log((np.arange(256) + 1) / WHITE).astype(np.float32)
"""Optical density of each grey level against :data:`WHITE`; the level is raised by 1, so that black has one."""

_BRIGHTEST_TISSUE = int(np.flatnonzero(DENSITY_OF_GREY >= TISSUE_DENSITY)[-1])
_DENSITY_OF_GREY_255 = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)
_SEARCHED_PX = 32_768
# Two float32 strips of this size stay in a core's L2 cache; whole images go through memory at every step (5 x slower).
_STRIP_BYTES = 192 * 1024
# exp(21) is about the largest number that still rounds to a 32-bit integer.
_MAX_EXPONENT = 21.0


def sample_pixels(image: NDArray[Scalar], max_px: int) -> NDArray[Scalar]:
    """Take a regular grid of pixels from an image or a mask.

    Args:
        image: Array ``(H, W, ...)``.
        max_px: About how many pixels at most; an image that has no more is taken whole.

    Returns:
        Array ``(h, w, ...)``, a view.
    """
    height, width = image.shape[:2]
    step = -(-height * width // max_px)
    # Rather rows than columns are left out, because whole rows are read much faster.
    columns = min(math.isqrt(step), width)
    rows = -(-step // columns)
    if rows > height:
        rows, columns = height, -(-step // height)
    return image[::rows, ::columns]


def to_density(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the optical density ``-ln((I + 1) / 240)`` of an image ``(H, W, 3)``, one channel a row: ``(3, H W)``."""
    density = np.empty((3, *image.shape[:2]), dtype=np.float32)
    for plane, row in zip(cv2.split(image), density):
        cv2.LUT(plane, DENSITY_OF_GREY, row)
    return density.reshape(3, -1)


def is_tissue(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels of ``(H, W, 3)`` reach :data:`TISSUE_DENSITY` in all channels, row by row: ``(H W,)``."""
    return cv2.inRange(pixels, (0, 0, 0), (_BRIGHTEST_TISSUE,) * 3).ravel() > 0


def is_enough_tissue(mask: NDArray[np.bool_]) -> bool:
    """Tell whether at least 64 pixels and 2% of them are tissue.

    With less, a 99th percentile over all pixels would describe the glass rather than the stains.
    """
    return int(np.count_nonzero(mask)) >= max(MIN_TISSUE_PX, MIN_TISSUE_SHARE * len(mask))


def has_tissue(image: NDArray[np.uint8]) -> bool:
    """Tell whether a regular sample of an image ``(H, W, 3)`` holds enough tissue (:func:`is_enough_tissue`)."""
    return is_enough_tissue(is_tissue(np.ascontiguousarray(sample_pixels(image, _SEARCHED_PX))))


def complete_stains(stains: NDArray) -> NDArray[np.float64]:
    """Add a residual at right angles to two stains ``(2, 3)``; returns ``(3, 3)``."""
    residual = np.cross(stains[0], stains[1])
    return np.vstack([stains, residual / np.linalg.norm(residual)])


def map_density(image: NDArray[np.uint8], matrix: NDArray) -> NDArray[np.uint8]:
    """Apply one matrix to the optical density ``d`` of every pixel: ``floor(240 exp(-matrix d))``, at most 255.

    Args:
        image: Array ``(H, W, 3)``, RGB.
        matrix: Array ``(3, 3)``, finite.

    Returns:
        Array ``(H, W, 3)``, a new one. Memory beyond it does not grow with the image.
    """
    # Rounding a level less a half cuts its fraction off.
    return _map(image, DENSITY_OF_GREY, -matrix, np.full(3, np.log(WHITE)), shift=-0.5)


def jitter_stain(
    image: NDArray[np.uint8], factors: ArrayLike, offsets: ArrayLike, stains: NDArray = HED_RUIFROK
) -> NDArray[np.uint8]:
    """Change the concentration ``c`` of each stain to ``factor c + offset`` by one 3 x 3 matrix in OD space.

    Args:
        image: Array ``(H, W, 3)``, RGB.
        factors: One a stain.
        offsets: One a stain, in optical density.
        stains: Array ``(3, 3)``, one stain a row; rows are normalized here.

    Returns:
        Array ``(H, W, 3)``; grey levels are cut at 0 and 255.
    """
    unit = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    matrix = np.linalg.inv(unit) @ np.diag(np.asarray(factors, dtype=np.float64)) @ unit
    bias = np.asarray(offsets, dtype=np.float64) @ unit
    return _map(image, _DENSITY_OF_GREY_255, -matrix.T, np.log(255) - bias, shift=0.0)


def _map(
    image: NDArray[np.uint8], density_of_grey: NDArray[np.float32], matrix: NDArray, bias: NDArray, *, shift: float
) -> NDArray[np.uint8]:
    """Compute ``round(exp(matrix density + bias) + shift)``, strip by strip."""
    image = np.ascontiguousarray(image)
    height, width = image.shape[:2]
    affine = np.column_stack([matrix, bias]).astype(np.float32)
    darkest, brightest = density_of_grey.max(), density_of_grey.min()
    largest = float((np.maximum(matrix * darkest, matrix * brightest).sum(axis=1) + bias).max())
    rows = min(height, max(1, _STRIP_BYTES // (width * 3 * 4)))
    density, level = np.empty((2, rows, width, 3), dtype=np.float32)
    out = np.empty_like(image)
    for top in range(0, height, rows):
        strip = image[top : top + rows]
        density, level = density[: len(strip)], level[: len(strip)]
        cv2.LUT(strip, density_of_grey, density)
        cv2.transform(density, affine, level)
        if largest > _MAX_EXPONENT:
            np.minimum(level, _MAX_EXPONENT, out=level)
        cv2.exp(level, level)
        cv2.convertScaleAbs(level, out[top : top + rows], 1.0, shift)
    return out
