"""Refuses images that are too large to be decoded whole."""

from __future__ import annotations

import os
from pathlib import Path

import PIL
import PIL.Image

from mitouts.errors import ImageError

LIMIT_VARIABLE = 'MITOUTS_MAX_IMAGE_PX'
# OpenCV's own bound, fixed when it is imported.
_DECODER_LIMIT_PX = 1 << 30


def max_image_px() -> int:
    """Return the number of pixels above which an image is not decoded whole.

    It is PIL's limit (178,956,970), or ``MITOUTS_MAX_IMAGE_PX``.

    Raises:
        ImageError: The environment variable is not a positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    if text:
        try:
            limit = int(float(text))
        except (ValueError, OverflowError):
            limit = 0
        if limit < 1:
            raise ImageError(f'{LIMIT_VARIABLE} in the environment must be a positive number of pixels, found {text!r}')
        return min(limit, _DECODER_LIMIT_PX)
    if PIL.Image.MAX_IMAGE_PIXELS is None:
        return _DECODER_LIMIT_PX
    return min(2 * PIL.Image.MAX_IMAGE_PIXELS, _DECODER_LIMIT_PX)


def check_size(
    width: int,
    height: int,
    path: str | Path,
    what: str = 'image',
    instead: str = 'Convert it to a tiled TIFF, which is read in parts',
) -> None:
    """Raise an error if an image that must be decoded in one piece is too large.

    Args:
        width: In pixels.
        height: In pixels.
        path: Named in the error.
        what: Name of the image, for the error.
        instead: Alternative to raising the limit, for the error.

    Raises:
        ImageError: It has more than :func:`max_image_px` pixels.
    """
    limit = max_image_px()
    if width * height > limit:
        raise ImageError(
            f'{what} {path} is {width} x {height} px and would be decoded whole; the limit is {limit:,} px. {instead}, '
            f'or raise the limit: {LIMIT_VARIABLE}={width * height} (at most {_DECODER_LIMIT_PX})'
        )
