import json
import random
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from mitouts.errors import ReviewError
from mitouts.review.items import Item
from mitouts.review.labels import NothingToUndoError, RequestConflictError, StoreUnavailableError, UnknownItemError
from mitouts.review.store import ReviewStore

BASE = Item(1, 'point', 5, 'a.png', 'case', 'S', 0.25, 240, 240, 50.5, 60.5, annotation_id=3, old_label='mitotic')
ITEMS = [replace(BASE, item_id=n, annotated_xy_px=(50.5, 60.5)) for n in range(1, 8)]


@pytest.fixture
def store(tmp_path):
    with ReviewStore.create(tmp_path / 'review.sqlite', ITEMS, {'teacher_sha256': 'abc', 'radius_px': 30.0}) as made:
        yield made


def decide(store, request, item_id=1, label='mitotic', rater='anna', **further):
    return store.decide(request=request, rater=rater, item_id=item_id, label=label, blinded=True, **further)


def test_a_decision_is_kept_with_all_that_belongs_to_it(store, tmp_path):
    made = decide(store, 'r1', moved_px=(-3, 4.5), added_px=[(10, 0), (0, -10)], seconds=1.5, role='tiebreaker')
    assert (made.label, made.moved_px, made.added_px) == ('mitotic', (-3, 4.5), ((10, 0), (0, -10)))
    assert (made.old_label, made.previous, made.teacher_sha256, made.repeated) == ('mitotic', None, 'abc', False)
    store.close()
    with ReviewStore.open(tmp_path / 'review.sqlite') as again:
        assert again.states('anna') == {1: made}
        assert again.items == tuple(ITEMS)
        assert again.provenance == {'teacher_sha256': 'abc', 'radius_px': 30.0, 'num_items': 7}
        assert (again.database_id, again.raters()) == (store.database_id, ['anna'])


def test_the_same_request_is_answered_once(store):
    first = decide(store, 'r1')
    again = decide(store, 'r1')
    assert again == replace(first, repeated=True)
    assert len(list(store.log())) == 1
    for other in (dict(label='unsure'), dict(item_id=2), dict(rater='ben'), dict(added_px=[(1, 1)])):
        with pytest.raises(RequestConflictError):
            decide(store, 'r1', **other)
    with pytest.raises(RequestConflictError):
        store.undo(request='r1', rater='anna')
    undone = store.undo(request='u1', rater='anna')
    assert store.undo(request='u1', rater='anna') == replace(undone, repeated=True)
    assert [entry.action for entry in store.log()] == ['decide', 'undo']


def test_undo_takes_back_one_decision_after_another(store):
    decide(store, 'a', 1, 'mitotic')
    decide(store, 'b', 2, 'look_alike')
    decide(store, 'c', 1, 'unsure')
    assert store.states('anna')[1].previous == 'mitotic'
    first = store.undo(request='u1', rater='anna')
    assert (first.item_id, first.now.label) == (1, 'mitotic')
    second = store.undo(request='u2', rater='anna')
    assert (second.item_id, second.now) == (2, None)
    decide(store, 'd', 3, 'unsure')
    assert store.undo(request='u3', rater='anna').item_id == 3
    assert store.undo(request='u4', rater='anna').item_id == 1
    with pytest.raises(NothingToUndoError):
        store.undo(request='u5', rater='anna')
    assert store.states('anna') == {}
    assert [entry.undoes for entry in store.log() if entry.action == 'undo'] == [3, 2, 6, 1]


def test_an_entry_is_the_decision_that_it_recorded(store):
    made = decide(store, 'a', moved_px=(1, 2), added_px=[(3, 4)], seconds=2.0)
    store.undo(request='u', rater='anna')
    first, second = store.log()
    assert first.decision() == made
    assert list(store.log(after=1)) == [second]
    with pytest.raises(ReviewError, match='takes 1 back'):
        second.decision()


def test_raters_do_not_undo_each_other(store):
    decide(store, 'a', rater='anna')
    decide(store, 'b', rater='ben', label='look_alike')
    assert store.undo(request='u', rater='anna').undoes == 1
    assert [each.rater for each in store.decisions()] == ['ben']


@pytest.mark.parametrize(
    ('labels', 'tied'),
    [
        (['mitotic'], False),
        (['mitotic', 'mitotic'], False),
        (['mitotic', 'look_alike'], True),
        (['unsure', 'unsure'], True),
        (['mitotic', 'unsure'], False),
        (['mitotic', 'look_alike', 'unsure'], True),
        (['mitotic', 'look_alike', 'look_alike'], False),
    ],
)
def test_ties(store, labels, tied):
    for number, label in enumerate(labels):
        decide(store, f'r{number}', label=label, rater=f'rater {number}')
    assert store.ties() == ([1] if tied else [])
    decide(store, 't', label='mitotic', rater='third', role='tiebreaker')
    assert store.ties() == ([1] if tied else [])


def test_the_state_equals_a_replay_of_the_log(store):
    rng = random.Random(0)
    stacks = {'anna': [], 'ben': []}
    for step in range(300):
        rater = rng.choice(list(stacks))
        if rng.random() < 0.3 and stacks[rater]:
            store.undo(request=str(step), rater=rater)
            stacks[rater].pop()
        else:
            item_id, label = rng.randint(1, 7), rng.choice(['mitotic', 'look_alike', 'unsure'])
            decide(store, str(step), item_id, label, rater)
            stacks[rater].append((item_id, label))
    for rater, stack in stacks.items():
        assert {item: each.label for item, each in store.states(rater).items()} == dict(stack)
    assert len(list(store.log())) == 300


