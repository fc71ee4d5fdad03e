"""Embeds in exported files what a foreign format has no field for, so that reading them back loses nothing.

An exporter puts the document's own entries where the other program ignores them. When the file is read back, perhaps
after edits in that program, what that program shows (points, classes, which figures exist) takes precedence; the rest
is taken from the embedded ("carried") entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mitouts.errors import AnnotationError
from mitouts.formats.source import SourceFigure, SourceImage, check_file_name, is_id, is_number
from mitouts.imaging.walk import SUFFIXES, walk_files

# Nearer than this, a point was not moved but went through another program's arithmetic.
SAME_POINT_PX = 1e-6
CASE_UNKNOWN: Mapping[str, bool] = {'case_known': False}
_POSITION_KEYS = ('id', 'image_id', 'category_id', 'point')
_DERIVED_KEYS = ('bbox', 'area')
_IMAGE_KEYS = ('id', 'file_name', 'width', 'height', 'case_id', 'mpp')


def check_exportable(images: Sequence[Mapping[str, Any]], what: str) -> None:
    """Check that images can be told apart by name in another program.

    Raises:
        AnnotationError: A name occurs twice, or leads out of the images' folder.
    """
    seen: set[str] = set()
    for image in images:
        name = check_file_name(image['file_name'], f'image {image["id"]}')
        if not is_id(image['id']):
            raise AnnotationError(f'image {name!r}: the id {image["id"]} is too large for {what}')
        if name in seen:
            raise AnnotationError(f'two images are called {name!r}; {what} tells images apart by their names')
        seen.add(name)


def base_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything in a document except its images and annotations."""
    return {key: value for key, value in document.items() if key not in ('images', 'annotations')}


def check_base(base: Any, where: str) -> dict[str, Any]:
    """Check the result of :func:`base_of` after it was read back from a foreign file.

    Raises:
        AnnotationError: It was damaged.
    """
    if not isinstance(base, dict) or not isinstance(base.get('info', {}), dict):
        raise AnnotationError(f'{where}: expected the exported document, found {str(base)[:60]!r}')
    origin = base.get('info', {}).get('mitouts', {})
    if not isinstance(origin, dict):
        raise AnnotationError(f'{where}: info.mitouts is damaged')
    categories = base.get('categories')
    if not isinstance(categories, list) or not all(
        isinstance(entry, dict) and is_id(entry.get('id')) and isinstance(entry.get('name'), str)
        for entry in categories
    ):
        raise AnnotationError(f'{where}: expected categories with id and name, found {str(categories)[:60]!r}')
    return base


def carried_image(entry: Any, where: str) -> SourceImage:
    """Make an image from a carried entry of ``images``.

    Raises:
        AnnotationError: The entry was damaged.
    """
    if not isinstance(entry, dict):
        raise AnnotationError(f'{where}: expected an entry of images, found {str(entry)[:60]!r}')
    mpp = entry.get('mpp')
    if not is_id(entry.get('id')) or not all(is_id(entry.get(key)) and entry[key] >= 1 for key in ('width', 'height')):
        raise AnnotationError(f'{where}: expected id, width and height as whole numbers')
    if mpp is not None and not (is_number(mpp) and mpp > 0):
        raise AnnotationError(f'{where}: mpp must be positive or null, found {mpp!r:.40}')
    check_file_name(entry.get('file_name'), where)
    is_named = entry.get('case_id') is not None
    extra = {key: value for key, value in entry.items() if key not in _IMAGE_KEYS}
    return SourceImage(
        file_name=entry['file_name'],
        case_id=str(entry['case_id']) if is_named else case_of(entry['file_name']),
        width=entry['width'],
        height=entry['height'],
        mpp=mpp,
        image_id=entry['id'],
        extra=extra if is_named else {**extra, **CASE_UNKNOWN},
        exact_name=True,
    )


def carried_figure(
    entry: Any, where: str, *, file_name: str, x: float, y: float, category_id: int
) -> tuple[SourceFigure, bool]:
    """Make a figure from a carried entry of ``annotations``, at the position that the other program has for it now.

    Args:
        entry: The entry that was exported.
        x: Column in pixels that the other program shows.
        y: Row in pixels.
        category_id: The category that it shows.

    Returns:
        The figure, and whether its point or category changed.

    Raises:
        AnnotationError: The entry was damaged.
    """
    if not isinstance(entry, dict) or not is_id(entry.get('id')):
        raise AnnotationError(f'{where}: expected an entry of annotations, found {str(entry)[:60]!r}')
    point = entry.get('point')
    if not isinstance(point, list) or len(point) != 2 or not all(is_number(value) for value in point):
        raise AnnotationError(f'{where}: expected a point, found {point!r:.60}')
    moved = max(abs(point[0] - x), abs(point[1] - y)) > SAME_POINT_PX
    dropped = (*_POSITION_KEYS, *_DERIVED_KEYS) if moved else _POSITION_KEYS
    column, row = (x, y) if moved else (point[0], point[1])
    extra = {key: value for key, value in entry.items() if key not in dropped}
    figure = SourceFigure(file_name, column, row, category_id, extra, entry['id'])
    return figure, moved or category_id != entry.get('category_id')


def check_unique_ids(images: Sequence[SourceImage], figures: Sequence[SourceFigure], where: str) -> None:
    """Check that no carried entry was copied within the other program.

    Raises:
        AnnotationError: An id occurs twice.
    """
    for what, ids in (
        ('image', [image.image_id for image in images]),
        ('annotation', [figure.annotation_id for figure in figures]),
    ):
        given = [number for number in ids if number is not None]
        twice = len(given) - len(set(given))
        if twice:
            raise AnnotationError(f'{where}: {twice} {what} ids occur twice')


def case_of(file_name: str) -> str:
    """Return the case of an image of which only the path is known: the path without its image suffix.

    Folders are kept: ``clinic_a/001.png`` and ``clinic_b/001.png`` are two cases.
    """
    path = PurePosixPath(file_name)
    return str(path.with_suffix('') if path.suffix.lower() in SUFFIXES else path)


def label_files(src: Path, suffixes: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """List the label files in a folder and below it, or a single file.

    Args:
        suffixes: Endings of label files, lower case, such as ``.geojson``.

    Returns:
        Each file, and the name of its image: its path relative to ``src`` without the suffix.

    Raises:
        AnnotationError: There is none, or a name leads out of the folder.
    """
    if src.is_dir():
        paths = list(walk_files(src, suffixes))
        if not paths:
            raise AnnotationError(f'{src}: holds no {" or ".join(suffixes)} file')
        root = src
    elif src.is_file():
        paths, root = [src], src.parent
    else:
        raise AnnotationError(f'{src}: no such file or folder')
    for path in paths:
        name = path.relative_to(root).as_posix()
        suffix = max((ending for ending in suffixes if name.lower().endswith(ending)), key=len, default='')
        yield path, check_file_name(name[: len(name) - len(suffix)], str(path))
