"""Reads the kind, size and resolution of an image or slide file without decoding a pixel."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import PIL
import PIL.Image
import PIL.ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from mitouts.errors import AnnotationWarning, ImageError
from mitouts.imaging.dicom import dicom_slide, is_dicom

if TYPE_CHECKING:
    import openslide

Kind = Literal['openslide', 'tiff', 'image']

EXPECTED = 'a slide (SVS, NDPI, MRXS, DICOM, tiled or plain TIFF, OME-TIFF) or an image (PNG, JPEG, BMP)'
# What scanners of tissue have, from 100x with oil to overviews.
SCANNER_MPP = (0.1, 2.0)
SQUARE_TOLERANCE = 0.01
# Dots per inch that writers of TIFF files set by default: nobody meant them as the resolution of a microscope.
_PRINT_DPI = (1, 2.54, 72, 75, 96, 100, 120, 150, 180, 200, 240, 250, 254, 300, 350, 360, 400, 600, 720, 1200)
_UM_PER_INCH = 25_400.0
TIFF_MAGIC = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
# Opened directly, because `PIL.Image.open` refuses what is too large before it has told the size.
_RASTER_PLUGINS: dict[bytes, type[PIL.ImageFile.ImageFile]] = {
    b'\x89PNG\r\n\x1a\n': PngImageFile,
    b'\xff\xd8': JpegImageFile,
    b'BM': BmpImageFile,
}


@dataclass(frozen=True)
class ImageInfo:
    """A file's header.

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
    centimetres; one outside 0.1 to 2 um/px, which no scanner has, counts as unknown. The print density of PNG and JPEG
    is no resolution.

    Raises:
        ImageError: Missing, empty, broken, of another kind, or with pixels that are not square.
    """
    path = Path(path)
    kind = file_kind(path)
    if kind == 'openslide':
        with open_with_openslide(path) as slide:
            return ImageInfo(*slide.dimensions, _believed_mpp(openslide_mpp(slide.properties), path))
    if kind == 'tiff':
        from mitouts.imaging.tiff import open_tiff, slide_pages, tiff_mpp

        with open_tiff(path) as tiff:
            page = slide_pages(tiff, path)[0]
            return ImageInfo(page.imagewidth, page.imagelength, _believed_mpp(tiff_mpp(tiff, page), path))
    with path.open('rb') as file:
        image = encoded_image(file)
        if image is None:
            raise ImageError(f'image {path} cannot be read: its header is broken; get the file again')
        return ImageInfo(*image.size)


def file_kind(path: Path) -> Kind:
    """Return the kind of reader that a file needs: ``openslide`` for a scanner's format, else ``tiff`` or ``image``.

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
        head = file.read(132)
    if not head:
        raise ImageError(f'image {path} is empty (0 bytes): expected {EXPECTED}; get the file again')
    if head.startswith(tuple(_RASTER_PLUGINS)) and path.suffix.lower() != '.mrxs':
        # No scanner's file begins so, but a Mirax slide's, which is a JPEG.
        return 'image'
    if head[128:] == b'DICM' or _openslide_vendor(path) not in (None, 'generic-tiff'):
        return 'openslide'
    if head.startswith(TIFF_MAGIC):
        return 'tiff'
    with path.open('rb') as file:
        if encoded_image(file) is not None:
            return 'image'
    shown = _describe(head[:32])
    raise ImageError(f'image {path}: expected {EXPECTED}, found {shown}; convert it, or get the file again')


