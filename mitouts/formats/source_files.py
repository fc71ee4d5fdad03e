"""Finds the image files that a label file names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from mitouts.errors import AnnotationError
from mitouts.imaging.walk import SUFFIXES, slide_file, slide_in_folder


def find_file(root: Path, name: str) -> Path | None:
    """Find an image that a label file names, even if its suffix differs or is missing there.

    A DICOM slide is found by any of its files, or by the name of the folder that holds nothing but it.

    Raises:
        AnnotationError: Several files match.
        ImageError: It is a DICOM file without a slide.
    """
    if (root / name).is_file():
        return slide_file(root / name)
    # Label files do not always say the suffix, and data sets are repacked with another.
    stem = (
        PurePosixPath(name).with_suffix('') if PurePosixPath(name).suffix.lower() in SUFFIXES else PurePosixPath(name)
    )
    paths: list[Path] = []
    for suffix in (suffix for lower in SUFFIXES for suffix in (lower, lower.upper())):
        path = root / f'{stem}{suffix}'
        # On some systems a.tif and a.TIF are one file.
        if path.is_file() and not any(path.samefile(other) for other in paths):
            paths.append(path)
    if len(paths) > 1:
        raise AnnotationError(
            f'{root}: {name} can be {" or ".join(path.name for path in paths)}: leave one of them there, or let the '
            'labels say which, by the suffix'
        )
    return slide_file(paths[0]) if paths else slide_in_folder(root / stem)


def with_suffix(name: str) -> str:
    """Add the usual suffix to a file name that has no image suffix."""
    return name if PurePosixPath(name).suffix.lower() in SUFFIXES else f'{name}.tif'
