"""Reads the tables of a SlideRunner database (SQLite), without ever writing to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitouts.errors import AnnotationError
from mitouts.formats.source import check_coordinate, listed

MAGIC = b'SQLite format 3\0'
TABLES: Mapping[str, tuple[str, ...]] = {
    'Slides': ('uid', 'filename', 'width', 'height'),
    'Annotations': ('uid', 'slide', 'type', 'agreedClass'),
    'Annotations_coordinates': ('coordinateX', 'coordinateY', 'annoId', 'orderIdx'),
    'Annotations_label': ('uid', 'person', 'class', 'annoId'),
    'Classes': ('uid', 'name'),
    'Persons': ('uid', 'name'),
}
"""The columns that are read; every version of SlideRunner has them."""


@dataclass(frozen=True)
class Slide:
    """A row of the table ``Slides``; width and height in pixels are None until SlideRunner has opened the slide.

    ``directory`` is the folder on the annotator's machine, in the words of its system; empty in old databases.
    """

    uid: int
    filename: str
    width: int | None
    height: int | None
    directory: str = ''


@dataclass(frozen=True)
class Annotation:
    """A row of ``Annotations`` with its coordinates.

    Attributes:
        kind: 1 spot, 2 area, 3 polygon, 4 special spot, 5 circle.
        agreed_class: ``uid`` of a class; 0 where the persons disagree.
        deleted: Whether it was deleted in SlideRunner, which keeps such rows.
        points: ``(x, y)`` in pixels, in their order.
    """

    uid: int
    slide: int | None
    kind: int | None
    agreed_class: int
    deleted: bool
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Database:
    """The content of a SlideRunner database.

    Attributes:
        annotations: Every annotation, also deleted ones.
        classes: ``uid`` -> name.
        persons: ``uid`` -> name.
        votes: ``uid`` of an annotation -> ``uid`` of a person -> ``uid`` of the class that the person chose last.
        changed_votes: Number of votes that the same person later replaced by another class.
    """

    path: Path
    slides: list[Slide]
    annotations: list[Annotation]
    classes: dict[int, str]
    persons: dict[int, str]
    votes: dict[int, dict[int, int]]
    changed_votes: int


def read_tables(path: str | os.PathLike[str]) -> Database:
    """Read a SlideRunner database.

    The file is opened read-only and immutable: no journal is made beside it, and nothing waits for a lock.

    Raises:
        AnnotationError: Not a SlideRunner database, or one that is damaged, or open in another program.
    """
    path = Path(path)
    _check_file(path)
    try:
        with closing(sqlite3.connect(f'{path.resolve().as_uri()}?mode=ro&immutable=1', uri=True)) as connection:
            columns = _check_tables(path, connection)
            votes, changed = _votes(path, connection)
            return Database(
                path=path,
                slides=[
                    _slide(path, row)
                    for row in _rows(
                        path,
                        connection,
                        'Slides',
                        extra=', "directory"' if 'directory' in columns['Slides'] else ", ''",
                    )
                ],
                annotations=_annotations(path, connection, 'deleted' in columns['Annotations']),
                classes=_names(path, connection, 'Classes'),
                persons=_names(path, connection, 'Persons'),
                votes=votes,
                changed_votes=changed,
            )
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        # sqlite3 quotes a damaged name in its own message, which then is no text.
        raise AnnotationError(f'{path}: the database is damaged ({error}); get the file again') from error


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise AnnotationError(f'{path}: no such file')
    size = path.stat().st_size
    with path.open('rb') as file:
        header = file.read(100)
    if not header:
        raise AnnotationError(f'{path}: the file is empty; get it again')
    if not header.startswith(MAGIC):
        hint = '; it is a Git LFS pointer: run "git lfs pull"' if header.startswith(b'version https://git-lfs') else ''
        raise AnnotationError(f'{path}: not an SQLite database, or an encrypted one{hint}')
    page_bytes = int.from_bytes(header[16:18], 'big')
    page_bytes = 65536 if page_bytes == 1 else page_bytes
    pages = int.from_bytes(header[28:32], 'big')
    # The page count is valid only where the counter of changes equals the one it was written with.
    if header[24:28] == header[92:96] and size < page_bytes * pages:
        raise AnnotationError(f'{path}: is cut off after {size:,} of {page_bytes * pages:,} bytes; get it again')
    for suffix in ('-wal', '-journal'):
        beside = path.with_name(path.name + suffix)
        if beside.is_file() and beside.stat().st_size:
            raise AnnotationError(
                f'{path}: {beside.name} holds changes that are not in the database yet; close the program that has it '
                'open, or open and close it there once'
            )


def _check_tables(path: Path, connection: sqlite3.Connection) -> dict[str, set[str]]:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    missing = [name for name in TABLES if name not in names]
    if missing:
        raise AnnotationError(
            f'{path}: not a SlideRunner database, it lacks tables: {", ".join(missing)}; it has '
            f'{listed(sorted(map(str, names)), 12) or "none"}'
        )
    columns_of = {}
    for name in names:
        quoted = str(name).replace('"', '""')
        columns_of[name] = {row[1] for row in connection.execute(f'PRAGMA table_info("{quoted}")')}
    for name, columns in TABLES.items():
        lacking = [column for column in columns if column not in columns_of[name]]
        if lacking:
            raise AnnotationError(
                f'{path}: table {name} lacks columns: {", ".join(lacking)}; it has '
                f'{", ".join(sorted(map(str, columns_of[name])))}'
            )
    return columns_of


def _rows(
    path: Path, connection: sqlite3.Connection, table: str, extra: str = '', order: str = 'uid'
) -> Iterator[tuple[Any, ...]]:
    columns = ', '.join(f'"{column}"' for column in TABLES[table])
    for row in connection.execute(f'SELECT {columns}{extra} FROM "{table}" ORDER BY {order}'):
        if TABLES[table][0] == 'uid' and not isinstance(row[0], int):
            raise AnnotationError(f'{path}: table {table}: expected whole numbers as uid, found {row[0]!r:.60}')
        yield row


def _slide(path: Path, row: tuple[Any, ...]) -> Slide:
    uid, filename, width, height, directory = row
    where = f'{path}: slide {uid}'
    if not isinstance(filename, str) or not filename.strip():
        raise AnnotationError(f'{where}: expected a file name, found {filename!r:.60}')
    for name, value in (('width', width), ('height', height)):
        if value is not None and not (isinstance(value, int) and value >= 0):
            raise AnnotationError(f'{where} ({filename}): expected {name} as pixels, found {value!r:.60}')
    if directory is not None and not isinstance(directory, str):
        raise AnnotationError(f'{where} ({filename}): expected text as directory, found {directory!r:.60}')
    return Slide(uid, filename, width or None, height or None, directory or '')


def _names(path: Path, connection: sqlite3.Connection, table: str) -> dict[int, str]:
    names = {}
    for uid, name in _rows(path, connection, table):
        if not isinstance(name, str):
            raise AnnotationError(f'{path}: {table}: the name of {uid} is not text: {name!r:.60}')
        names[uid] = name
    return names


def _annotations(path: Path, connection: sqlite3.Connection, has_deleted: bool) -> list[Annotation]:
    points: dict[int, list[tuple[float, float]]] = {}
    for x, y, uid, _ in _rows(path, connection, 'Annotations_coordinates', order='annoId, orderIdx, uid'):
        where = f'{path}: annotation {uid}'
        points.setdefault(uid, []).append((check_coordinate(x, where), check_coordinate(y, where)))
    annotations = []
    for row in _rows(path, connection, 'Annotations', extra=', "deleted"' if has_deleted else ', 0'):
        uid, slide, kind, agreed, deleted = row
        for name, value in (('slide', slide), ('type', kind), ('agreedClass', agreed), ('deleted', deleted)):
            if value is not None and not isinstance(value, int):
                raise AnnotationError(
                    f'{path}: annotation {uid}: expected a whole number as {name}, found {value!r:.60}'
                )
        annotations.append(Annotation(uid, slide, kind, agreed or 0, bool(deleted), points.get(uid, [])))
    return annotations


def _votes(path: Path, connection: sqlite3.Connection) -> tuple[dict[int, dict[int, int]], int]:
    votes: dict[int, dict[int, int]] = {}
    changed = 0
    for uid, person, class_uid, annotation in _rows(path, connection, 'Annotations_label'):
        if not all(value is None or isinstance(value, int) for value in (person, class_uid, annotation)):
            raise AnnotationError(f'{path}: Annotations_label {uid}: expected whole numbers')
        # Class 0 is a person who has not decided.
        if class_uid and person is not None:
            before = votes.setdefault(annotation, {})
            changed += before.get(person, class_uid) != class_uid
            before[person] = class_uid
    return votes, changed
