"""Matches mean and spread of the colours in Lab (Reinhard et al., IEEE Computer Graphics and Applications 2001)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.functional.stain.density import has_tissue

MIN_STD = 0.5
# 8-bit Lab holds L * 2.55, a + 128, b + 128.
_SCALE = np.array([2.55, 1.0, 1.0])
_OFFSET = np.array([0.0, 128.0, 128.0])


@dataclass(frozen=True)
class LabMoments:
    """Colours of a whole image, glass included.

    Attributes:
        mean: Array ``(3,)`` of L (0 to 100), a and b.
        std: Array ``(3,)``, likewise.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def fit_reinhard(image: NDArray[np.uint8]) -> LabMoments | None:
    """Compute the mean and standard deviation in Lab over the whole image, as staintools does.

    Args:
        image: Array ``(H, W, 3)``, RGB.

    Returns:
        None where there is too little tissue (:func:`~mitouts.functional.stain.density.has_tissue`), or where L, a or
        b vary by less than 0.5, as in a grey image.
    """
    if not has_tissue(image):
        return None
    mean, std = cv2.meanStdDev(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB))
    moments = LabMoments((mean.ravel() - _OFFSET) / _SCALE, std.ravel() / _SCALE)
    return moments if (moments.std >= MIN_STD).all() else None


def apply_reinhard(image: NDArray[np.uint8], source: LabMoments, reference: LabMoments) -> NDArray[np.uint8]:
    """Move the colours ``c`` of an image ``(H, W, 3)`` to ``(c - mean_src) std_ref / std_src + mean_ref`` in Lab."""
    lab = (np.arange(256)[:, None] - _OFFSET) / _SCALE
    moved = (lab - source.mean) * (reference.std / source.std) + reference.mean
    table = np.clip(np.rint(moved * _SCALE + _OFFSET), 0, 255).astype(np.uint8)
    levels = cv2.LUT(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB), table[None])
    return np.asarray(cv2.cvtColor(levels, cv2.COLOR_LAB2RGB), dtype=np.uint8)
