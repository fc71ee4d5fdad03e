"""Small SlideRunner databases, and ways to break files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mitouts.errors import AnnotationError

# As in the public databases; CCMCT's, the oldest, have neither deleted nor colours.
SCHEMA = """
CREATE TABLE `Slides` (`uid` INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, `filename` TEXT, `width` INTEGER,
    `height` INTEGER, `directory` TEXT);
CREATE TABLE `Annotations` (`uid` INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, `slide` INTEGER, `type` INTEGER,
    `agreedClass` INTEGER{deleted});
CREATE TABLE `Annotations_coordinates` (`uid` INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, `coordinateX` INTEGER,
    `coordinateY` INTEGER, `slide` INTEGER, `annoId` INTEGER, `orderIdx` INTEGER);
CREATE TABLE `Annotations_label` (`uid` INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, `person` INTEGER, `class` INTEGER,
    `annoId` INTEGER);
CREATE TABLE `Classes` (`uid` INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, `name` TEXT);
CREATE TABLE `Persons` (`uid` INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, `name` TEXT);
"""


def write_sliderunner(
    path: Path,
    slides: Sequence[tuple[Any, ...]],
    annotations: Sequence[Mapping[str, Any]],
    classes: Mapping[int, Any],
    persons: Mapping[int, str] | None = None,
    has_deleted: bool = True,
) -> Path:
    """Write a database.

    Args:
        path: Where.
        slides: ``(uid, filename, width, height)``.
        annotations: ``slide``, ``points``, and where they are not 1: ``type``, ``agreed``; ``deleted``, and ``votes``
            as ``(person, class)``.
        classes: ``uid`` -> name.
        persons: ``uid`` -> name.
        has_deleted: Whether ``Annotations`` has the column of newer versions.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA.format(deleted=', `deleted` INTEGER DEFAULT 0' if has_deleted else ''))
        connection.executemany('INSERT INTO Slides (uid, filename, width, height) VALUES (?, ?, ?, ?)', slides)
        connection.executemany('INSERT INTO Classes VALUES (?, ?)', list(classes.items()))
        connection.executemany('INSERT INTO Persons VALUES (?, ?)', list((persons or {}).items()))
        for uid, entry in enumerate(annotations, start=1):
            row = [uid, entry['slide'], entry.get('type', 1), entry.get('agreed', 1)]
            row += [entry.get('deleted', 0)] if has_deleted else []
            connection.execute(f'INSERT INTO Annotations VALUES ({", ".join("?" * len(row))})', row)
            for order, (x, y) in enumerate(entry['points'], start=1):
                connection.execute(
                    'INSERT INTO Annotations_coordinates (coordinateX, coordinateY, slide, annoId, orderIdx) '
                    'VALUES (?, ?, ?, ?, ?)',
                    (x, y, entry['slide'], uid, order),
                )
            for person, class_uid in entry.get('votes', ()):
                connection.execute(
                    'INSERT INTO Annotations_label (person, class, annoId) VALUES (?, ?, ?)', (person, class_uid, uid)
                )
    return path


def error_of(call: Callable[[], object]) -> str:
    """Message of the AnnotationError that a call ends in, empty where it ends well; any other error goes through."""
    try:
        call()
    except AnnotationError as error:
        return str(error)
    return ''


def change(path: Path, *statements: str) -> None:
    """Edit a database as another program would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
