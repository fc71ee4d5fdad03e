"""Reads PNG, JPEG and BMP files, which are decoded whole."""

from __future__ import annotations

import contextlib
import struct
import warnings
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.image_header import encoded_image
from mitouts.imaging.samples import samples_to_rgb, warn_of_16_bits, warn_of_orientation
from mitouts.imaging.size_limit import check_size

_ORIENTATION = 0x0112


def read_raster(path: Path) -> NDArray[np.uint8]:
    """Read an image that has no levels, as it is stored.

    Args:
        path: File.

    Returns:
        Array ``(H, W, 3)``, RGB. Grey becomes RGB, alpha is blended onto white, 16 bits become 8 with a warning. An
        orientation tag is ignored with a warning (:func:`mitouts.imaging.samples.warn_of_orientation`).

    Raises:
        ImageError: Broken, CMYK, or, by its header, too large to be decoded whole.
    """
    data = path.read_bytes()
    header = encoded_image(BytesIO(data))
    image = None
    if header is not None:
        check_size(*header.size, path)
        if header.mode == 'CMYK':
            raise ImageError(f'image {path} is CMYK: expected grey or RGB; convert it')
        # OpenCV raises where a broken header states absurd sides, and returns None for most else that is broken.
        with contextlib.suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ImageError(
            f'image {path} cannot be read ({len(data)} bytes): it is broken or in a format that is not known here; get '
            'the file again, or convert it to PNG'
        )
    warn_of_orientation(path, _orientation(data), stacklevel=4)
    if image.dtype == np.uint16:
        warn_of_16_bits(path, stacklevel=4)
    if image.ndim == 3 and image.shape[2] in (3, 4):
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return samples_to_rgb(image, path)


def _orientation(data: bytes) -> int:
    """Return the EXIF orientation; 1 if there is none."""
    # Most files have no EXIF, and are not parsed once more.
    if data.startswith(b'RIFF') or b'Exif\0\0' in data[:65_536] or b'eXIf' in data[:65_536]:
        with contextlib.suppress(OSError, ValueError, SyntaxError, struct.error), warnings.catch_warnings():
            # Of metadata that are broken: the image may be whole.
            warnings.simplefilter('ignore')
            with PIL.Image.open(BytesIO(data)) as image:
                return int(image.getexif().get(_ORIENTATION, 1))
    return 1
