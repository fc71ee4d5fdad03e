"""Image files in, as RGB uint8."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationWarning, ImageError

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
        ImageError: Missing, unreadable, of another kind, or of another size than expected.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f'image {path} does not exist')
    data = np.fromfile(path, dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
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
        warnings.warn(
            f'{source}: 16-bit image, scaled by 1/257 to 8 bits; convert it yourself if its white is not 65535',
            AnnotationWarning,
            stacklevel=3,
        )
        image = np.round(image / 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ImageError(f'image {source} holds {image.dtype}, expected 8 or 16 bits a channel: convert it first')
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    if image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.float32) / 255
        opaque = image[..., :3] * alpha + 255 * (1 - alpha)
        return np.ascontiguousarray(np.round(opaque[..., ::-1]).astype(np.uint8))
    if image.shape[2] != 3:
        raise ImageError(f'image {source} has {image.shape[2]} channels, expected 1, 3 or 4')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def write_rgb(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB uint8 array ``(H, W, 3)``; the format goes by the suffix, and the folder is made.

    Raises:
        ImageError: The suffix names no format.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise ImageError(
            f'image {path} cannot be written: {path.suffix!r} is not one of {", ".join(SUFFIXES)}'
        ) from error
    if not done:
        raise ImageError(f'image {path} cannot be encoded')
    path.write_bytes(data.tobytes())
