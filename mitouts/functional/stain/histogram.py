"""Matches the histograms of images, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.functional.stain.density import has_tissue

MIN_LEVELS = 16
MIN_COLOUR = 0.01


@dataclass(frozen=True)
class ChannelQuantiles:
    """Distribution of the grey levels.

    Attributes:
        quantiles: Array ``(3, 256)``: share of the pixels whose R, G or B is at most 0, 1, ... 255.
    """

    quantiles: NDArray[np.float64]


def fit_histogram(image: NDArray[np.uint8]) -> ChannelQuantiles | None:
    """Compute the cumulative histograms of an image.

    Args:
        image: Array ``(H, W, 3)``, RGB.

    Returns:
        None where there is too little tissue (:func:`~mitouts.functional.stain.density.has_tissue`), or where a
        channel has fewer than 16 different levels, or where the channels' quantiles differ by less than 0.01, as in a
        grey image, whose colours would be made up.
    """
    if not has_tissue(image):
        return None
    image = np.ascontiguousarray(image)
    counts = np.array([cv2.calcHist([image], [channel], None, [256], [0, 256]).ravel() for channel in range(3)])
    if ((counts > 0).sum(axis=1) < MIN_LEVELS).any():
        return None
    cumulative = np.cumsum(counts, axis=1, dtype=np.float64)
    quantiles = cumulative / cumulative[:, -1:]
    return ChannelQuantiles(quantiles) if np.ptp(quantiles, axis=0).max() >= MIN_COLOUR else None


def apply_histogram(
    image: NDArray[np.uint8], source: ChannelQuantiles, reference: ChannelQuantiles
) -> NDArray[np.uint8]:
    """Map each level of an image ``(H, W, 3)`` to the reference's level at the same quantile, rounded."""
    table = np.empty((1, 256, 3), dtype=np.uint8)
    for channel, (own, wanted) in enumerate(zip(source.quantiles, reference.quantiles)):
        # A level that does not occur has no quantile of its own to aim at.
        levels = np.flatnonzero(np.diff(wanted, prepend=0.0) > 0)
        table[0, :, channel] = np.rint(np.interp(own, wanted[levels], levels))
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), table), dtype=np.uint8)