@pytest.mark.parametrize('statement', ['UPDATE log SET label = 1', 'DELETE FROM log', 'DELETE FROM items'])
def test_nothing_in_the_file_can_be_changed(store, tmp_path, statement):
    decide(store, 'a')
    with sqlite3.connect(tmp_path / 'review.sqlite') as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.close()
    assert len(store.states('anna')) == 1


def test_the_log_is_written_ahead_and_synced(store):
    assert store._connection.execute('PRAGMA journal_mode').fetchone()[0] == 'wal'
    # 2 is FULL: in WAL mode, each commit waits for the disk.
    assert store._connection.execute('PRAGMA synchronous').fetchone()[0] == 2


DECIDE_ALL = """
import sys
from mitouts.review.store import ReviewStore
with ReviewStore.open(sys.argv[1]) as store:
    for item in store.items * 5:
        request = f'{sys.argv[2]}-{item.item_id}'
        store.decide(request=request, rater=sys.argv[2], item_id=item.item_id, label='mitotic', blinded=True)
"""


def test_several_processes_write_into_one_file(store, tmp_path):
    command = [sys.executable, '-c', DECIDE_ALL, str(tmp_path / 'review.sqlite')]
    workers = [subprocess.Popen([*command, rater]) for rater in ('anna', 'ben')]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert [len(store.states(rater)) for rater in ('anna', 'ben')] == [7, 7]
    assert len(list(store.log())) == 14


def test_threads_share_a_store(store):
    threads = [
        threading.Thread(target=lambda n=n: [decide(store, f'{n}-{i}', rater=f'r{n}') for i in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(store.log())) == 80


def test_a_locked_file_is_said_to_be_locked_and_nothing_is_written(store, tmp_path):
    store._connection.execute('PRAGMA busy_timeout = 10')
    other = sqlite3.connect(tmp_path / 'review.sqlite', isolation_level=None)
    other.execute('BEGIN IMMEDIATE')
    with pytest.raises(StoreUnavailableError, match='try again'):
        decide(store, 'a')
    other.execute('ROLLBACK')
    other.close()
    assert list(store.log()) == []
    assert not decide(store, 'a').repeated


def test_values_that_make_no_sense_are_refused(store):
    with pytest.raises(UnknownItemError, match='from 1 to 7'):
        decide(store, 'a', 8)
    for request, further, match in [
        ('', {}, '1 to 64 characters'),
        ('x' * 65, {}, '1 to 64 characters'),
        ('a', dict(rater=''), 'a rater is called'),
        ('a', dict(rater='a\nb'), 'a rater is called'),
        ('a', dict(label='maybe'), 'a label is one of'),
        ('a', dict(role='judge'), 'a role is one of'),
        ('a', dict(moved_px=(float('nan'), 0)), 'finite'),
        ('a', dict(added_px=[(1, 2, 3)]), 'two finite numbers'),
        ('a', dict(seconds=-1), 'from 0'),
    ]:
        with pytest.raises(ReviewError, match=match):
            decide(store, request, **further)
    assert list(store.log()) == []


def test_files_that_are_no_review_are_refused(tmp_path):
    with pytest.raises(ReviewError, match='no such file'):
        ReviewStore.open(tmp_path / 'none.sqlite')
    (tmp_path / 'text').write_text('hello, this is a text and no database at all' * 20)
    with pytest.raises(ReviewError, match='cannot be read'):
        ReviewStore.open(tmp_path / 'text')
    with sqlite3.connect(tmp_path / 'other.sqlite') as connection:
        connection.execute('CREATE TABLE t (a)')
    connection.close()
    with pytest.raises(ReviewError, match='not one of a review'):
        ReviewStore.open(tmp_path / 'other.sqlite')
    ReviewStore.create(tmp_path / 'later.sqlite', ITEMS, {}).close()
    with sqlite3.connect(tmp_path / 'later.sqlite') as connection:
        connection.execute('PRAGMA user_version = 99')
    connection.close()
    with pytest.raises(ReviewError, match='layout 99'):
        ReviewStore.open(tmp_path / 'later.sqlite')


def test_a_review_is_never_made_over_a_file(store, tmp_path):
    with pytest.raises(ReviewError, match='exists already'):
        ReviewStore.create(tmp_path / 'review.sqlite', ITEMS, {})
    with pytest.raises(ReviewError, match='at least one item'):
        ReviewStore.create(tmp_path / 'empty.sqlite', [], {})
    with pytest.raises(ReviewError, match='cannot be written'):
        ReviewStore.create(tmp_path / 'no_folder' / 'review.sqlite', ITEMS, {})
    assert {path.name for path in tmp_path.iterdir()} <= {'review.sqlite', 'review.sqlite-wal', 'review.sqlite-shm'}


def test_the_log_says_which_code_decided(store):
    decide(store, 'a')
    (entry,) = store.log()
    assert entry.version.startswith('0.')
    assert json.dumps(entry.__dict__)
