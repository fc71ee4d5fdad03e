"""The reader that a file needs."""

from __future__ import annotations

from pathlib import Path

from mitouts.imaging.base import SlideReader
from mitouts.imaging.image_header import file_kind
from mitouts.imaging.image_reader import ImageReader
from mitouts.imaging.openslide_reader import OpenSlideReader
from mitouts.imaging.tiff_reader import TiffReader
from mitouts.registry import SLIDE_READERS

_READERS: dict[str, type[SlideReader]] = {'openslide': OpenSlideReader, 'tiff': TiffReader, 'image': ImageReader}


def open_slide(path: str | Path, reader: str | None = None, mpp: float | None = None) -> SlideReader:
    """Open a slide or an image.

    Args:
        path: File.
        reader: Registered name of a reader; None for the one that suits the file: OpenSlide for a scanner's format,
            tifffile for every other TIFF (tiled pyramids too, where it is twice as fast), else decoded whole.
        mpp: Micrometres per pixel at level 0; it replaces what the file says.

    Raises:
        ImageError: Missing, empty, broken, or neither a slide nor an image.
    """
    # A reader that is named may know formats that nobody here does.
    reader_type = _READERS[file_kind(Path(path))] if reader is None else SLIDE_READERS.require(reader)
    return reader_type(path, mpp=mpp)
