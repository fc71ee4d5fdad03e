"""Writes a pyramidal tiled TIFF of any size, tile by tile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from mitouts.utils.files import written_aside

DOWNSAMPLE = 4
MAX_DOWNSAMPLE = 64
_MIN_LEVEL_PX = 256

ReadPart = Callable[[int, int, int, int], 'NDArray[np.uint8] | None']


def level_sizes(width_px: int, height_px: int) -> list[tuple[int, int]]:
    """Return ``(width, height)`` of each level: each 4 times smaller, down to 64 times, with at least 256 px a side."""
    sizes = [(width_px, height_px)]
    factor = DOWNSAMPLE
    while factor <= MAX_DOWNSAMPLE and min(width_px, height_px) // factor >= _MIN_LEVEL_PX:
        sizes.append((width_px // factor, height_px // factor))
        factor *= DOWNSAMPLE
    return sizes


def write_slide(
    path: Path,
    read: ReadPart,
    size: tuple[int, int],
    glass_rgb: NDArray[np.uint8],
    mpp: float,
    *,
    tile_px: int = 512,
    quality: int = 85,
    corrupt: Collection[tuple[int, int]] = (),
    on_row: Callable[[], None] | None = None,
    software: str = 'mitouts phantom slide',
) -> None:
    """Write a slide; the file appears under its name only when it is complete.

    Memory is bounded by one row of tiles of the first reduced level, plus the memory that ``read`` needs. All tiles of
    plain glass share one place in the file. Each pixel of a reduced level is the mean of the level-0 pixels that it
    covers, before compression; pixels at the right and lower border that are not covered wholly are left out.

    Args:
        path: The TIFF file.
        read: ``(x, y, width, height)`` in level-0 pixels -> RGB (height, width, 3), or None for glass. It is asked for
            tiles, row by row; those at the right and lower border stick out.
        size: ``(width, height)`` of level 0 in pixels.
        glass_rgb: Colour of glass, (3,).
        mpp: Micrometres per pixel of level 0.
        tile_px: Side of a tile, a multiple of 64.
        quality: Quality of the JPEG compression.
        corrupt: Tiles ``(column, row)`` of level 0 that are made unreadable.
        on_row: Called after each row of tiles.
        software: Name of the software, stored in the file.

    Raises:
        OSError: The file cannot be written; no partial file is left behind.
    """
    sizes = level_sizes(*size)
    encoder = _Encoder(tile_px, quality, glass_rgb)
    with written_aside(path) as aside:
        with contextlib.ExitStack() as stack:
            levels = [_Level(own, encoder, stack.enter_context(TemporaryFile(dir=path.parent))) for own in sizes[1:]]
            tiff = stack.enter_context(tifffile.TiffWriter(aside, bigtiff=size[0] * size[1] > 4e8))
            finest = _finest_tiles(read, size, encoder, levels, set(corrupt), on_row)
            shared: list[int] = []
            for number, (own, tiles) in enumerate(zip(sizes, [finest, *(level.tiles() for level in levels)])):
                per_cm = 1e4 / (mpp * DOWNSAMPLE**number)
                tiff.write(
                    _with_one_glass(tiles, encoder.glass, shared),
                    shape=(own[1], own[0], 3),
                    dtype=np.uint8,
                    tile=(tile_px, tile_px),
                    photometric='rgb',
                    compression='jpeg',
                    subsampling=(2, 2),
                    subfiletype=0 if number == 0 else 1,
                    resolution=(per_cm, per_cm),
                    resolutionunit='CENTIMETER',
                    software=software,
                    metadata=None,
                )
        _share_glass(aside, shared)


class _Encoder:
    """Encodes JPEG tiles."""

    def __init__(self, tile_px: int, quality: int, glass_rgb: NDArray[np.uint8]) -> None:
        self.tile_px = tile_px
        self.glass_rgb = glass_rgb
        self._quality = quality
        self.glass = self.encode(np.broadcast_to(glass_rgb, (tile_px, tile_px, 3)))

    def encode(self, tile: NDArray[np.uint8]) -> bytes:
        return bytes(
            imagecodecs.jpeg8_encode(
                np.ascontiguousarray(tile),
                level=self._quality,
                colorspace='RGB',
                outcolorspace='YCBCR',
                subsampling='420',
            )
        )


class _Level:
    """A reduced level: it collects a row of tiles, and keeps encoded tiles in a file until they are needed."""

    def __init__(self, size: tuple[int, int], encoder: _Encoder, spool: BinaryIO) -> None:
        self._encoder = encoder
        self._columns = -(-size[0] // encoder.tile_px)
        self._num_rows = -(-size[1] // encoder.tile_px)
        self._spool = spool
        self._lengths: list[int] = []
        self._row = 0
        shape = (encoder.tile_px, self._columns * encoder.tile_px, 3)
        self._pixels = np.empty(shape, dtype=np.uint8)
        self._clear()

    def put(self, part: NDArray[np.float32], x: int, y: int) -> None:
        """Add a part at its position; pixels beyond the last column of tiles are dropped."""
        tile = self._encoder.tile_px
        self._finish_rows_before(y // tile)
        columns = slice(x, min(x + part.shape[1], self._pixels.shape[1]))
        if y // tile < self._num_rows and columns.start < columns.stop:
            rows = slice(y % tile, y % tile + part.shape[0])
            self._pixels[rows, columns] = np.rint(part[:, : columns.stop - columns.start])
            self._used[columns.start // tile : -(-columns.stop // tile)] = True

    def tiles(self) -> Iterator[bytes]:
        """Yield the encoded tiles in the order of the file; empty for glass."""
        self._finish_rows_before(self._num_rows)
        self._spool.seek(0)
        for length in self._lengths:
            yield self._spool.read(length)

    def _finish_rows_before(self, row: int) -> None:
        tile = self._encoder.tile_px
        while self._row < min(row, self._num_rows):
            for column in range(self._columns):
                data = b''
                if self._used[column]:
                    data = self._encoder.encode(self._pixels[:, column * tile : (column + 1) * tile])
                self._spool.write(data)
                self._lengths.append(len(data))
            self._row += 1
            self._clear()

    def _clear(self) -> None:
        self._pixels[:] = self._encoder.glass_rgb
        self._used = np.zeros(self._columns, dtype=bool)


def _finest_tiles(
    read: ReadPart,
    size: tuple[int, int],
    encoder: _Encoder,
    levels: list[_Level],
    corrupt: set[tuple[int, int]],
    on_row: Callable[[], None] | None,
) -> Iterator[bytes]:
    """Yield the encoded tiles of level 0, empty for glass, and add each to all reduced levels."""
    tile = encoder.tile_px
    for row in range(-(-size[1] // tile)):
        for column in range(-(-size[0] // tile)):
            x, y = column * tile, row * tile
            pixels = read(x, y, tile, tile)
            data = b'' if pixels is None else encoder.encode(pixels)
            if pixels is not None:
                _reduce(pixels, x, y, levels)
            if on_row is not None and x + tile >= size[0]:
                on_row()
            # Last, because the generator is not resumed after the last tile.
            yield bytes(len(data)) if (column, row) in corrupt else data


def _reduce(pixels: NDArray[np.uint8], x: int, y: int, levels: list[_Level]) -> None:
    part = pixels.astype(np.float32)
    for level in levels:
        x, y = x // DOWNSAMPLE, y // DOWNSAMPLE
        side = len(part) // DOWNSAMPLE
        part = np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)
        level.put(part, x, y)


def _with_one_glass(tiles: Iterator[bytes], glass: bytes, shared: list[int]) -> Iterator[bytes]:
    """Put glass into the first empty tile, and append its index (-1 if none is empty) to ``shared``."""
    level = len(shared)
    shared.append(-1)
    for index, data in enumerate(tiles):
        if not data and shared[level] < 0:
            shared[level] = index
            data = glass
        yield data


def _share_glass(path: Path, shared: list[int]) -> None:
    """Make all empty tiles of a level refer to the tile that holds glass."""
    with tifffile.TiffFile(path, mode='r+') as tiff:
        for page, index in zip(tiff.pages, shared):
            if index >= 0:
                tags = page.aspage().tags
                counts, offsets = list(tags['TileByteCounts'].value), list(tags['TileOffsets'].value)
                empty = [place for place, count in enumerate(counts) if count == 0]
                for place in empty:
                    counts[place], offsets[place] = counts[index], offsets[index]
                if empty:
                    tags['TileByteCounts'].overwrite(counts)
                    tags['TileOffsets'].overwrite(offsets)
