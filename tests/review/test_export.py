"""Decisions as tables."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from review_samples import decide, item_of, make_store, offset_to, write_review_files

from mitouts.errors import ReviewError
from mitouts.review.export import CURRENT_COLUMNS, LOG_COLUMNS, write_decisions, write_log


@pytest.fixture
def store(tmp_path: Path):
    with make_store(write_review_files(tmp_path)) as made:
        yield made


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_the_current_decisions(store, tmp_path):
    item = item_of(store, 4, 4)
    decide(store, item, 'unsure')
    made = decide(
        store,
        item,
        'mitotic',
        seconds=2.25,
        moved_px=offset_to(item, 21.125, 19),
        added_px=[offset_to(item, 0.5, 30), offset_to(item, 40, 41.00001)],
    )
    decide(store, item, 'look_alike', rater='ben', blinded=False)
    out = tmp_path / 'further' / 'now.csv'
    assert write_decisions(store, out) == 2
    first, second = rows_of(out)
    assert tuple(first) == CURRENT_COLUMNS
    assert first == {
        'item': str(item.item_id),
        'kind': 'point',
        'image_id': '4',
        'file_name': '4.png',
        'case_id': 'B',
        'scanner': 'Aperio CS2',
        'x_px': '20.5',
        'y_px': '20.5',
        'annotation_id': '4',
        'decision': str(made.decision_id),
        'at': made.at,
        'rater': 'anna',
        'role': 'rater',
        'label': 'mitotic',
        'old_label': 'mitotic',
        'moved_x_px': '21.125',
        'moved_y_px': '19',
        'added_xy_px': '0.5 30; 40 41',
        'seconds': '2.25',
        'blinded': '1',
        'version': made.version,
        'teacher_sha256': 'ab' * 32,
        'rule': 'majority',
        'consensus': '',
        'why': 'tie',
    }
    empty = ('moved_x_px', 'moved_y_px', 'added_xy_px', 'seconds')
    assert [second[key] for key in empty] == [''] * 4
    assert (second['rater'], second['blinded'], second['label']) == ('ben', '0', 'look_alike')
    assert write_decisions(store, out, rule='last') == 2
    assert {row['consensus'] for row in rows_of(out)} == {'look_alike'}


def test_the_whole_log(store, tmp_path):
    item = item_of(store, 2, 2)
    decide(store, item, 'mitotic')
    last = decide(store, item, 'look_alike')
    undone = store.undo(request='back', rater='anna')
    out = tmp_path / 'log.csv'
    assert write_log(store, out) == 3
    rows = rows_of(out)
    assert tuple(rows[0]) == LOG_COLUMNS
    assert [(row['action'], row['label'], row['previous'], row['undoes']) for row in rows] == [
        ('decide', 'mitotic', '', ''),
        ('decide', 'look_alike', 'mitotic', ''),
        ('undo', '', 'look_alike', str(last.decision_id)),
    ]
    assert (rows[2]['decision'], rows[2]['request']) == (str(undone.entry_id), 'back')


@pytest.mark.parametrize(
    ('name', 'cell'),
    [
        ('=1+1', "'=1+1"),
        ('@SUM(A1)', "'@SUM(A1)"),
        ('-cmd|x', "'-cmd|x"),
        ('+49 kg', "'+49 kg"),
        ('an, "na"; #1', 'an, "na"; #1'),
        ('Müller', 'Müller'),
    ],
)
def test_no_text_is_a_formula(store, tmp_path, name, cell):
    decide(store, item_of(store, 2, 2), 'mitotic', rater=name)
    write_decisions(store, tmp_path / 'now.csv')
    assert [row['rater'] for row in rows_of(tmp_path / 'now.csv')] == [cell]


def test_negative_numbers_stay_numbers(store, tmp_path):
    item = item_of(store, 2, 2)
    decide(store, item, 'mitotic', moved_px=offset_to(item, -3.5, -0.25))
    write_log(store, tmp_path / 'log.csv')
    (row,) = rows_of(tmp_path / 'log.csv')
    assert (row['moved_x_px'], row['moved_y_px']) == ('-3.5', '-0.25')


def test_other_files_are_not_touched(store, tmp_path):
    for path in (tmp_path / 'train.json', tmp_path / 'review.sqlite'):
        before = path.read_bytes()
        with pytest.raises(ReviewError, match='is no table of this kind and is not touched'):
            write_decisions(store, path)
        assert path.read_bytes() == before
    write_log(store, tmp_path / 'log.csv')
    with pytest.raises(ReviewError, match='is no table of this kind'):
        write_decisions(store, tmp_path / 'log.csv')
    assert write_log(store, tmp_path / 'log.csv') == 0
