"""What an image or slide file says of itself before a pixel is decoded: its kind, size and resolution."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import PIL
import PIL.Image

from mitouts.errors import ImageError

Kind = Literal['openslide', 'tiff', 'image']

EXPECTED = 'a slide (SVS, NDPI, MRXS, DICOM, tiled or plain TIFF, OME-TIFF) or an image (PNG, JPEG, BMP)'
LIMIT_VARIABLE = 'MITOUTS_MAX_IMAGE_PX'
PLAUSIBLE_MPP = (0.05, 20.0)
SQUARE_TOLERANCE = 0.01
TIFF_MAGIC = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
# OpenCV's own bound, fixed when it is imported.
_DECODER_LIMIT_PX = 1 << 30
_HEADER_BYTES = 1 << 20
_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True)
class ImageInfo:
    """What a file's header says.

    Attributes:
        width: In pixels, of the full resolution.
        height: In pixels, of the full resolution.
        mpp: Micrometres per pixel, None where the file does not say.
    """

    width: int
    height: int
    mpp: float | None = None


def probe(path: str | Path) -> ImageInfo:
    """Read only the header of an image or slide.

    The resolution is that of the slide's own metadata, of OME-XML, of ImageJ's, or of TIFF resolution tags in inches or
    centimetres; one outside 0.05 to 20 um/px is somebody's default and counts as unknown. The print density of PNG and
    JPEG is no resolution.

    Raises:
        ImageError: Missing, empty, broken, of another kind, or with pixels that are not square.
    """
    path = Path(path)
    kind = file_kind(path)
    if kind == 'openslide':
        return _probe_openslide(path)
    if kind == 'tiff':
        from mitouts.imaging.tiff import open_tiff, rgb_pages, tiff_mpp

        with open_tiff(path) as tiff:
            page = rgb_pages(tiff, path)[0]
            return ImageInfo(page.imagewidth, page.imagelength, square_mpp(tiff_mpp(tiff), path))
    with path.open('rb') as file:
        size = encoded_size(file.read(_HEADER_BYTES)) or _size_by_pillow(path)
    if size is None:
        raise ImageError(f'image {path} cannot be read: its header is broken; get the file again')
    return ImageInfo(*size)


def file_kind(path: Path) -> Kind:
    """What can read the file: ``openslide`` for a scanner's format, else ``tiff`` or ``image``.

    A generic TIFF goes to tifffile although OpenSlide opens some of them: that is twice as fast, and it sees pyramids
    in sub-IFDs and OME metadata.

    Raises:
        ImageError: Missing, a folder, empty, or of another kind.
    """
    if not path.exists():
        raise ImageError(f'image {path} does not exist')
    if not path.is_file():
        raise ImageError(f'image {path} is a folder: expected {EXPECTED}')
    with path.open('rb') as file:
        head = file.read(32)
    if not head:
        raise ImageError(f'image {path} is empty (0 bytes): expected {EXPECTED}; get the file again')
    if _openslide_vendor(path) not in (None, 'generic-tiff'):
        return 'openslide'
    if head.startswith(TIFF_MAGIC):
        return 'tiff'
    if head.startswith((b'\x89PNG\r\n\x1a\n', b'\xff\xd8', b'BM')) or _size_by_pillow(path) is not None:
        return 'image'
    raise ImageError(f'image {path}: expected {EXPECTED}, found {_describe(head)}; convert it, or get the file again')


def max_image_px() -> int:
    """Pixels above which an image is not decoded whole: where PIL refuses (178,956,970), or ``MITOUTS_MAX_IMAGE_PX``.

    Raises:
        ImageError: The environment variable is not a positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    if text:
        try:
            limit = int(float(text))
        except (ValueError, OverflowError):
            limit = 0
        if limit < 1:
            raise ImageError(f'{LIMIT_VARIABLE} in the environment must be a positive number of pixels, found {text!r}')
        return min(limit, _DECODER_LIMIT_PX)
    if PIL.Image.MAX_IMAGE_PIXELS is None:
        return _DECODER_LIMIT_PX
    return min(2 * PIL.Image.MAX_IMAGE_PIXELS, _DECODER_LIMIT_PX)


