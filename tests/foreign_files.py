"""Small data sets as their authors lay them out, and ways to break files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

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


def write_midog(folder: Path) -> Path:
    images = [
        {'id': n, 'file_name': f'{n:03d}.tiff', 'width': 300, 'height': 200, 'tumor_type': 'human breast cancer'}
        for n in (1, 6, 7, 151)
    ]
    annotations = [
        {'id': 5, 'image_id': 6, 'category_id': 1, 'bbox': [0, 0, 50, 50], 'labels': [1, 1]},
        {'id': 8, 'image_id': 7, 'category_id': 2, 'bbox': [280, 10, 330, 60], 'labels': [1, 2, 2]},
    ]
    categories = [{'id': 1, 'name': 'mitotic figure'}, {'id': 2, 'name': 'not mitotic figure'}]
    document = {
        'info': {'description': 'MIDOG++'},
        'images': images,
        'annotations': annotations,
        'categories': categories,
    }
    path = folder / 'MIDOG++.json'
    path.write_text(json.dumps(document))
    return path


def write_tupac16(folder: Path) -> Path:
    for name, text in {'01/01.csv': '1,2\n2000,3\n', '30/01.csv': '7,8\n', '31/01.csv': ''}.items():
        (folder / 'labels' / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / 'labels' / name).write_text(text)
    return folder / 'labels'


def write_mitos14(folder: Path) -> Path:
    for name, text in {
        'A03_00Aa_mitosis': '1,2,1.0\n',
        'H03_00Aa_not_mitosis': '4,5,0.2',
        'H05_00Aa_mitosis': '',
    }.items():
        (folder / 'labels').mkdir(exist_ok=True)
        (folder / 'labels' / f'{name}.csv').write_text(text)
    return folder / 'labels'


def write_amibr(folder: Path) -> Path:
    rows = (
        ',slide,dataset,uid,x,y,majority_atypical\n0,002.tiff,MIDOG21,6,44,21,False\n1,046.tiff,MIDOG21,7,18,15,True\n'
    )
    for name in ('normal/MIDOG21_6.png', 'atypical/MIDOG21_7.png'):
        (folder / 'AMi-Br' / 'patches' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / 'AMi-Br' / 'patches' / name), np.full((128, 128, 3), 99, np.uint8))
    (folder / 'AMi-Br' / 'AMI-BR.csv').write_text(rows)
    return folder / 'AMi-Br'


def write_ccmct(folder: Path) -> Path:
    """Two slides of CCMCT, the second of which tests."""
    return write_sliderunner(
        folder / 'MITOS_WSI_CCMCT_MEL.sqlite',
        [(1, '2f2591b840e83a4b4358.svs', None, None), (2, 'be10fa37ad6e88e1f406.svs', None, None)],
        [{'slide': 1, 'points': [(100, 200)], 'agreed': 2}, {'slide': 2, 'points': [(5, 6)], 'agreed': 7}],
        {2: 'Mitotic figure', 7: 'Look-alike'},
    )


def write_grand_challenge(folder: Path) -> Path:
    """A points file of one image, in millimetres."""
    points = [{'point': [0.01, 0.02, 0], 'name': name} for name in ('mitotic figure', 'non-mitotic figure')]
    path = folder / 'points' / '007.tiff.json'
    path.parent.mkdir()
    path.write_text(json.dumps({'type': 'Multiple points', 'points': points}))
    return path.parent


def write_qupath(folder: Path) -> Path:
    """What QuPath exports of one image."""
    features = [
        {
            'type': 'Feature',
            'geometry': {'type': 'Point', 'coordinates': [number + 1, 2]},
            'properties': {'classification': {'name': name}},
        }
        for number, name in enumerate(('Mitosis', 'Non-mitosis'))
    ]
    path = folder / 'exported' / '007.tiff.geojson'
    path.parent.mkdir()
    path.write_text(json.dumps({'type': 'FeatureCollection', 'features': features}))
    return path.parent


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
