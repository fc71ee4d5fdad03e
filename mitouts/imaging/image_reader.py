"""Reads plain images, which are decoded whole."""

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
    """Reads PNG, JPEG and BMP: one level, decoded at the first read and kept until the reader is closed.

    Raises:
        ImageError: Unreadable, or too large to be decoded whole.
    """

    kind = 'image'

    def _open(self) -> list[NDArray[np.uint8]]:
        return []

    def _describe(self, handle: list[NDArray[np.uint8]]) -> SlideHeader:
        info = probe(self.path)
        check_size(info.width, info.height, self.path)
        mpp_xy = None if info.mpp is None else (info.mpp, info.mpp)
        return SlideHeader(((info.width, info.height),), mpp_xy, properties={'format': 'image'})

    def _read(
        self, handle: list[NDArray[np.uint8]], level: int, x: int, y: int, width: int, height: int
    ) -> NDArray[np.uint8]:
        if not handle:
            handle.append(read_raster(self.path))
        return handle[0][y : y + height, x : x + width].copy()

    def _close(self, handle: list[NDArray[np.uint8]]) -> None:
        handle.clear()
