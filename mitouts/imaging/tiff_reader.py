"""TIFF files of any layout, decoded tile by tile or strip by strip."""

from __future__ import annotations

import os
from collections import OrderedDict
from threading import Lock

import numpy as np
import tifffile
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.base import WHITE, SlideHeader, SlideReader
from mitouts.imaging.image import samples_to_rgb, warn_of_16_bits
from mitouts.imaging.tiff import open_tiff, reading_tiff, rgb_pages, tiff_mpp
from mitouts.registry import TASK_UTILS

_CACHE_BYTES = 64 << 20
_ZERO_IS_BLANK = (tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.PALETTE)


@TASK_UTILS.register_module()
class TiffReader(SlideReader):
    """OME-TIFF and plain TIFF: tiled, striped or in one piece, with or without a pyramid, of any compression.

    Only the tiles or strips that a region touches are decoded, and an uncompressed image in one piece is mapped into
    memory, so a region costs what its own rows cost. The last decoded ones are kept, because neighbouring regions share
    them. A tile without data is white.

    Args:
        path: File.
        mpp: Micrometres per pixel at level 0; it replaces what the file says.

    Raises:
        ImageError: Broken, truncated, or neither grey, palette nor RGB(A) of 8 or 16 bits.
    """

    def _open(self) -> _Pyramid:
        tiff = open_tiff(self.path)
        try:
            return _Pyramid(tiff, str(self.path))
        except ImageError:
            tiff.close()
            raise

    def _describe(self, handle: _Pyramid) -> SlideHeader:
        first = handle.pages[0]
        if first.dtype == np.uint16:
            warn_of_16_bits(self.path, stacklevel=5)
        compression = first.compression
        return SlideHeader(
            level_dimensions=tuple((page.imagewidth, page.imagelength) for page in handle.pages),
            mpp_xy=tiff_mpp(handle.tiff),
            properties={'format': 'tiff', 'compression': getattr(compression, 'name', str(compression)).lower()},
        )

    def _read(self, handle: _Pyramid, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        with reading_tiff(self.path, f'the part at x={x}, y={y} of level {level} ({width} x {height} px)'):
            return _to_rgb(handle.read(level, x, y, width, height), handle.pages[level], str(self.path))

    def _close(self, handle: _Pyramid) -> None:
        handle.tiff.close()


class _Pyramid:
    """The open file: one page a level, and the segments (tiles or strips) that were decoded last."""

    def __init__(self, tiff: tifffile.TiffFile, path: str) -> None:
        self.tiff = tiff
        self.pages = rgb_pages(tiff, path)
        self._path = path
        self._maps: dict[int, NDArray] = {}
        self._cache = _Cache(_CACHE_BYTES)

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray:
        """Samples ``(height, width, channels)`` as they are stored."""
        page = self.pages[level]
        if page.is_memmappable:
            return np.array(self._mapped(level)[y : y + height, x : x + width])
        dtype = np.dtype(page.dtype)
        blank = 0 if page.photometric in _ZERO_IS_BLANK else WHITE if dtype.itemsize == 1 else 0xFFFF
        region = np.full((height, width, page.samplesperpixel), blank, dtype)
        for index in _touched(page, x, y, width, height):
            segment, (plane, _, top, left, _) = self._segment(level, index)
            if segment is None:
                continue
            rows = slice(max(top, y), min(top + segment.shape[0], y + height))
            columns = slice(max(left, x), min(left + segment.shape[1], x + width))
            part = segment[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            channels = slice(None) if page.planarconfig == 1 else slice(plane, plane + 1)
            region[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x, channels] = part
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

    def _segment(self, level: int, index: int) -> tuple[NDArray | None, tuple[int, ...]]:
        found = self._cache.get((level, index))
        if found is None:
            page = self.pages[level]
            data = None
            if page.databytecounts[index]:
                data = os.pread(self.tiff.filehandle.fileno(), page.databytecounts[index], page.dataoffsets[index])
            tables = {'jpegtables': page.jpegtables}
            if page.jpegheader is not None:
                tables['jpegheader'] = page.jpegheader
            segment, place, _ = page.decode(data, index, **tables)
            found = (None if segment is None else segment[0], place)
            self._cache.put((level, index), found, 0 if segment is None else segment.nbytes)
        return found


class _Cache:
    """The most recently used entries up to a number of bytes, and always the last one."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[int, int]) -> tuple[NDArray | None, tuple[int, ...]] | None:
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: tuple[int, int], value: tuple[NDArray | None, tuple[int, ...]], num_bytes: int) -> None:
        with self._lock:
            self._bytes += num_bytes - self._entries.pop(key, (None, 0))[1]
            self._entries[key] = (value, num_bytes)
            while self._bytes > self._max_bytes and len(self._entries) > 1:
                self._bytes -= self._entries.popitem(last=False)[1][1]


def _touched(page: tifffile.TiffPage, x: int, y: int, width: int, height: int) -> list[int]:
    """Indices of the tiles or strips that a rectangle touches, row by row."""
    tile_width = page.tilewidth if page.is_tiled else page.imagewidth
    tile_height = page.tilelength if page.is_tiled else page.rowsperstrip
    across, down = -(-page.imagewidth // tile_width), -(-page.imagelength // tile_height)
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    return [
        (plane * down + row) * across + column
        for row in range(y // tile_height, -(-(y + height) // tile_height))
        for plane in range(planes)
        for column in range(x // tile_width, -(-(x + width) // tile_width))
    ]


def _to_rgb(samples: NDArray, page: tifffile.TiffPage, path: str) -> NDArray[np.uint8]:
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        colours = np.round(np.transpose(np.asarray(page.colormap)) / 257).astype(np.uint8)
        return np.asarray(colours[samples[..., 0]], dtype=np.uint8)
    if samples.dtype == bool:
        samples = samples.astype(np.uint8) * np.uint8(255)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        samples = np.iinfo(samples.dtype).max - samples
    return samples_to_rgb(samples.astype(samples.dtype.newbyteorder('='), copy=False), path)
