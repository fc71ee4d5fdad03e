"""Plain images, decoded whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mitouts.imaging.base import SlideHeader, SlideReader
from mitouts.imaging.image_header import probe
from mitouts.imaging.raster import read_raster
from mitouts.imaging.size_limit import check_size
from mitouts.registry import SLIDE_READERS


@SLIDE_READERS.register_module()
class ImageReader(SlideReader):
    """PNG, JPEG and BMP: one level, decoded at the first read and kept until the reader is closed.

    Args:
        path: File.
        mpp: Micrometres per pixel; such files do not say.

    Raises:
        ImageError: Unreadable, or too large to be decoded whole.
    """

    kind = 'image'
    _pixels: NDArray[np.uint8] | None = None

    def _open(self) -> None:
        return None

    def _describe(self, handle: None) -> SlideHeader:
        info = probe(self.path)
        check_size(info.width, info.height, self.path)
        mpp_xy = None if info.mpp is None else (info.mpp, info.mpp)
        return SlideHeader(((info.width, info.height),), mpp_xy, properties={'format': 'image'})

    def _read(self, handle: None, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        if self._pixels is None:
            self._pixels = read_raster(self.path)
        return self._pixels[y : y + height, x : x + width].copy()

    def close(self) -> None:
        self._pixels = None
        super().close()

    def _close(self, handle: None) -> None:
        return None

    def __getstate__(self) -> dict:
        return {**super().__getstate__(), '_pixels': None}
