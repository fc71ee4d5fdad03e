"""Swaps the amplitudes of low frequencies for those of a reference (FDA; Yang and Soatto, CVPR 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.stain.density import has_tissue


def low_frequencies(image: NDArray[np.uint8], radius: int) -> NDArray[np.complex64]:
    """Compute the discrete Fourier coefficients of an image up to ``radius`` cycles, divided by its number of pixels.

    Thanks to the division, they hardly depend on the resolution at which a field is sampled.

    Args:
        image: Array ``(H, W, 3)``.
        radius: Highest frequency, in cycles an image side; less than half of the shorter side.

    Returns:
        Array ``(3, 2 radius + 1, 2 radius + 1)``, frequencies from ``-radius`` to ``radius``.
    """
    rows, columns = _waves(image.shape[0], radius), _waves(image.shape[1], radius)
    channels = np.moveaxis(image, 2, 0).astype(np.float32)
    return np.asarray(rows @ (channels @ columns.T) / (image.shape[0] * image.shape[1]), dtype=np.complex64)


def swap_amplitude(image: NDArray[np.uint8], reference: NDArray[np.complex64], radius: int) -> NDArray[np.uint8] | None:
    """Give an image the amplitudes of a reference at its low frequencies; phases and high frequencies stay.

    Args:
        image: Array ``(H, W, 3)``.
        reference: :func:`low_frequencies` of the reference image, of the same radius.
        radius: Highest frequency that is swapped: ``floor(beta min(H, W))`` in the paper.

    Returns:
        Array ``(H, W, 3)``, cut at 0 and 255; None where there is too little tissue or only one colour.
    """
    if not has_tissue(image) or (image == image[0, 0]).all():
        return None
    own = low_frequencies(image, radius)
    amplitude = np.abs(own)
    phase = np.divide(own, amplitude, out=np.ones_like(own), where=amplitude > 1e-6)
    rows, columns = _waves(image.shape[0], radius).conj(), _waves(image.shape[1], radius).conj()
    # Only a few frequencies change, so only their waves are added instead of transforming all of the image back.
    change = rows.T @ ((np.abs(reference) - amplitude) * phase @ columns)
    return np.clip(np.rint(image + np.moveaxis(change.real, 0, 2)), 0, 255).astype(np.uint8)


def _waves(length: int, radius: int) -> NDArray[np.complex64]:
    frequencies = np.arange(-radius, radius + 1)
    return np.exp(-2j * np.pi * np.outer(frequencies, np.arange(length)) / length).astype(np.complex64)