def encoded_image(source: IO[bytes]) -> PIL.Image.Image | None:
    """Open an encoded image that is no TIFF; Pillow reads its header and decodes no pixel before they are asked for.

    A TIFF may hold several images (:func:`mitouts.imaging.tiff.slide_pages`).

    Args:
        source: Stream of the encoded bytes; it must stay open as long as the image is used.

    Returns:
        The image; None where the header is broken, of a TIFF, or of a kind that is not known here.

    Raises:
        ImageError: Neither PNG, JPEG nor BMP, and above Pillow's own limit.
    """
    head = source.read(32)
    source.seek(0)
    if head.startswith(TIFF_MAGIC):
        return None
    opener = next((plugin for magic, plugin in _RASTER_PLUGINS.items() if head.startswith(magic)), PIL.Image.open)
    try:
        with warnings.catch_warnings():
            # Of metadata that are broken, and from half of the limit on; the caller checks the limit.
            warnings.simplefilter('ignore')
            return opener(source)
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f'an image is too large to be decoded whole: {error}; convert it to a tiled TIFF') from error
    except (PIL.UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error):
        return None


def scanner_mpp(mpp_xy: tuple[float, float] | None, path: str | Path) -> float | None:
    """Average the resolutions along x and y that a file states; None if it states none, or one that no scanner has.

    Args:
        mpp_xy: Micrometres per pixel along x and y.
        path: Named in the error.

    Raises:
        ImageError: They differ by more than 1%.
    """
    low, high = SCANNER_MPP[0] / (1 + SQUARE_TOLERANCE), SCANNER_MPP[1] * (1 + SQUARE_TOLERANCE)
    if mpp_xy is None or not all(low <= value <= high for value in mpp_xy):
        return None
    if max(mpp_xy) > min(mpp_xy) * (1 + SQUARE_TOLERANCE):
        raise ImageError(
            f'image {path} has pixels of {mpp_xy[0]:g} x {mpp_xy[1]:g} um: expected square ones (within 1%); resample '
            'the image, or give the um per pixel yourself if its metadata are wrong'
        )
    return sum(mpp_xy) / 2


def mpp_doubt(mpp_xy: tuple[float, float] | None) -> str | None:
    """Describe what is wrong with a stated resolution that no scanner has; None if the file states none.

    Args:
        mpp_xy: Micrometres per pixel along x and y, one of them outside 0.1 to 2.
    """
    if mpp_xy is None or not all(0 < value < math.inf for value in mpp_xy):
        return None
    low, high = SCANNER_MPP
    return f'states {sum(mpp_xy) / 2:.4g} um per pixel, which no scanner has ({low:g} to {high:g})'


def openslide_mpp(properties: Mapping[str, str]) -> tuple[float, float] | None:
    """Return micrometres per pixel along x and y from OpenSlide's properties."""
    try:
        return float(properties['openslide.mpp-x']), float(properties['openslide.mpp-y'])
    except (KeyError, ValueError):
        return None


def open_with_openslide(path: Path) -> openslide.OpenSlide:
    """Open a file of a scanner's format with OpenSlide.

    Raises:
        ImageError: It is broken, or a DICOM file without a slide.
    """
    import openslide

    try:
        return openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        if is_dicom(path):
            # A label, an overview or another object alone: this says so.
            dicom_slide(path)
        raise ImageError(f'slide {path} cannot be opened: {error}; get the file again') from error


def _believed_mpp(mpp_xy: tuple[float, float] | None, path: Path) -> float | None:
    mpp = scanner_mpp(mpp_xy, path)
    doubt = mpp_doubt(mpp_xy)
    if mpp is None and doubt is not None and mpp_xy is not None and not _is_print_density(mpp_xy):
        warnings.warn(f'{path} {doubt}; it counts as unknown', AnnotationWarning, stacklevel=4)
    return mpp


def _is_print_density(mpp_xy: tuple[float, float]) -> bool:
    return all(any(math.isclose(_UM_PER_INCH / mpp, dpi, rel_tol=5e-3) for dpi in _PRINT_DPI) for mpp in mpp_xy)


def _openslide_vendor(path: Path) -> str | None:
    import openslide

    try:
        return openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        return None


def _describe(head: bytes) -> str:
    text = head.decode('utf-8', errors='ignore')
    if len(text.encode()) >= len(head) - 3 and all(c.isprintable() or c.isspace() for c in text):
        return f'text that begins with {text[:20]!r}'
    return f'bytes that begin with {head[:8].hex(" ")}'