def check_size(width: int, height: int, path: str | Path, what: str = 'image') -> None:
    """Refuse what must be decoded in one piece and is too large for that.

    Raises:
        ImageError: It has more than :func:`max_image_px` pixels.
    """
    limit = max_image_px()
    if width * height > limit:
        raise ImageError(
            f'{what} {path} is {width} x {height} px and would be decoded whole; the limit is {limit:,} px. Convert it '
            f'to a tiled TIFF, which is read in parts, or raise the limit: {LIMIT_VARIABLE}={width * height} (at most '
            f'{_DECODER_LIMIT_PX})'
        )


def encoded_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that an encoded image's header states, or None where there is no such header.

    Args:
        data: The file's bytes, or as many as hold the header.
    """
    head = data[:32]
    if head.startswith(b'\x89PNG\r\n\x1a\n'):
        return struct.unpack_from('>II', head, 16) if head[12:16] == b'IHDR' and len(head) >= 24 else None
    if head.startswith(b'\xff\xd8'):
        return _jpeg_size(data)
    if head.startswith(b'BM') and len(head) >= 26:
        core = struct.unpack_from('<I', head, 14)[0] == 12
        width, height = struct.unpack_from('<HH' if core else '<ii', head, 18)
        return abs(width), abs(height)
    if head.startswith(TIFF_MAGIC):
        from mitouts.imaging.tiff import first_page_size

        return first_page_size(data)
    return _size_by_pillow(BytesIO(data))


def square_mpp(mpp_xy: tuple[float, float] | None, path: str | Path) -> float | None:
    """The mean of the two resolutions, None where they are unknown or implausible.

    Args:
        mpp_xy: Micrometres per pixel along x and y.
        path: Named in the error.

    Raises:
        ImageError: They differ by more than 1%.
    """
    if mpp_xy is None or not all(PLAUSIBLE_MPP[0] <= value <= PLAUSIBLE_MPP[1] for value in mpp_xy):
        return None
    if max(mpp_xy) > min(mpp_xy) * (1 + SQUARE_TOLERANCE):
        raise ImageError(
            f'image {path} has pixels of {mpp_xy[0]:g} x {mpp_xy[1]:g} um: expected square ones (within 1%); resample '
            'the image, or give the um per pixel yourself if its metadata are wrong'
        )
    return sum(mpp_xy) / 2


def openslide_mpp(properties: Mapping[str, str]) -> tuple[float, float] | None:
    """Micrometres per pixel along x and y from OpenSlide's properties."""
    try:
        return float(properties['openslide.mpp-x']), float(properties['openslide.mpp-y'])
    except (KeyError, ValueError):
        return None


def _probe_openslide(path: Path) -> ImageInfo:
    import openslide

    try:
        with openslide.OpenSlide(path) as slide:
            return ImageInfo(*slide.dimensions, square_mpp(openslide_mpp(slide.properties), path))
    except openslide.OpenSlideError as error:
        raise ImageError(f'slide {path} cannot be read: {error}; get the file again') from error


def _openslide_vendor(path: Path) -> str | None:
    import openslide

    try:
        return openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in _JPEG_BARE_MARKERS:
            position += 2
        elif marker in _JPEG_SIZE_MARKERS:
            height, width = struct.unpack_from('>HH', data, position + 5)
            return width, height
        else:
            position += 2 + struct.unpack_from('>H', data, position + 2)[0]
    return None


def _size_by_pillow(source: Path | BytesIO) -> tuple[int, int] | None:
    try:
        with warnings.catch_warnings():
            # PIL warns from half of the limit on; the limit is checked by the caller.
            warnings.simplefilter('ignore', PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(source) as image:
                return image.size
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f'an image is too large to be decoded whole: {error}; convert it to a tiled TIFF') from error
    except (PIL.UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error):
        return None


def _describe(head: bytes) -> str:
    text = head.decode('utf-8', errors='ignore')
    if len(text.encode()) >= len(head) - 3 and all(c.isprintable() or c.isspace() for c in text):
        return f'text that begins with {text[:20]!r}'
    return f'bytes that begin with {head[:8].hex(" ")}'
