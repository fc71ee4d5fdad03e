"""Walks through folders and finds the images and slides in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mitouts.errors import ImageError
from mitouts.imaging.dicom import dicom_slide, dicom_slides, is_dicom, read_dicom_header

SUFFIXES = (
    '.tif', '.tiff', '.svs', '.ndpi', '.mrxs', '.scn', '.bif', '.svslide', '.vms', '.vmu', '.dcm', '.dicom', '.btf',
    '.tf8', '.qptiff', '.png', '.jpg', '.jpeg', '.bmp', '.webp', '.jp2',
)  # fmt: skip
# Slides in formats that nothing here opens: they are found, so that opening them says so.
UNSUPPORTED_SUFFIXES = (
    '.czi', '.vsi', '.isyntax', '.i2syntax', '.kfb', '.sdpc', '.tmap', '.mds', '.mdsx', '.lif', '.nd2', '.zvi', '.zarr',
)  # fmt: skip
# Beginnings of PNG, JPEG and TIFF files.
_IMAGE_MAGIC = (b'\x89PNG', b'\xff\xd8\xff', b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_JUNK = (
    'thumbs.db', 'ehthumbs.db', 'desktop.ini', '__macosx', '$recycle.bin', 'system volume information', '@eadir',
    'dicomdir',
)  # fmt: skip


def is_junk(name: str) -> bool:
    """Tell whether a file is hidden or created by an operating system: ``._1.tif``, ``Thumbs.db``, ``__MACOSX``."""
    return name.startswith('.') or name.lower() in _JUNK


def walk_files(
    root: str | os.PathLike[str],
    suffixes: Sequence[str] | None = None,
    *,
    max_depth: int | None = None,
    leave_out: Iterable[str | os.PathLike[str]] = (),
) -> Iterator[Path]:
    """Walk through a folder and everything below it, sorted by name, without junk files (:func:`is_junk`).

    Linked folders are followed, except back into a folder that the link lies in.

    Args:
        root: The folder.
        suffixes: Endings of the wanted files, lower case; None for every file.
        max_depth: Number of folder levels to descend; 0 for the folder alone.
        leave_out: Folders that are not entered, such as that of the results.

    Returns:
        Paths that begin with ``root``.
    """
    closed = frozenset(os.path.realpath(folder) for folder in leave_out)
    endings = ('',) if suffixes is None else tuple(suffixes)
    return (path for path in _walk(Path(root), max_depth, closed) if path.name.lower().endswith(endings))


def find_images(
    root: str | os.PathLike[str],
    *,
    max_depth: int | None = None,
    leave_out: Iterable[str | os.PathLike[str]] = (),
) -> tuple[list[Path], list[str]]:
    """Find the images and slides of a folder.

    A DICOM slide counts as one file, that of its largest level. Its label and overview do not count, nor do the files
    that a Hamamatsu slide (``.vms``, ``.vmu``) consists of. A broken slide, or one of a format that
    cannot be opened, is listed as well: opening it says what is wrong.

    The arguments are those of :func:`walk_files`.

    Returns:
        Paths that begin with ``root``, each file once, and notes on skipped files: DICOM files that belong to no
        slide, and images whose names do not end like one's.
    """
    images: dict[str, Path] = {}
    parts: set[Path] = set()
    notes: list[str] = []
    unnamed: list[Path] = []
    for path in walk_files(root, max_depth=max_depth, leave_out=leave_out):
        suffix = path.suffix.lower()
        slide = path if suffix in SUFFIXES + UNSUPPORTED_SUFFIXES else None
        if _may_be_dicom(suffix) and is_dicom(path):
            slide, note = _slide_of_dicom(path)
            notes += [] if note is None else [note]
        elif suffix in ('.vms', '.vmu'):
            parts.update(_parts_of_hamamatsu(path))
        elif slide is None and _begins_like_an_image(path):
            unnamed.append(path)
        if slide is not None:
            images.setdefault(os.path.realpath(slide), slide)
    notes += [
        f'{path} is passed over: it begins like a TIFF, PNG or JPEG image, but its name does not end like one of them; '
        'rename it if it is meant'
        for path in unnamed
        if path not in parts
    ]
    return [path for path in images.values() if path not in parts], notes


def slide_file(path: Path) -> Path:
    """Return the file to open for a slide: the file itself, or the largest level of a DICOM slide.

    Args:
        path: Any file of the slide, or the folder that holds nothing but one DICOM slide.

    Raises:
        ImageError: It is a DICOM file without a slide, or another folder.
    """
    if path.is_dir():
        slide = slide_in_folder(path)
        if slide is None:
            raise ImageError(f'{path} is a folder: expected a slide, or the folder of one DICOM slide')
        return slide
    return dicom_slide(path) if is_dicom(path) else path


def slide_in_folder(folder: Path) -> Path | None:
    """Find the DICOM slide in a folder; None if the folder holds none, or several."""
    slides = dicom_slides(folder) if folder.is_dir() else []
    return slides[0] if len(slides) == 1 else None


def _walk(folder: Path, depth: int | None, closed: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in closed:
        return
    with os.scandir(folder) as listed:
        entries = sorted((entry for entry in listed if not is_junk(entry.name)), key=lambda entry: entry.name)
    for entry in entries:
        # An OME-Zarr is one image, though it is a folder.
        if not entry.is_dir() or entry.name.lower().endswith('.zarr'):
            yield folder / entry.name
        elif depth is None or depth > 0:
            yield from _walk(folder / entry.name, None if depth is None else depth - 1, closed | {real})


def _may_be_dicom(suffix: str) -> bool:
    """Tell whether a file with this suffix may be DICOM: archives number such files, often without a suffix."""
    return suffix in ('', '.dcm', '.dicom') or suffix[1:].isdecimal()


def _begins_like_an_image(path: Path) -> bool:
    try:
        with path.open('rb') as file:
            return file.read(4).startswith(_IMAGE_MAGIC)
    except OSError:
        return False


def _slide_of_dicom(path: Path) -> tuple[Path | None, str | None]:
    try:
        header = read_dicom_header(path)
    except ImageError:
        return path, None
    try:
        return dicom_slide(path), None
    except ImageError:
        return None, f'{path} is passed over: it is {header.kind}, and there is no slide of its DICOM series beside it'


def _parts_of_hamamatsu(path: Path) -> list[Path]:
    """Return the files that a ``.vms`` or ``.vmu`` file names: the slide's pixels, its map and its macro image."""
    try:
        lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError:
        return []
    return [path.parent / value.strip() for _, sign, value in (line.partition('=') for line in lines) if sign]
