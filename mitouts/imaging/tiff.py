"""Reads the pyramid and the resolution of a TIFF file and checks that it is complete, without decoding a pixel."""

from __future__ import annotations

import logging
import math
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tifffile

from mitouts.errors import ImageError
from mitouts.imaging.size_limit import check_size

_UM_PER_UNIT = {'nm': 1e-3, 'µm': 1.0, 'μm': 1.0, 'um': 1.0, 'micron': 1.0, 'microns': 1.0, 'mm': 1e3, 'cm': 1e4}
_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}
_MASK = 4
_UNREADABLE = {_MASK: 'a mask', 5: 'CMYK', 8: 'CIELAB', 9: 'ICCLAB', 10: 'ITULAB', 32803: 'a colour filter'}
# Photometric interpretation -> numbers of channels: white or black is zero, RGB, palette, YCbCr; alpha may come on top.
_COLOUR_SAMPLES = {0: (1, 2), 1: (1, 2), 2: (3, 4), 3: (1,), 6: (3,)}
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
    """Turn any error that tifffile or a codec raises on a broken file into an :class:`ImageError`."""
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


def slide_pages(tiff: tifffile.TiffFile, path: str | Path) -> list[tifffile.TiffPage]:
    """Find the pages of the largest image's pyramid, finest first; one page for an image without a pyramid.

    A TIFF or OME-TIFF may hold a label, a macro or a thumbnail beside the slide, and before it.

    Raises:
        ImageError: It is not a grey, palette, RGB(A) or YCbCr image of up to 16 bits, a page ends outside the file, or
            several images share the largest size.
    """
    with reading_tiff(path):
        levels = [_only_page(level, tiff, path) for level in _largest(tiff, path).levels]
        size = tiff.filehandle.size
        finest = levels[0]
        pages = [
            page
            for page in levels
            # A label may happen to have half the slide's sides; a level of a pyramid says that it is one.
            if (page is finest or page.is_subifd or page.is_reduced)
            and (page.dtype, page.samplesperpixel, page.photometric)
            == (finest.dtype, finest.samplesperpixel, finest.photometric)
        ]
        for page in pages:
            _check_page(page, path)
            _check_whole(page, size, path)
        return pages


def is_mappable(page: tifffile.TiffPage) -> bool:
    """Tell whether the pixels are stored in one uncompressed piece, so that they can be memory-mapped."""
    return page.is_memmappable and page.photometric != tifffile.PHOTOMETRIC.YCBCR


def segment_size(page: tifffile.TiffPage) -> tuple[int, int]:
    """Return width and height of the tiles or strips."""
    if page.is_tiled:
        return page.tilewidth, page.tilelength
    return page.imagewidth, min(page.rowsperstrip, page.imagelength)


def tiff_mpp(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[float, float] | None:
    """Read the micrometres per pixel along x and y from OME-XML, ImageJ's unit, or resolution tags; None if unknown.

    Resolution tags count only with a stated unit of inches or centimetres.

    Args:
        tiff: The file.
        page: The image in the file (:func:`slide_pages`): each has a resolution of its own.
    """
    try:
        if tiff.is_ome:
            return _ome_mpp(tiff.ome_metadata or '', (page.imagewidth, page.imagelength))
        tags = page.tags
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


def _ome_mpp(text: str, size: tuple[int, int]) -> tuple[float, float] | None:
    try:
        images = ElementTree.fromstring(text).findall('.//{*}Pixels')
    except ElementTree.ParseError:
        return None
    pixels = next((own for own in images if (int(own.get('SizeX', 0)), int(own.get('SizeY', 0))) == size), None)
    if pixels is None:
        return None
    x, y = (
        float(pixels.get(f'PhysicalSize{axis}', 'nan')) * _UM_PER_UNIT[pixels.get(f'PhysicalSize{axis}Unit', 'µm')]
        for axis in 'XY'
    )
    return (x, y) if x == x and y == y else None


def _largest(tiff: tifffile.TiffFile, path: str | Path) -> tifffile.TiffPageSeries:
    images = [own for own in tiff.series if not own.keyframe.is_mask and int(own.keyframe.photometric) != _MASK]
    if not images:
        raise ImageError(f'image {path} cannot be read: it holds no image; get the file again')
    sizes = [own.keyframe.imagewidth * own.keyframe.imagelength for own in images]
    largest = [own for own, size in zip(images, sizes) if size == max(sizes)]
    if len(largest) > 1:
        shown = f'{largest[0].keyframe.imagewidth} x {largest[0].keyframe.imagelength} px'
        raise ImageError(
            f'image {path} holds {len(largest)} images of the largest size, {shown}: which of them is the slide cannot '
            'be told; write the one that you mean as a TIFF of its own'
        )
    return largest[0]


def _only_page(level: tifffile.TiffPageSeries, tiff: tifffile.TiffFile, path: str | Path) -> tifffile.TiffPage:
    if level.keyframe.parent is not tiff:
        raise ImageError(
            f'image {path} only describes pixels that lie in {level.keyframe.parent.filename}: expected them in the '
            'file itself; open that one, or write the image as one file'
        )
    if level.axes not in ('YX', 'YXS', 'SYX') or len(level.pages) != 1:
        shape = ' x '.join(map(str, level.shape))
        raise ImageError(
            f'image {path} holds a stack of {shape} (axes {level.axes}): expected one grey or RGB image; write the '
            'plane that you mean as an RGB TIFF'
        )
    return level.keyframe


def _check_page(page: tifffile.TiffPage, path: str | Path) -> None:
    photometric = int(page.photometric)
    if photometric not in _COLOUR_SAMPLES:
        what = _UNREADABLE.get(photometric, f'of a kind that is not known here ({photometric})')
        raise ImageError(f'image {path} is {what}: expected grey or RGB; convert it')
    known = page.dtype is not None and page.dtype.name in ('bool', 'uint8', 'uint16')
    if not known or isinstance(page.bitspersample, tuple):
        raise ImageError(f'image {path} holds {page.dtype}, expected 8 or 16 bits a channel: convert it first')
    wanted = _COLOUR_SAMPLES[photometric]
    if page.samplesperpixel not in wanted:
        shown = ' or '.join(map(str, wanted))
        raise ImageError(f'image {path} has {page.samplesperpixel} channels, expected {shown}')
    if page.imagedepth != 1 or page.imagewidth < 1 or page.imagelength < 1:
        raise ImageError(f'image {path} is {page.imagewidth} x {page.imagelength} x {page.imagedepth} px: not an image')
    if not is_mappable(page):
        check_size(*segment_size(page), path, 'one tile or strip of')


def _check_whole(page: tifffile.TiffPage, size: int, path: str | Path) -> None:
    wanted = math.prod(page.chunked)
    if len(page.dataoffsets) < wanted:
        raise ImageError(
            f'image {path} is broken: its header says {page.imagewidth} x {page.imagelength} px, which are {wanted} '
            f'tiles or strips, and lists {len(page.dataoffsets)}; get the file again'
        )
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts)]
    if is_mappable(page):
        ends.append(page.dataoffsets[0] + page.nbytes)
    beyond = sum(end > size for end in ends)
    if beyond or not ends:
        raise ImageError(
            f'image {path} is truncated: {beyond} of its {len(ends)} tiles or strips lie beyond its end at byte '
            f'{size}; get the file again'
        )
