"""Reads image files as RGB uint8, and writes them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.image_header import ImageInfo, file_kind, probe
from mitouts.imaging.raster import read_raster
from mitouts.imaging.size_limit import check_size
from mitouts.utils.files import written_aside

__all__ = ['WRITTEN_SUFFIXES', 'ImageInfo', 'probe', 'read_rgb', 'write_rgb']

WRITTEN_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp')


def read_rgb(path: str | Path, expected_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read a whole image or small slide at its full resolution.

    The pixels are the same as those of :func:`mitouts.imaging.open_slide`: both decode a file in the same way.

    Args:
        path: File.
        expected_size: ``(width, height)`` that the annotation file states.

    Returns:
        Array ``(H, W, 3)``, RGB, as it is stored (an orientation tag is ignored with a warning). Grey becomes RGB,
        alpha is blended onto white (glass), 16 bits become 8 with a warning, since a scanner's 16-bit range is not
        known.

    Raises:
        ImageError: The file is missing, unreadable, of another kind or size than expected, or, by its header, too large
            to be decoded whole (:func:`mitouts.imaging.size_limit.max_image_px`).
    """
    path = Path(path)
    if file_kind(path) == 'image':
        image = read_raster(path)
    else:
        # Most images are none of these, and the readers of slides are slow to load.
        from mitouts.imaging.opening import open_slide

        with open_slide(path) as reader:
            check_size(*reader.dimensions, path, instead='Count slides with mitouts count, which reads parts')
            image = reader.read_level(0, 0, 0, *reader.dimensions)
    height, width = image.shape[:2]
    if expected_size is not None and (width, height) != expected_size:
        raise ImageError(
            f'image {path} is {width} x {height} px, but its annotation file says {expected_size[0]} x '
            f'{expected_size[1]}: points would be in the wrong place, so correct images[].width and height'
        )
    return image


def write_rgb(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB uint8 array ``(H, W, 3)``; the suffix determines the format, and the folder is created.

    A reader never sees half of the file (:func:`mitouts.utils.files.written_aside`).

    Raises:
        ImageError: The suffix names no format.
    """
    path = Path(path)
    parameters = _png_parameters() if path.suffix.lower() == '.png' else []
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)
    except cv2.error as error:
        raise ImageError(
            f'image {path} cannot be written: {path.suffix!r} is not one of {", ".join(WRITTEN_SUFFIXES)}'
        ) from error
    if not done:
        raise ImageError(f'image {path} cannot be encoded')
    with written_aside(path) as aside:
        aside.write_bytes(data.data)


def _png_parameters() -> list[int]:
    """Return PNG parameters: Huffman codes after the averaging filter.

    On stained tissue, where nothing repeats, this is several times faster than zlib's levels 1 to 3 and no larger.
    """
    parameters = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    # OpenCV before 4.12 has no choice of filters.
    average = getattr(cv2, 'IMWRITE_PNG_FILTER_AVG', None)
    return parameters if average is None else [*parameters, cv2.IMWRITE_PNG_FILTER, average]
