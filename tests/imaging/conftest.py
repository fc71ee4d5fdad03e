"""Slides small enough to be written in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

WIDTH, HEIGHT = 500, 360
TILE = (64, 64)
SVS = 'Aperio Image Library v11.2.1\n500x360 [0,0 500x360] (64x64) JPEG/RGB Q=90|AppMag = 40|MPP = 0.2525'


@pytest.fixture(scope='session')
def tissue() -> NDArray[np.uint8]:
    """Smooth colours ``(360, 500, 3)`` that JPEG keeps within a few grey levels."""
    noise = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.clip(170 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.fixture(scope='session')
def noise() -> NDArray[np.uint8]:
    """Every pixel of another colour ``(360, 500, 3)``."""
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def write_pyramid(tmp_path: Path) -> Callable[..., Path]:
    """Writes a tiled pyramid of areas averaged 2 x 2 and 4 x 4, as pages or as sub-IFDs."""

    def write(image: NDArray[np.uint8], name: str = 'pyramid.tif', *, sub_ifds: bool = False, **options) -> Path:
        path = tmp_path / name
        description = options.pop('description', None)
        options = {'compression': 'zlib', 'photometric': 'rgb', 'tile': TILE, 'metadata': None, **options}
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(image, subifds=2 if sub_ifds else None, description=description, **options)
            for factor in (2, 4):
                size = image.shape[1] // factor, image.shape[0] // factor
                smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                tiff.write(smaller, subfiletype=1, description=description, **options)
        return path

    return write
