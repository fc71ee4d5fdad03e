"""Decodes the tiles and strips of a TIFF file into RGB."""

from __future__ import annotations

import numpy as np
import tifffile
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.samples import FULL_RANGE, LUMA_WEIGHTS, samples_to_rgb, scale_to_8_bits, ycbcr_to_rgb

_JPEG = (6, 7, 34892, 33007)
# Their decoders give RGB whatever the file stores: JPEG, WebP, JPEG XL and JPEG XR.
_DECODED_TO_RGB = (*_JPEG, 50001, 34927, 50002, 52546, 22610, 34934)
# JPEG 2000 of Aperio, whose components are YCbCr though its photometric interpretation says RGB.
_APERIO_YCBCR = 33003
_JPEG_2000 = (33003, 33004, 33005, 34712)
_CONTIGUOUS = 1
_COEFFICIENTS_TAG, _SUBSAMPLING_TAG, _BLACK_WHITE_TAG = 529, 530, 532
_ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA = 1, 2


def decode_segment(page: tifffile.TiffPage, data: bytes | None, index: int) -> tuple[NDArray | None, tuple[int, int]]:
    """Decode one tile or strip.

    Args:
        page: The image.
        data: Stored bytes; None if the file has no data for it.
        index: Index of the tile or strip.

    Returns:
        Samples ``(h, w, C)`` (one channel of several if these are stored separately), None without data; and the row
        and the column of its top left pixel.

    Raises:
        Exception: Any error that a codec raises for broken or truncated data (see
            :func:`mitouts.imaging.tiff.reading_tiff`).
    """
    if data is not None and page.compression in _JPEG and page.jpegheader is None and b'\xff\xd9' not in data:
        raise ValueError('the JPEG ends early')
    if data is not None and page.compression in _JPEG_2000 and b'\xff\xd9' not in data:
        # The decoder shows what is missing as blurred or black. Compressed data never hold these two bytes together.
        raise ValueError('the JPEG 2000 ends early')
    if data is not None and _is_ycbcr(page) and page.is_subsampled:
        return _decode_subsampled(page, data, index)
    tables = {'jpegtables': page.jpegtables}
    if page.jpegheader is not None:
        tables['jpegheader'] = page.jpegheader
    segment, (_, _, top, left, _), _ = page.decode(data, index, **tables)
    return None if segment is None else segment[0], (top, left)


def to_rgb(samples: NDArray, page: tifffile.TiffPage, path: str) -> NDArray[np.uint8]:
    """Convert samples ``(h, w, C)`` of :func:`decode_segment`, all channels together, to RGB uint8 ``(h, w, 3)``.

    Raises:
        ImageError: The palette has no colours, or the samples are of another kind.
    """
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        return _of_palette(samples[..., 0], page, path)
    samples = samples.astype(samples.dtype.newbyteorder('='), copy=False)
    if page.bitspersample not in (8, 16):
        samples = scale_to_8_bits(samples, page.bitspersample)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        samples = np.concatenate([np.iinfo(samples.dtype).max - samples[..., :1], samples[..., 1:]], axis=2)
    if _is_ycbcr(page):
        tags = page.tags
        return ycbcr_to_rgb(
            samples_to_rgb(samples, path),
            _numbers(tags.valueof(_COEFFICIENTS_TAG), LUMA_WEIGHTS),
            _numbers(tags.valueof(_BLACK_WHITE_TAG), FULL_RANGE),
        )
    alpha = page.extrasamples[0] if page.extrasamples else 0
    if page.extrasamples and alpha not in (_ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA):
        # What is neither kind of alpha is no part of the colour.
        samples = samples[..., : -len(page.extrasamples)]
    return samples_to_rgb(samples, path, is_premultiplied=alpha == _ASSOCIATED_ALPHA)


def _is_ycbcr(page: tifffile.TiffPage) -> bool:
    """Tell whether the decoder leaves the samples as YCbCr."""
    if page.compression == _APERIO_YCBCR:
        return page.samplesperpixel == 3
    # A decoder that sees one plane at a time cannot mix them.
    mixes = page.compression in _DECODED_TO_RGB and page.planarconfig == _CONTIGUOUS
    return page.photometric == tifffile.PHOTOMETRIC.YCBCR and not mixes


def _decode_subsampled(page: tifffile.TiffPage, data: bytes, index: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Unpack data units of ``v x h`` luma samples and one of each colour difference (TIFF 6.0, section 21)."""
    if page.planarconfig != _CONTIGUOUS or page.bitspersample != 8 or page.predictor != 1 or page.fillorder != 1:
        raise ValueError('subsampled colours are read from 8-bit samples that are stored together, without a predictor')
    width, height, place = _extent(page, index)
    across, down = _numbers(page.tags.valueof(_SUBSAMPLING_TAG), (2, 2))
    full = width * height * 3
    packed = -(-width // across) * -(-height // down) * (across * down + 2)
    if page.compression != 1:
        data = tifffile.TIFF.DECOMPRESSORS[page.compression](data, out=max(full, packed))
    if page.tags.get(_SUBSAMPLING_TAG) is None and len(data) == full:
        # Writers that do not subsample leave the tag out, though its default is 2 x 2.
        across = down = 1
        packed = full
    if len(data) < packed:
        raise ValueError(f'{len(data)} bytes are too few, expected {packed}')
    units = np.frombuffer(data, np.uint8, packed).reshape(-(-height // down), -(-width // across), across * down + 2)
    blocks = units[..., :-2].reshape(*units.shape[:2], down, across)
    luma = blocks.swapaxes(1, 2).reshape(units.shape[0] * down, units.shape[1] * across)
    colours = units[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.dstack([luma, colours])[:height, :width], place


def _extent(page: tifffile.TiffPage, index: int) -> tuple[int, int, tuple[int, int]]:
    """Return width and height of a tile or strip, and the row and column of its top left pixel."""
    if page.is_tiled:
        across = -(-page.imagewidth // page.tilewidth)
        place = index // across * page.tilelength, index % across * page.tilewidth
        return page.tilewidth, page.tilelength, place
    top = index * page.rowsperstrip
    return page.imagewidth, min(page.rowsperstrip, page.imagelength - top), (top, 0)


def _of_palette(codes: NDArray, page: tifffile.TiffPage, path: str) -> NDArray[np.uint8]:
    if page.colormap is None:
        raise ImageError(f'image {path} has a palette without colours; get the file again')
    stored = np.transpose(np.asarray(page.colormap))
    # Colours have 16 bits, but some writers give 8: libtiff, too, tells them by their largest number.
    colours = np.asarray(stored >> 8 if stored.max() > 255 else stored, dtype=np.uint8)
    return np.asarray(colours[codes], dtype=np.uint8)


def _numbers(value: tuple[int, ...] | None, default: tuple[float, ...]) -> tuple:
    """Return the numbers of a tag, which stores each fraction as two integers."""
    if value is None:
        return default
    if len(value) == 2 * len(default):
        return tuple(above / below for above, below in zip(value[::2], value[1::2]))
    return value
