"""An annotation file goes to another program's format and comes back: nothing is lost."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from foreign_files import change, error_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters.midog import read_midog
from mitouts.converters.qupath import export_geojson, read_qupath
from mitouts.converters.sliderunner import read_sliderunner
from mitouts.converters.sliderunner_writer import write_database
from mitouts.errors import AnnotationError
from mitouts.formats.coco import (
    HARD_NEGATIVE,
    MITOTIC_FIGURE,
    make_annotation,
    make_document,
    make_image,
    read_coco,
    write_json,
)
from mitouts.formats.geojson import write_geojson
from mitouts.formats.source import to_document

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'annotations'
RoundTrip = Callable[[Path, dict[str, Any]], dict[str, Any]]


def _through_sliderunner(folder: Path, document: dict[str, Any]) -> dict[str, Any]:
    write_database(folder / 'a.sqlite', document)
    return to_document(read_sliderunner(folder / 'a.sqlite'), tool='test', arguments={})


def _through_geojson(folder: Path, document: dict[str, Any]) -> dict[str, Any]:
    for old in folder.rglob('*.geojson'):
        old.unlink()
    for name, content in export_geojson(document).items():
        write_geojson(folder / name, content)
    return to_document(read_qupath(folder), tool='test', arguments={})


PROGRAMS = pytest.mark.parametrize('through', [_through_sliderunner, _through_geojson])

# What begins with a dot is hidden, and hidden files are passed over.
WORD = st.text(st.characters(exclude_categories=['C', 'Z']), min_size=1, max_size=6).filter(
    lambda text: not set(text) & set('/\\:') and not text.startswith('.')
)
FILE_NAME = st.builds(
    lambda folders, stem, suffix: '/'.join([*folders, f'{stem}{suffix}']),
    st.lists(WORD, max_size=2),
    st.lists(WORD, min_size=1, max_size=2).map(' '.join),
    st.sampled_from(['.tif', '.png', '.svs', '.dzi', '']),
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
EXTRA = st.dictionaries(st.sampled_from(['x', 'y', 'scanner', 'split', 'name', 'where', 'annotation_id', 'é']), VALUE)
VOTES = st.dictionaries(
    st.text(max_size=5), st.sampled_from(['mitosis', 'Mitose', 'hard negative', '?']) | st.text(max_size=4), max_size=3
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(FILE_NAME, min_size=1, max_size=3, unique=True))
    image_ids = draw(st.lists(st.integers(-5, 10**12), min_size=len(names), max_size=len(names), unique=True))
    images = []
    annotations: list[dict[str, Any]] = []
    numbers = draw(st.lists(st.integers(-5, 2**40), min_size=12, max_size=12, unique=True))
    for image_id, name in zip(image_ids, names):
        width, height = draw(st.integers(1, 10**6)), draw(st.integers(1, 10**6))
        mpp = draw(st.none() | st.floats(0.01, 10))
        label = draw(st.sampled_from([{}, {'label': 0}, {'label': 1}]))
        images.append(
            make_image(image_id, name, width, height, case_id=draw(st.text(max_size=5)), mpp=mpp) | draw(EXTRA) | label
        )
        for _ in range(draw(st.integers(0, 4))):
            x = draw(st.floats(-0.5, width - 0.5) | st.integers(0, width - 1))
            y = draw(st.floats(-0.5, height - 0.5))
            figure = make_annotation(numbers[len(annotations)], image_id, draw(st.sampled_from([1, 2, 9])), x, y)
            more = draw(st.fixed_dictionaries({}, optional={'votes': VOTES | VALUE, 'score': VALUE}))
            box = draw(st.sampled_from([{}, {'bbox': [1.5, 2, 3, 4], 'area': 12, 'iscrowd': 1}]))
            annotations.append(figure | draw(EXTRA) | more | box)
    document = make_document(images, annotations, name='ä', tool='t', seed=3, stain_reference={'a': [0.1]})
    document['categories'].append({'id': 9, 'name': 'apoptosis', 'supercategory': 'cell'})
    return {**document, 'licenses': [{'id': 1}]}


def _by_id(entries: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {entry['id']: entry for entry in entries}


def _assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert after['images'] == before['images']
    assert _by_id(after['annotations']) == _by_id(before['annotations'])
    assert len(after['annotations']) == len(before['annotations'])
    assert after['categories'] == before['categories']
    # Numbers are equal to themselves as other types; what is written must be the same text.
    texts = [json.dumps([document['images'], document['categories']], sort_keys=True) for document in (before, after)]
    assert texts[0] == texts[1]
    assert {key for key in before if key not in after} == set()


@PROGRAMS
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(document=documents())
def test_any_document_comes_back(tmp_path: Path, through: RoundTrip, document: dict[str, Any]) -> None:
    # What a reader of the file gets, is what is exported.
    write_json(tmp_path / 'before', document)
    with warnings.catch_warnings():
        before = read_coco(tmp_path / 'before', keep_outside=True)
    message = ''
    after: dict[str, Any] = {}
    try:
        after = through(tmp_path, before)
    except AnnotationError as error:
        message = str(error)
    assert not message
    _assert_same(before, after)
    assert after['info']['mitouts']['seed'] == 3
    assert after['info']['mitouts']['stain_reference'] == {'a': [0.1]}
    assert after['info']['mitouts']['exported_from']['tool'] == 't'
    _assert_same(before, through(tmp_path, after))


@PROGRAMS
def test_midog_comes_back(tmp_path: Path, through: RoundTrip) -> None:
    if not (REAL / 'MIDOG.json').is_file():
        pytest.skip('MIDOG.json is not at hand in ../shared/data/annotations')
    document = to_document(read_midog(REAL / 'MIDOG.json'), tool='midog', arguments={})
    categories = [annotation['category_id'] for annotation in document['annotations']]
    assert (categories.count(MITOTIC_FIGURE), categories.count(HARD_NEGATIVE)) == (1721, 2714)
    _assert_same(document, through(tmp_path, document))


def test_sliderunner_counts_what_was_exported(tmp_path: Path) -> None:
    if not (REAL / 'MIDOG.sqlite').is_file():
        pytest.skip('MIDOG.sqlite is not at hand in ../shared/data/annotations')
    document = to_document(read_sliderunner(REAL / 'MIDOG.sqlite'), tool='sliderunner', arguments={})
    write_database(tmp_path / 'a.sqlite', document)
    query = 'SELECT name, COUNT(*) FROM Annotations JOIN Classes ON agreedClass = Classes.uid GROUP BY name'
    with closing(sqlite3.connect(tmp_path / 'a.sqlite')) as connection:
        assert dict(connection.execute(query)) == {'mitotic figure': 1721, 'hard negative': 2714}
        assert connection.execute('SELECT COUNT(*) FROM Slides').fetchone() == (150,)
        votes = connection.execute('SELECT COUNT(*) FROM Annotations_label').fetchone()[0]
    assert votes == sum(len(annotation['votes']) for annotation in document['annotations'])


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """A database that was exported, with three figures and an image without any."""
    images = [
        make_image(4, 'a/1.tif', 500, 400, case_id='A', mpp=0.25),
        make_image(6, 'a/2.tif', 500, 400, case_id='B', label=0),
    ]
    annotations = [
        make_annotation(1, 4, MITOTIC_FIGURE, 10.5, 20.25, votes={'Anna': 'Mitose', 'Ben': 'not mitotic figure'}),
        make_annotation(2, 4, HARD_NEGATIVE, 30, 40, note='dark'),
        make_annotation(7, 4, MITOTIC_FIGURE, 50, 60),
    ]
    path = tmp_path / 'review.sqlite'
    write_database(path, make_document(images, annotations, name='n', tool='t'))
    return path


def test_sliderunner_shows_votes_as_the_categories_they_mean(reviewed: Path) -> None:
    query = 'SELECT Persons.name, Classes.name FROM Annotations_label JOIN Persons ON person = Persons.uid '
    with closing(sqlite3.connect(reviewed)) as connection:
        votes = dict(connection.execute(query + 'JOIN Classes ON class = Classes.uid'))
        assert votes == {'Anna': 'mitotic figure', 'Ben': 'hard negative'}
        assert connection.execute('SELECT filename, directory FROM Slides').fetchall()[0] == ('1.tif', 'a')
        assert connection.execute('PRAGMA user_version').fetchone() == (0,)
    stored = {figure.annotation_id: figure.extra.get('votes') for figure in read_sliderunner(reviewed).figures}
    assert stored[1] == {'Anna': 'Mitose', 'Ben': 'not mitotic figure'}


def test_what_was_changed_in_sliderunner_counts(reviewed: Path) -> None:
    change(
        reviewed,
        'UPDATE Annotations_coordinates SET coordinateX = 12.5 WHERE annoId = 1',
        'UPDATE Annotations SET agreedClass = 1 WHERE uid = 2',
        'UPDATE Annotations SET deleted = 1 WHERE uid = 7',
        'INSERT INTO Annotations (slide, type, agreedClass) VALUES (6, 1, 2)',
        'INSERT INTO Annotations_coordinates (coordinateX, coordinateY, annoId, orderIdx) VALUES (5, 6, 8, 1)',
        "INSERT INTO Slides (uid, filename) VALUES (9, 'new.tif')",
        'INSERT INTO Annotations_label (person, class, annoId) VALUES (2, 1, 1)',
    )
    document = to_document(read_sliderunner(reviewed, keep_empty=True), tool='test', arguments={})
    found = {each['id']: each for each in document['annotations']}
    assert sorted(found) == [1, 2, 3]
    assert (found[1]['point'], found[1]['bbox']) == ([12.5, 20.25], [-12.5, -4.75, 50, 50])
    assert found[1]['votes'] == {'Anna': 'Mitose', 'Ben': 'mitotic figure'}
    assert (found[2]['category_id'], found[2]['note']) == (MITOTIC_FIGURE, 'dark')
    assert (found[3]['image_id'], found[3]['point']) == (6, [5, 6])
    assert [(image['id'], image['file_name']) for image in document['images']] == [
        (4, 'a/1.tif'),
        (6, 'a/2.tif'),
        (7, 'new.tif'),
    ]
    notes = '\n'.join(document['info']['mitouts']['notes'])
    assert 'left out 1 annotations that were deleted in SlideRunner' in notes
    assert 'since the export 2 figures were moved or given another class or vote, 1 are new, 1 gone' in notes
    assert 'since the export 1 slides are new, 0 gone' in notes


def test_a_figure_that_reviewers_disagree_on_is_left_out_and_said(reviewed: Path) -> None:
    change(reviewed, 'UPDATE Annotations SET agreedClass = 0 WHERE uid = 1')
    source = read_sliderunner(reviewed)
    assert len(source.figures) == 2
    assert 'left out 1 annotations of other classes: 0 not agreed on (1)' in source.notes


@pytest.mark.parametrize(
    ('statement', 'message'),
    [
        ("UPDATE mitouts SET entry = '{' WHERE kind = 'document'", 'document 0: the entry is damaged'),
        ("UPDATE mitouts SET entry = '[]' WHERE kind = 'document'", 'the exported document is damaged'),
        ("UPDATE mitouts SET entry = '5' WHERE kind = 'image'", 'slide 4: expected an entry of images'),
        ("UPDATE mitouts SET entry = '{}' WHERE kind = 'annotation'", 'annotation 1: expected an entry of annotations'),
        ("UPDATE mitouts SET entry = replace(entry, '0.25', '-1') WHERE kind = 'image'", 'mpp must be positive'),
        ("UPDATE mitouts SET entry = replace(entry, 'a/1', '../1')", 'leads out of the folder'),
        ('UPDATE mitouts SET entry = replace(entry, \'"id": 2\', \'"id": 1\') WHERE uid = 2', '1 annotation ids stand'),
        ('DROP TABLE mitouts; CREATE TABLE mitouts (a)', None),
    ],
)
def test_damage_to_what_was_carried_is_named(reviewed: Path, statement: str, message: str | None) -> None:
    change(reviewed, *statement.split('; '))
    with pytest.raises(AnnotationError, match=message or 'the database is damaged'):
        read_sliderunner(reviewed)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_what_was_carried(reviewed: Path, data: st.DataObject) -> None:
    with closing(sqlite3.connect(reviewed)) as connection, connection:
        rows = connection.execute('SELECT kind, uid, entry FROM mitouts').fetchall()
        kind, uid, text = data.draw(st.sampled_from(rows))
        entry = json.loads(text)
        node = entry['document'] if kind == 'document' and data.draw(st.booleans()) else entry
        if not isinstance(node, dict) or not node:
            return
        node[data.draw(st.sampled_from(sorted(node)))] = data.draw(VALUE)
        connection.execute('UPDATE mitouts SET entry = ? WHERE kind = ? AND uid = ?', (json.dumps(entry), kind, uid))
    try:
        message = error_of(lambda: to_document(read_sliderunner(reviewed), tool='test', arguments={}))
        assert not message or 'review.sqlite' in message or 'image' in message
    finally:
        with closing(sqlite3.connect(reviewed)) as connection, connection:
            connection.executemany(
                'UPDATE mitouts SET entry = ? WHERE kind = ? AND uid = ?',
                [(text, kind, uid) for kind, uid, text in rows],
            )


@PROGRAMS
@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['a.png', 'a.png'], "two images are called 'a.png'"),
        (['a.png', './a.png'], "two images are called 'a.png'"),
        (['../a.png'], 'leads out of the folder'),
    ],
)
def test_images_that_cannot_be_told_apart(tmp_path: Path, through: RoundTrip, names: list[str], message: str) -> None:
    images = [make_image(number, name, 9, 9, case_id='a') for number, name in enumerate(names, start=1)]
    with pytest.raises(AnnotationError, match=message):
        through(tmp_path, make_document(images, [], name='n', tool='t'))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_old_database(tmp_path: Path) -> None:
    images = [make_image(1, 'a.png', 9, 9, case_id='a')]
    path = tmp_path / 'a.sqlite'
    write_database(path, make_document(images, [], name='n', tool='t'))
    before = path.read_bytes()
    with pytest.raises(AnnotationError, match='annotation 1: expected a coordinate'):
        write_database(path, make_document(images, [make_annotation(1, 1, 1, float('nan'), 0)], name='n', tool='t'))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ['a.sqlite']


def test_the_same_document_makes_the_same_database(tmp_path: Path) -> None:
    document = make_document(
        [make_image(1, 'a.png', 9, 9, case_id='a')], [make_annotation(1, 1, 1, 2, 3)], name='n', tool='t'
    )
    for name in ('a', 'b'):
        write_database(tmp_path / name, document)
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
