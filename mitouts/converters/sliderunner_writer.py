"""Write an annotation document as a SlideRunner database, to look at it and correct it there.

SlideRunner shows the points, classes and votes. Everything else lies in a table of our own, ``mitouts``, which it
ignores: :func:`mitouts.converters.sliderunner.read_sliderunner` puts both together again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

from mitouts.converters.sliderunner_tables import CARRIED_TABLE
from mitouts.errors import AnnotationError
from mitouts.formats.carried import base_of, check_exportable, is_id, to_json
from mitouts.formats.class_names import known_category
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE
from mitouts.formats.source import check_coordinate

DOCUMENT = 'document'
CLASSES_KEY = 'classes'
SPOT = 1
# Without a version, SlideRunner takes the database for an old one, and adds its triggers when it first opens it.
_SCHEMA = f"""
CREATE TABLE Log (uid INTEGER PRIMARY KEY AUTOINCREMENT, dateTime FLOAT, labelId INTEGER);
CREATE TABLE Slides (uid INTEGER PRIMARY KEY AUTOINCREMENT, filename TEXT, width INTEGER, height INTEGER,
    directory TEXT, uuid TEXT, exactImageID TEXT, EXACTUSER INTEGER DEFAULT 0);
CREATE TABLE Annotations (uid INTEGER PRIMARY KEY AUTOINCREMENT, slide INTEGER, guid TEXT, lastModified REAL DEFAULT 0,
    deleted INTEGER DEFAULT 0, type INTEGER, agreedClass INTEGER, description TEXT);
CREATE TABLE Annotations_coordinates (uid INTEGER PRIMARY KEY AUTOINCREMENT, coordinateX INTEGER, coordinateY INTEGER,
    coordinateZ INTEGER DEFAULT 0, slide INTEGER, annoId INTEGER, orderIdx INTEGER);
CREATE TABLE Annotations_label (uid INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER DEFAULT 0, class INTEGER,
    exact_id INTEGER, annoId INTEGER);
CREATE TABLE Classes (uid INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, color TEXT);
CREATE TABLE Persons (uid INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, isExactUser INTEGER DEFAULT 0);
CREATE TABLE {CARRIED_TABLE} (kind TEXT, uid INTEGER, entry TEXT, PRIMARY KEY (kind, uid));
"""
_COLORS = {MITOTIC_FIGURE: '#dc2626', HARD_NEGATIVE: '#2563eb'}
_OTHER_COLORS = ('#d97706', '#7c3aed', '#059669', '#db2777', '#475569')


def write_database(path: str | os.PathLike[str], document: Mapping[str, Any]) -> None:
    """Write a document as a SlideRunner database, beside its final place, and rename it.

    Points become spots with all their decimals, categories become classes, ``votes`` of the form ``{person: class}``
    become labels.

    Args:
        path: The database to write; an older one is replaced.
        document: As :func:`mitouts.formats.coco.read_coco` returns it.

    Raises:
        AnnotationError: Two images share a name, or there is something that a database cannot hold.
        OSError: The file cannot be written; an older one stays as it was.
    """
    path = Path(path)
    check_exportable(document['images'], 'SlideRunner')
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    aside.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(aside)) as connection, connection:
            connection.execute('PRAGMA journal_mode = MEMORY')
            connection.executescript(_SCHEMA)
            _fill(connection, document)
        aside.replace(path)
    except (sqlite3.Error, OverflowError) as error:
        raise AnnotationError(f'{path}: the database cannot be written: {error}') from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()


def shown_votes(votes: Any, categories: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The votes of an annotation as SlideRunner shows them.

    A class that means a category under another name is shown as that category, so that a reviewer's vote for the same
    is no disagreement.

    Args:
        votes: ``{person: class}``; any other form is not shown.
        categories: Those of the document.
    """
    if not isinstance(votes, Mapping):
        return {}
    pairs = list(votes.items())
    if not all(isinstance(text, str) and text.isprintable() for pair in pairs for text in pair):
        return {}
    names = {category['id']: str(category['name']) for category in categories}
    return {person: _shown_class(name, names) for person, name in pairs}


def _shown_class(name: str, names: Mapping[int, str]) -> str:
    category = known_category(name)
    return name if category is None or name in names.values() else names.get(category, name)


