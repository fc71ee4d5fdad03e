"""Reads scanners' formats, through OpenSlide."""

from __future__ import annotations

import os

import cv2
import numpy as np
import openslide
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.base import SlideHeader, SlideReader
from mitouts.imaging.image_header import open_with_openslide, openslide_mpp
from mitouts.imaging.samples import samples_to_rgb
from mitouts.imaging.tiff import open_tiff, slide_pages
from mitouts.registry import SLIDE_READERS

_CACHE_BYTES = 64 << 20
_BLOCK_PX = 512
_SHIFT_TOLERANCE_PX = 0.01


@SLIDE_READERS.register_module()
class OpenSlideReader(SlideReader):
    """Reads SVS, NDPI, MRXS, SCN, DICOM and all other formats that OpenSlide opens, including generic tiled TIFF.

    A DICOM slide can be opened by any of its files. A generic TIFF is refused if the image that OpenSlide takes for the
    slide is not the largest in the file.
    """

    kind = 'openslide'

    def _open(self) -> openslide.OpenSlide:
        slide = open_with_openslide(self.path)
        slide.set_cache(openslide.OpenSlideCache(_CACHE_BYTES))
        if slide.properties.get(openslide.PROPERTY_NAME_VENDOR) == 'generic-tiff':
            try:
                self._check_is_largest(slide)
            except ImageError:
                slide.close()
                raise
        return slide

    def _check_is_largest(self, slide: openslide.OpenSlide) -> None:
        with open_tiff(self.path) as tiff:
            largest = slide_pages(tiff, self.path)[0]
        if slide.dimensions != (largest.imagewidth, largest.imagelength):
            raise ImageError(
                f'slide {self.path}: OpenSlide reads {slide.dimensions[0]} x {slide.dimensions[1]} px of it, but its '
                f'largest image has {largest.imagewidth} x {largest.imagelength}: open it without naming this reader'
            )

    def _describe(self, handle: openslide.OpenSlide) -> SlideHeader:
        properties = handle.properties
        bounds = (int(properties.get(f'openslide.bounds-{axis}', 0)) for axis in 'xy')
        known = {
            'format': 'openslide',
            'vendor': properties.get('openslide.vendor'),
            'objective_power': properties.get('openslide.objective-power'),
        }
        return SlideHeader(
            level_dimensions=tuple(handle.level_dimensions),
            mpp_xy=openslide_mpp(properties),
            bounds_xy_px=(next(bounds), next(bounds)),
            properties={key: value for key, value in known.items() if value},
        )

    def _read(
        self, handle: openslide.OpenSlide, level: int, x: int, y: int, width: int, height: int
    ) -> NDArray[np.uint8]:
        # A corner is given in whole pixels of level 0. Where these are no whole pixels of the level, because the
        # scanner rounded the level's size, OpenSlide shifts by the fraction and interpolates. Blocks that always start
        # at the same places keep what a pixel shows independent of the region that it is read with.
        own = handle.level_downsamples[level]
        if abs(own - round(own)) * max(self.level_dimensions[level]) < _SHIFT_TOLERANCE_PX:
            return self._paint(handle, level, x, y, width, height)
        region = np.empty((height, width, 3), np.uint8)
        full_width, full_height = self.level_dimensions[level]
        for top in range(y // _BLOCK_PX * _BLOCK_PX, y + height, _BLOCK_PX):
            for left in range(x // _BLOCK_PX * _BLOCK_PX, x + width, _BLOCK_PX):
                size = min(_BLOCK_PX, full_width - left), min(_BLOCK_PX, full_height - top)
                block = self._paint(handle, level, left, top, *size)
                first_x, last_x = max(x, left), min(x + width, left + size[0])
                first_y, last_y = max(y, top), min(y + height, top + size[1])
                part = block[first_y - top : last_y - top, first_x - left : last_x - left]
                region[first_y - y : last_y - y, first_x - x : last_x - x] = part
        return region

    def _paint(
        self, handle: openslide.OpenSlide, level: int, x: int, y: int, width: int, height: int
    ) -> NDArray[np.uint8]:
        own = handle.level_downsamples[level]
        try:
            image = handle.read_region((round(x * own), round(y * own)), level, (width, height))
        except openslide.OpenSlideError as error:
            # After an error OpenSlide refuses everything: the next read needs a new handle.
            self._opened.pop(os.getpid(), None)
            raise ImageError(
                f'slide {self.path} is broken at x={x}, y={y} of level {level} ({width} x {height} px): {error}'
            ) from error
        samples = np.asarray(image)
        if int(samples[..., 3].min()) == 255:
            return np.asarray(cv2.cvtColor(samples, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
        return samples_to_rgb(samples, self.path)

    def _close(self, handle: openslide.OpenSlide) -> None:
        handle.close()
