"""Turns decoded samples of any kind into RGB uint8."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationWarning, ImageError

# Of a TIFF file (ITU-R BT.601), where it states no others.
LUMA_WEIGHTS = (0.299, 0.587, 0.114)
FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)


def samples_to_rgb(samples: NDArray, source: str | Path, *, is_premultiplied: bool = False) -> NDArray[np.uint8]:
    """Turn grey, grey with alpha, RGB or RGBA samples into RGB uint8; transparent pixels become white, like glass.

    Args:
        samples: ``(H, W)`` or ``(H, W, C)`` with 1 to 4 channels, uint8 or uint16.
        source: File, named in the error.
        is_premultiplied: Colours were multiplied by alpha before they were stored.

    Returns:
        Array ``(H, W, 3)``.

    Raises:
        ImageError: The samples are of another kind.
    """
    if samples.dtype == np.uint16:
        samples = np.round(samples / 257).astype(np.uint8)
    if samples.dtype != np.uint8:
        raise ImageError(f'image {source} holds {samples.dtype}, expected 8 or 16 bits a channel: convert it first')
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    if channels == 1:
        return np.asarray(cv2.cvtColor(samples, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    if channels == 2:
        return _onto_white(samples[..., [0, 0, 0, 1]], is_premultiplied)
    if channels == 3:
        return np.ascontiguousarray(samples)
    if channels == 4:
        return _onto_white(samples, is_premultiplied)
    raise ImageError(f'image {source} has {channels} channels, expected 1, 3 or 4')


def warn_of_16_bits(source: str | Path, stacklevel: int = 3) -> None:
    """Warn that the range of a 16-bit image was assumed."""
    warnings.warn(
        f'{source}: 16-bit image, scaled by 1/257 to 8 bits; convert it yourself if its white is not 65535',
        AnnotationWarning,
        stacklevel=stacklevel,
    )


def warn_of_orientation(source: str | Path, orientation: int, stacklevel: int = 3) -> None:
    """Warn that a file's orientation tag (turned or flipped) is ignored and the image is read as stored.

    Pixels, sizes and points are those of the stored image, because that is what QuPath, OpenSlide, ASAP and ImageJ show
    and what their annotations count in.
    """
    if orientation in range(2, 9):
        warnings.warn(
            f'{source}: its orientation tag is {orientation} (1 is upright), and is ignored: pixels, sizes and points '
            'are those of the image as it is stored; turn the image and remove the tag if its points are of the '
            'turned one',
            AnnotationWarning,
            stacklevel=stacklevel,
        )


def scale_to_8_bits(samples: NDArray, bits: int) -> NDArray[np.uint8]:
    """Scale samples from 0 to ``2 ** bits - 1`` to uint8."""
    return np.round(samples * (255 / (2**bits - 1))).astype(np.uint8)


def ycbcr_to_rgb(
    samples: NDArray[np.uint8],
    luma_weights: Sequence[float] = LUMA_WEIGHTS,
    black_white: Sequence[float] = FULL_RANGE,
) -> NDArray[np.uint8]:
    """Turn YCbCr into RGB: ``R = Y + (2 - 2 Lr) Cr``, ``B = Y + (2 - 2 Lb) Cb``, ``G = (Y - Lr R - Lb B) / Lg``.

    Args:
        samples: ``(H, W, 3)``, luma and the two colour differences.
        luma_weights: ``Lr``, ``Lg``, ``Lb`` (TIFF tag YCbCrCoefficients).
        black_white: Codes of black and white of each component (TIFF tag ReferenceBlackWhite); TIFF 6.0, section 20.

    Returns:
        Array ``(H, W, 3)``.
    """
    red, green, blue = luma_weights
    codes = samples.astype(np.float32)
    y, cb, cr = (
        (codes[..., part] - black) * span / (white - black)
        for part, (black, white, span) in enumerate(zip(black_white[::2], black_white[1::2], (255, 127, 127)))
    )
    r = y + (2 - 2 * red) * cr
    b = y + (2 - 2 * blue) * cb
    g = (y - red * r - blue * b) / green
    return np.clip(np.round(np.stack([r, g, b], axis=-1)), 0, 255).astype(np.uint8)


def _onto_white(image: NDArray[np.uint8], is_premultiplied: bool) -> NDArray[np.uint8]:
    opaque = np.ascontiguousarray(image[..., :3])
    clear = image[..., 3] != 255
    if clear.any():
        alpha = image[clear, 3:].astype(np.float32) / 255
        colour = opaque[clear] if is_premultiplied else opaque[clear] * alpha
        opaque[clear] = np.clip(np.round(colour + 255 * (1 - alpha)), 0, 255).astype(np.uint8)
    return opaque
