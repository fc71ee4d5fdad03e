"""TIFF files: their pyramid, their resolution, and whether they are whole; no pixel is decoded here."""

from __future__ import annotations

import logging
import math
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import tifffile

from mitouts.errors import ImageError
from mitouts.imaging.image_header import check_size

_UM_PER_UNIT = {'nm': 1e-3, 'µm': 1.0, 'μm': 1.0, 'um': 1.0, 'micron': 1.0, 'microns': 1.0, 'mm': 1e3, 'cm': 1e4}
_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}
_UNREADABLE_PHOTOMETRICS = {4: 'a mask', 5: 'CMYK', 8: 'CIELAB', 9: 'ICCLAB', 10: 'ITULAB', 32803: 'a colour filter'}
# A parser that trusts a broken file's numbers can fail in any of these ways.
_BROKEN = (
    tifffile.TiffFileError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

# What is wrong with a file is said once, by an ImageError.
if logging.getLogger('tifffile').level == logging.NOTSET:
    logging.getLogger('tifffile').setLevel(logging.CRITICAL + 1)


@contextmanager
def reading_tiff(path: str | Path, what: str = 'its header') -> Iterator[None]:
    """Turn whatever a broken file makes tifffile or a codec raise into an :class:`ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except _BROKEN as error:
        raise ImageError(
            f'image {path} cannot be read: {what} is broken or not supported ({type(error).__name__}: {error}); get '
            'the file again, or convert it to an 8-bit RGB TIFF'
        ) from error


def open_tiff(path: str | Path) -> tifffile.TiffFile:
    """Open a TIFF file.

    Raises:
        ImageError: It is broken.
    """
    with reading_tiff(path):
        return tifffile.TiffFile(path)


def first_page_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of the first image in an encoded TIFF, None where its header is broken."""
    try:
        with tifffile.TiffFile(BytesIO(data)) as tiff:
            page = tiff.pages.first
            return page.imagewidth, page.imagelength
    except _BROKEN:
        return None


def rgb_pages(tiff: tifffile.TiffFile, path: str | Path) -> list[tifffile.TiffPage]:
    """The pages of the first image's pyramid, finest first; only the first for an image without a pyramid.

    Raises:
        ImageError: It is no grey, palette or RGB(A) image of 8 or 16 bits (or 1), or a page ends outside the file.
    """
    with reading_tiff(path):
        levels = [_only_page(level, path) for level in tiff.series[0].levels]
        size = tiff.filehandle.size
        finest = levels[0]
        pages = [
            page
            for page in levels
            if (page.dtype, page.samplesperpixel, page.photometric)
            == (finest.dtype, finest.samplesperpixel, finest.photometric)
        ]
        for page in pages:
            _check_page(page, path)
            _check_whole(page, size, path)
        return pages


def tiff_mpp(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Micrometres per pixel along x and y from OME-XML, ImageJ's unit, or the resolution tags; None where unknown.

    Resolution tags count only with a stated unit of inches or centimetres.
    """
    try:
        if tiff.is_ome:
            return _ome_mpp(tiff.ome_metadata or '')
        tags = tiff.pages.first.tags
        unit = tags.valueof('ResolutionUnit')
        if tiff.is_imagej:
            named = str((tiff.imagej_metadata or {}).get('unit', '')).replace('\\u00B5', 'µ')
            um = _UM_PER_UNIT.get(named) if named else _UM_PER_RESOLUTION_UNIT.get(int(unit or 0))
        else:
            um = _UM_PER_RESOLUTION_UNIT.get(int(unit or 0))
        if um is None:
            return None
        (x, per_x), (y, per_y) = tags.valueof('XResolution'), tags.valueof('YResolution')
        return um * per_x / x, um * per_y / y
    except _BROKEN:
        return None


def _ome_mpp(text: str) -> tuple[float, float] | None:
    try:
        pixels = ElementTree.fromstring(text).find('.//{*}Pixels')
    except ElementTree.ParseError:
        return None
    if pixels is None:
        return None
    x, y = (
        float(pixels.get(f'PhysicalSize{axis}', 'nan')) * _UM_PER_UNIT[pixels.get(f'PhysicalSize{axis}Unit', 'µm')]
        for axis in 'XY'
    )
    return (x, y) if x == x and y == y else None


def _only_page(level: tifffile.TiffPageSeries, path: str | Path) -> tifffile.TiffPage:
    if level.axes not in ('YX', 'YXS', 'SYX') or len(level.pages) != 1:
        shape = ' x '.join(map(str, level.shape))
        raise ImageError(
            f'image {path} holds a stack of {shape} (axes {level.axes}): expected one grey or RGB image; write the '
            'plane that you mean as an RGB TIFF'
        )
    return level.keyframe


def _check_page(page: tifffile.TiffPage, path: str | Path) -> None:
    photometric = int(page.photometric)
    if photometric in _UNREADABLE_PHOTOMETRICS:
        raise ImageError(f'image {path} is {_UNREADABLE_PHOTOMETRICS[photometric]}: expected grey or RGB; convert it')
    if page.dtype is None or page.dtype.name not in ('bool', 'uint8', 'uint16'):
        raise ImageError(f'image {path} holds {page.dtype}, expected 8 or 16 bits a channel: convert it first')
    if page.samplesperpixel not in (1, 3, 4):
        raise ImageError(f'image {path} has {page.samplesperpixel} channels, expected 1, 3 or 4')
    if page.imagedepth != 1 or page.imagewidth < 1 or page.imagelength < 1:
        raise ImageError(f'image {path} is {page.imagewidth} x {page.imagelength} x {page.imagedepth} px: not an image')
    if not page.is_memmappable:
        width = page.tilewidth if page.is_tiled else page.imagewidth
        height = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
        check_size(width, height, path, 'one tile or strip of')


def _check_whole(page: tifffile.TiffPage, size: int, path: str | Path) -> None:
    wanted = math.prod(page.chunked)
    if len(page.dataoffsets) < wanted:
        raise ImageError(
            f'image {path} is broken: its header says {page.imagewidth} x {page.imagelength} px, which are {wanted} '
            f'tiles or strips, and lists {len(page.dataoffsets)}; get the file again'
        )
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts)]
    if page.is_memmappable:
        ends.append(page.dataoffsets[0] + page.nbytes)
    beyond = sum(end > size for end in ends)
    if beyond or not ends:
        raise ImageError(
            f'image {path} is truncated: {beyond} of its {len(ends)} tiles or strips lie beyond its end at byte '
            f'{size}; get the file again'
        )
