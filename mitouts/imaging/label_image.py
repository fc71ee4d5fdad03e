"""Reads and writes label images: PNGs whose pixel values are class codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mitouts.errors import ImageError
from mitouts.utils.files import written_aside

_MODES = ('L', 'P', 'I', 'I;16')


def read_labels(path: str | Path, expected_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read a label image.

    Args:
        path: A grey PNG of 8 or 16 bits, or one with a palette (whose indices are the codes).
        expected_size: ``(width, height)`` of the image that it labels.

    Returns:
        Array ``(H, W)``, codes from 0 to 255.

    Raises:
        ImageError: Missing, unreadable, coloured, of another size than expected, or with codes above 255.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f'label image {path} does not exist')
    try:
        with Image.open(path) as image:
            if image.mode not in _MODES:
                raise ImageError(
                    f'label image {path} has {image.mode} pixels: expected one code a pixel, in a grey PNG or one with '
                    'a palette'
                )
            codes = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ImageError(f'label image {path} cannot be read: {error}') from error
    height, width = codes.shape
    if expected_size is not None and (width, height) != expected_size:
        raise ImageError(
            f'label image {path} is {width} x {height} px, but its image is {expected_size[0]} x {expected_size[1]}'
        )
    if codes.dtype != np.uint8:
        if codes.min() < 0 or codes.max() > 255:
            raise ImageError(f'label image {path} holds codes from {codes.min()} to {codes.max()}, expected 0 to 255')
        codes = codes.astype(np.uint8)
    return codes


def write_labels(path: str | Path, codes: NDArray[np.uint8]) -> None:
    """Write codes ``(H, W)`` as a grey PNG; the file is complete or does not appear."""
    with written_aside(path) as aside:
        Image.fromarray(np.ascontiguousarray(codes, dtype=np.uint8)).save(aside, format='PNG')