def _fill(connection: sqlite3.Connection, document: Mapping[str, Any]) -> None:
    images, annotations, categories = document['images'], document['annotations'], document['categories']
    slides = _uids([image['id'] for image in images])
    uids = _uids([annotation['id'] for annotation in annotations])
    votes = [shown_votes(annotation.get('votes'), categories) for annotation in annotations]
    class_of = _write_classes(connection, categories, votes)
    persons = {name: uid for uid, name in enumerate(dict.fromkeys(name for each in votes for name in each), start=1)}
    connection.executemany('INSERT INTO Persons (uid, name) VALUES (?, ?)', [(u, name) for name, u in persons.items()])
    connection.executemany(
        'INSERT INTO Slides (uid, filename, width, height, directory) VALUES (?, ?, ?, ?, ?)',
        [_slide_row(slides[image['id']], image) for image in images],
    )
    category_uids = {category['id']: class_of[str(category['name'])] for category in categories}
    spots = [_spot(annotation, uids, slides, category_uids) for annotation in annotations]
    connection.executemany(
        f'INSERT INTO Annotations (uid, slide, guid, type, agreedClass) VALUES (?, ?, ?, {SPOT}, ?)',
        [(uid, slide, guid, agreed) for uid, slide, guid, agreed, _, _ in spots],
    )
    connection.executemany(
        'INSERT INTO Annotations_coordinates (coordinateX, coordinateY, slide, annoId, orderIdx) '
        'VALUES (?, ?, ?, ?, 1)',
        [(x, y, slide, uid) for uid, slide, _, _, x, y in spots],
    )
    connection.executemany(
        'INSERT INTO Annotations_label (person, class, annoId) VALUES (?, ?, ?)',
        [
            (persons[person], class_of[name], uids[annotation['id']])
            for annotation, each in zip(annotations, votes)
            for person, name in each.items()
        ],
    )
    carried = {str(uid): category_id for category_id, uid in category_uids.items()}
    rows = [(DOCUMENT, 0, {DOCUMENT: base_of(document), CLASSES_KEY: carried})]
    rows += [('image', slides[image['id']], image) for image in images]
    rows += [('annotation', uids[annotation['id']], annotation) for annotation in annotations]
    connection.executemany(
        f'INSERT INTO {CARRIED_TABLE} VALUES (?, ?, ?)',
        [(kind, uid, to_json(entry, f'{kind} {uid}')) for kind, uid, entry in rows],
    )


def _uids(ids: Sequence[int]) -> dict[int, int]:
    """Keep ids where they can be row numbers, which start at 1."""
    keep = all(is_id(number) and number >= 1 for number in ids)
    return {number: number if keep else row for row, number in enumerate(ids, start=1)}


def _write_classes(
    connection: sqlite3.Connection, categories: Sequence[Mapping[str, Any]], votes: Sequence[Mapping[str, str]]
) -> dict[str, int]:
    """Write the categories, and after them what only votes name."""
    uids = _uids([category['id'] for category in categories])
    names = {uids[category['id']]: str(category['name']) for category in categories}
    colors = {uids[category['id']]: _COLORS.get(category['id']) for category in categories}
    if len(set(names.values())) < len(names):
        raise AnnotationError('two categories have the same name, which SlideRunner cannot tell apart')
    class_of = {name: uid for uid, name in names.items()}
    for name in dict.fromkeys(name for each in votes for name in each.values()):
        class_of.setdefault(name, max(class_of.values(), default=0) + 1)
    connection.executemany(
        'INSERT INTO Classes (uid, name, color) VALUES (?, ?, ?)',
        [
            (uid, name, colors.get(uid) or _OTHER_COLORS[uid % len(_OTHER_COLORS)])
            for name, uid in sorted(class_of.items(), key=lambda item: item[1])
        ],
    )
    return class_of


def _slide_row(uid: int, image: Mapping[str, Any]) -> tuple[int, str, int, int, str]:
    name = PurePosixPath(image['file_name'].replace('\\', '/'))
    folder = '' if str(name.parent) == '.' else str(name.parent)
    return uid, name.name, image['width'], image['height'], folder


def _spot(
    annotation: Mapping[str, Any],
    uids: Mapping[int, int],
    slides: Mapping[int, int],
    classes: Mapping[int, int],
) -> tuple[int, int, str, int, float, float]:
    where = f'annotation {annotation["id"]}'
    x, y = (check_coordinate(value, where) for value in annotation['point'])
    uid = uids[annotation['id']]
    guid = str(uuid.uuid5(uuid.NAMESPACE_OID, f'mitouts {where} of image {annotation["image_id"]}'))
    return uid, slides[annotation['image_id']], guid, classes[annotation['category_id']], x, y
