"""Opens a slide or an image with the reader that it needs."""

from __future__ import annotations

from pathlib import Path

# The package's readers register themselves.
from mitouts.imaging import image_reader, openslide_reader, tiff_reader
from mitouts.imaging.base import SlideReader
from mitouts.imaging.image_header import file_kind
from mitouts.registry import SLIDE_READERS

__all__ = ['image_reader', 'open_slide', 'openslide_reader', 'reader_for', 'tiff_reader']


def open_slide(path: str | Path, reader: str | None = None, mpp: float | None = None) -> SlideReader:
    """Open a slide or an image.

    Args:
        path: File.
        reader: Registered name of a reader; None for the one that suits the file (:func:`reader_for`).
        mpp: Micrometres per pixel at level 0; it replaces the file's own value.

    Raises:
        ImageError: Missing, empty, broken, or neither a slide nor an image.
        UnknownComponentError: No reader has that name.
    """
    path = Path(path)
    # A reader that is named may know formats that no other does.
    reader_type = reader_for(path) if reader is None else SLIDE_READERS.require(reader)
    return reader_type(path, mpp=mpp)


def reader_for(path: Path) -> type[SlideReader]:
    """Return the registered reader for a file.

    It is the one that claims the ending of the file's name, if any; else OpenSlide for a scanner's format, tifffile for
    every other TIFF (tiled pyramids too, where it is twice as fast), and for a plain image one that decodes it whole.

    Raises:
        ImageError: Missing, empty, or neither a slide nor an image.
    """
    readers: list[type[SlideReader]] = list(SLIDE_READERS.own_components().values())
    claiming = [reader for reader in readers if path.name.lower().endswith(reader.suffixes)]
    if claiming:
        return claiming[-1]
    kind = file_kind(path)
    return next(reader for reader in readers if reader.kind == kind)
