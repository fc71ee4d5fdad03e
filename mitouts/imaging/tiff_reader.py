"""Reads TIFF files of any layout, tile by tile or strip by strip."""

from __future__ import annotations

import math
import os
from functools import lru_cache

import numpy as np
import tifffile
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.base import WHITE, SlideHeader, SlideReader
from mitouts.imaging.samples import warn_of_16_bits, warn_of_orientation
from mitouts.imaging.tiff import is_mappable, open_tiff, reading_tiff, segment_size, slide_pages, tiff_mpp
from mitouts.imaging.tiff_segments import decode_segment, to_rgb
from mitouts.registry import SLIDE_READERS

_CACHE_BYTES = 64 << 20
_SEPARATE = 2


@SLIDE_READERS.register_module()
class TiffReader(SlideReader):
    """Reads OME-TIFF and plain TIFF: tiled, striped or in one piece, with or without a pyramid, of any compression.

    The largest image of the file is read, wherever in it a label or a macro lies. An orientation tag is ignored with a
    warning, and all channels become RGB as :func:`mitouts.imaging.tiff_segments.to_rgb` says.

    Only the tiles or strips that a region touches are decoded, and an uncompressed image in one piece is mapped into
    memory, so reading a region takes time only for its own rows. The last decoded tiles are cached, because
    neighbouring regions share them. A tile without data is white.

    Raises:
        ImageError: Broken, truncated, neither grey, palette, RGB(A) nor YCbCr of up to 16 bits, or with several images
            of the largest size.
    """

    kind = 'tiff'

    def _open(self) -> _Pyramid:
        tiff = open_tiff(self.path)
        try:
            return _Pyramid(tiff, str(self.path))
        except ImageError:
            tiff.close()
            raise

    def _describe(self, handle: _Pyramid) -> SlideHeader:
        first = handle.pages[0]
        if first.bitspersample == 16:
            warn_of_16_bits(self.path, stacklevel=5)
        warn_of_orientation(self.path, int(first.tags.valueof('Orientation', 1)), stacklevel=5)
        compression = first.compression
        return SlideHeader(
            level_dimensions=tuple((page.imagewidth, page.imagelength) for page in handle.pages),
            mpp_xy=tiff_mpp(handle.tiff, first),
            properties={'format': 'tiff', 'compression': getattr(compression, 'name', str(compression)).lower()},
        )

    def _read(self, handle: _Pyramid, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        with reading_tiff(self.path, f'the part at x={x}, y={y} of level {level} ({width} x {height} px)'):
            return handle.read(level, x, y, width, height)

    def _close(self, handle: _Pyramid) -> None:
        handle.close()


class _Pyramid:
    """The open file: one page for each level, and a cache of the tiles or strips that were decoded last."""

    def __init__(self, tiff: tifffile.TiffFile, path: str) -> None:
        self.tiff = tiff
        self.pages = slide_pages(tiff, path)
        self._path = path
        self._maps: dict[int, NDArray] = {}
        tile_bytes = 3 * max(math.prod(segment_size(page)) for page in self.pages)
        self._tile = lru_cache(max(1, _CACHE_BYTES // tile_bytes))(self._decode_tile)

    def close(self) -> None:
        self.tiff.close()
        self._tile.cache_clear()

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read a rectangle as RGB ``(height, width, 3)``."""
        page = self.pages[level]
        if is_mappable(page):
            return to_rgb(np.array(self._mapped(level)[y : y + height, x : x + width]), page, self._path)
        region = np.full((height, width, 3), WHITE, np.uint8)
        for index in _touched(page, x, y, width, height):
            tile, (top, left) = self._tile(level, index)
            if tile is None:
                continue
            rows = slice(max(top, y), min(top + tile.shape[0], y + height))
            columns = slice(max(left, x), min(left + tile.shape[1], x + width))
            part = tile[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            region[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x] = part
        return region

    def _mapped(self, level: int) -> NDArray:
        if level not in self._maps:
            page = self.pages[level]
            stored = np.memmap(
                self._path,
                dtype=np.dtype(page.dtype).newbyteorder(self.tiff.byteorder),
                mode='r',
                offset=page.dataoffsets[0],
                shape=page.shaped[0:1] + page.shaped[2:],
            )
            self._maps[level] = np.moveaxis(stored[..., 0], 0, 2) if len(stored) > 1 else stored[0]
        return self._maps[level]

    def _decode_tile(self, level: int, index: int) -> tuple[NDArray[np.uint8] | None, tuple[int, int]]:
        """Decode one tile or strip to RGB; return it (None without data in the file) with its row and column."""
        page = self.pages[level]
        planes = page.samplesperpixel if page.planarconfig == _SEPARATE else 1
        apart = len(page.dataoffsets) // planes
        parts = [self._decoded(page, index + plane * apart) for plane in range(planes)]
        samples = [part for part, _ in parts if part is not None]
        if samples and len(samples) < planes:
            raise ValueError('some of its channels are missing')
        tile = to_rgb(np.concatenate(samples, axis=2), page, self._path) if samples else None
        return tile, parts[0][1]

    def _decoded(self, page: tifffile.TiffPage, index: int) -> tuple[NDArray | None, tuple[int, int]]:
        count = page.databytecounts[index]
        data = os.pread(self.tiff.filehandle.fileno(), count, page.dataoffsets[index]) if count else None
        return decode_segment(page, data, index)


def _touched(page: tifffile.TiffPage, x: int, y: int, width: int, height: int) -> list[int]:
    """Return the indices of the tiles or strips that a rectangle touches, row by row.

    If channels are stored separately, they are those of the first channel.
    """
    tile_width, tile_height = segment_size(page)
    across = -(-page.imagewidth // tile_width)
    return [
        row * across + column
        for row in range(y // tile_height, -(-(y + height) // tile_height))
        for column in range(x // tile_width, -(-(x + width) // tile_width))
    ]
