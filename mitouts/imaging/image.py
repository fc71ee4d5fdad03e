"""Image files in, as RGB uint8, and out."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationWarning, ImageError
from mitouts.imaging.image_header import ImageInfo, check_size, encoded_size, probe

__all__ = ['SUFFIXES', 'ImageInfo', 'probe', 'read_rgb', 'samples_to_rgb', 'to_rgb_uint8', 'write_rgb']

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp')


def read_rgb(path: str | Path, expected_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read an image file.

    Args:
        path: File.
        expected_size: ``(width, height)`` that the annotation file states.

    Returns:
        Array ``(H, W, 3)``, RGB. Grey becomes RGB, alpha is blended onto white (glass), 16 bits become 8 with a
        warning, since a scanner's 16-bit range is not known.

    Raises:
        ImageError: Missing, unreadable, of another kind, of another size than expected, or, by its header, too large to
            be decoded whole (:func:`mitouts.imaging.image_header.max_image_px`).
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f'image {path} does not exist')
    data = path.read_bytes()
    size = encoded_size(data)
    image = None
    if size is not None:
        check_size(*size, path)
        # OpenCV raises where a broken header states absurd sides, and returns None for most else that is broken.
        with contextlib.suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ImageError(
            f'image {path} cannot be read ({len(data)} bytes): it is broken or not one of {", ".join(SUFFIXES)}'
        )
    image = to_rgb_uint8(image, path)
    height, width = image.shape[:2]
    if expected_size is not None and (width, height) != expected_size:
        raise ImageError(
            f'image {path} is {width} x {height} px, but its annotation file says {expected_size[0]} x '
            f'{expected_size[1]}: points would be in the wrong place, so correct images[].width and height'
        )
    return image


def to_rgb_uint8(image: NDArray, source: str | Path) -> NDArray[np.uint8]:
    """OpenCV's array (grey, BGR or BGRA; 8 or 16 bits) as RGB uint8."""
    if image.dtype == np.uint16:
        warn_of_16_bits(source, stacklevel=4)
    if image.ndim == 3 and image.shape[2] in (3, 4):
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return samples_to_rgb(image, source)


def warn_of_16_bits(source: str | Path, stacklevel: int = 3) -> None:
    """Say that a range was assumed."""
    warnings.warn(
        f'{source}: 16-bit image, scaled by 1/257 to 8 bits; convert it yourself if its white is not 65535',
        AnnotationWarning,
        stacklevel=stacklevel,
    )


def samples_to_rgb(image: NDArray, source: str | Path) -> NDArray[np.uint8]:
    """Grey ``(H, W)`` or ``(H, W, 1)``, RGB or RGBA samples of 8 or 16 bits as RGB uint8 ``(H, W, 3)``.

    Raises:
        ImageError: The samples are of another kind.
    """
    if image.dtype == np.uint16:
        image = np.round(image / 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ImageError(f'image {source} holds {image.dtype}, expected 8 or 16 bits a channel: convert it first')
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    if image.shape[2] == 4:
        return _onto_white(image)
    if image.shape[2] != 3:
        raise ImageError(f'image {source} has {image.shape[2]} channels, expected 1, 3 or 4')
    return np.ascontiguousarray(image)


def _onto_white(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    opaque = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
    clear = image[..., 3] != 255
    if clear.any():
        alpha = image[clear, 3:].astype(np.float32) / 255
        opaque[clear] = np.round(opaque[clear] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return opaque


def write_rgb(path: str | Path, image: NDArray[np.uint8], png_level: int | None = None) -> None:
    """Write an RGB uint8 array ``(H, W, 3)``; the format goes by the suffix, and the folder is made.

    The file is written aside and renamed, so that a reader never sees half of one.

    Args:
        path: File.
        image: What to write.
        png_level: zlib's level for a PNG, 0 to 9; None for Huffman codes after the averaging filter, which on stained
            tissue, where nothing repeats, is several times faster than levels 1 to 3 and no larger.

    Raises:
        ImageError: The suffix names no format.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    parameters = _png_parameters(png_level) if path.suffix.lower() == '.png' else []
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)
    except cv2.error as error:
        raise ImageError(
            f'image {path} cannot be written: {path.suffix!r} is not one of {", ".join(SUFFIXES)}'
        ) from error
    if not done:
        raise ImageError(f'image {path} cannot be encoded')
    aside = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        aside.write_bytes(data.data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _png_parameters(level: int | None) -> list[int]:
    if level is not None:
        return [cv2.IMWRITE_PNG_COMPRESSION, level]
    parameters = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    # OpenCV before 4.12 has no choice of filters.
    average = getattr(cv2, 'IMWRITE_PNG_FILTER_AVG', None)
    return parameters if average is None else [*parameters, cv2.IMWRITE_PNG_FILTER, average]
