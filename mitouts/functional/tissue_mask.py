"""Tells tissue from glass, ink and the scanner's border."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_CHROMA = 15
"""Least difference in grey levels between the strongest and the weakest channel of tissue.

Glass, background without pen marks, and black padding have less.
"""
OTSU_RANGE = (12.0, 25.0)
"""Range that Otsu's threshold of the chroma is clipped to: the noise of glass lies below it, pale tissue above."""
DARKEST_TISSUE = 75
"""Least grey level of the strongest channel of tissue.

Ink and scanner borders have less, haematoxylin at low resolution has more.
"""

_SMOOTHING_PX = 2.0
# Smaller holes belong to the tissue around them: a square of 256 um.
_MAX_HOLE_UM2 = 65_536.0
# Left out around ink, whose edge is too pale to be told from tissue.
_INK_MARGIN_UM = 50.0
_INK_GREEN_OVER_RED = 0.12
_INK_BLUE_OVER_RED = 95


def tissue_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the coloured pixels: haematoxylin and eosin are coloured, glass, black and grey are not.

    Args:
        image: Array ``(H, W, 3)``, RGB, uint8.

    Returns:
        Array ``(H, W)``.
    """
    return _chroma(image) >= MIN_CHROMA


def tissue_share(image: NDArray[np.uint8]) -> float:
    """Return the share of an RGB image ``(H, W, 3)`` that is tissue, from every fourth pixel of both axes."""
    return float(tissue_mask(np.ascontiguousarray(image[::4, ::4])).mean())


def find_tissue(thumbnail: NDArray[np.uint8], mpp: float, *, min_area_um2: float = 20_000.0) -> NDArray[np.bool_]:
    """Find the tissue of a slide at low resolution.

    Smoothed chroma (saturation times brightness, which unlike saturation is quiet in the dark) is cut at Otsu's
    threshold, clipped to :data:`OTSU_RANGE`: on glass alone, or on tissue alone, Otsu would split mere noise in two.
    Pen marks that are blue, green or black and black borders are left out; red ink looks like eosin and is not
    recognized. Specks are removed, then holes are closed, except where there is ink.

    Args:
        thumbnail: Array ``(H, W, 3)``, RGB, uint8.
        mpp: Micrometres per pixel of the thumbnail; 4 to 64 is sensible.
        min_area_um2: Smaller pieces of tissue are taken for dust; the default is a disc of 160 um.

    Returns:
        Array ``(H, W)``, bool.

    Raises:
        ValueError: ``thumbnail`` is no RGB uint8 array, ``mpp`` is not a positive number, or the area is negative.
    """
    if thumbnail.ndim != 3 or thumbnail.shape[2] != 3 or thumbnail.dtype != np.uint8 or 0 in thumbnail.shape:
        raise ValueError(f'expected an RGB uint8 thumbnail (H, W, 3), found {thumbnail.dtype} {thumbnail.shape}')
    if not (math.isfinite(mpp) and mpp > 0):
        raise ValueError(f'mpp must be micrometres per pixel above 0, found {mpp}')
    if min_area_um2 < 0:
        raise ValueError(f'min_area_um2 must be at least 0, found {min_area_um2}')
    smooth = np.asarray(cv2.GaussianBlur(thumbnail, (0, 0), _SMOOTHING_PX), dtype=np.uint8)
    chroma = _chroma(smooth)
    coloured = chroma >= tissue_threshold(chroma)
    black = smooth.max(axis=2) < DARKEST_TISSUE
    # A blue or black speck is no pen mark, so only pieces of some size grow.
    ink = drop_small(black | find_ink(smooth, coloured), min_area_um2 / 4 / mpp**2)
    ink = _grown(ink, _INK_MARGIN_UM / mpp)
    tissue = drop_small(coloured & ~ink, min_area_um2 / mpp**2)
    return fill_small_holes(tissue, _MAX_HOLE_UM2 / mpp**2) & ~ink


def tissue_threshold(chroma: NDArray[np.uint8]) -> float:
    """Compute Otsu's threshold of the chroma (Otsu 1979), clipped to :data:`OTSU_RANGE`; inclusive."""
    between, _ = cv2.threshold(chroma, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    # OpenCV's is the last grey level of the lower class.
    return float(np.clip(between + 1, *OTSU_RANGE))


def find_ink(image: NDArray[np.uint8], coloured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark blue and green ink by its hue: haematoxylin and eosin, and any mixture, let more red through than green.

    Args:
        image: Array ``(H, W, 3)``, RGB, uint8.
        coloured: Array ``(H, W)``, where the image is coloured enough for a hue.

    Returns:
        Array ``(H, W)``, bool.
    """
    red, green, blue = (image[..., channel].astype(np.int16) for channel in range(3))
    greenish = green - red > _INK_GREEN_OVER_RED * _chroma(image)
    return coloured & (greenish | (blue - red > _INK_BLUE_OVER_RED))


def drop_small(mask: NDArray[np.bool_], min_area_px: float) -> NDArray[np.bool_]:
    """Remove the 8-connected pieces of fewer than ``min_area_px`` pixels."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_area_px
    keep[0] = False
    return keep[pieces]


def fill_small_holes(mask: NDArray[np.bool_], max_area_px: float) -> NDArray[np.bool_]:
    """Close the holes of up to ``max_area_px`` pixels; a hole is 4-connected and does not touch the border."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    fill = stats[:, cv2.CC_STAT_AREA] <= max_area_px
    fill[0] = False
    fill[np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])] = False
    return mask | fill[pieces]


def _chroma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    red, green, blue = cv2.split(image)
    strongest = cv2.max(cv2.max(red, green), blue)
    weakest = cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.subtract(strongest, weakest), dtype=np.uint8)


def _grown(mask: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    if radius_px < 0.5 or not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance) <= radius_px
