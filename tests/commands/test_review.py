"""mitouts review: its commands as a user calls them."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from review_samples import ReviewFiles, decide, item_of, make_store, write_review_files

from mitouts.converters.qupath import read_qupath
from mitouts.errors import ImageError
from mitouts.formats.coco import read_coco
from mitouts.review.store import ReviewStore
from mitouts.utils.files import file_sha256

TOOL = 'review'


@pytest.fixture
def files(tmp_path: Path) -> ReviewFiles:
    return write_review_files(tmp_path)


@pytest.fixture
def reviewed(files: ReviewFiles) -> ReviewFiles:
    """Two raters: they agree on a look-alike and tie on a figure."""
    with make_store(files) as store:
        for rater, label in (('anna', 'mitotic'), ('ben', 'look_alike')):
            decide(store, item_of(store, 2, 2), 'look_alike', rater=rater, seconds=1.5)
            decide(store, item_of(store, 3, 3), label, rater=rater, seconds=2.5)
    return files


class Served:
    """Stands in for the application, and keeps what it was asked to serve."""

    def __init__(self) -> None:
        self.calls: list[dict] = []
        self.missing_images = False

    def crop_source(self, image_root, items):
        if self.missing_images:
            raise ImageError(f'{image_root}: no such folder')
        return image_root, len(items)

    def serve(self, store, crops, raters, **further) -> None:
        database, items = store.path, len(store.items)
        self.calls.append({'database': database, 'items': items, 'crops': crops, 'raters': raters, **further})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    stand_in = Served()
    for name, member, value in (
        ('mitouts.review.crops', 'CropSource', stand_in.crop_source),
        ('mitouts.review.serving', 'serve', stand_in.serve),
    ):
        module = ModuleType(name)
        setattr(module, member, value)
        monkeypatch.setitem(sys.modules, name, module)
    return stand_in


def test_serve_makes_the_database_beside_the_samples_and_goes_on_with_it(call, files, served):
    arguments = ('serve', files.hard_samples, '--annotations', files.annotations)
    code, text, errors = call(TOOL, *arguments)
    assert (code, errors) == (0, '')
    assert text == f'8 items, blinded; decisions go to {files.database}\n'
    with ReviewStore.open(files.database) as store:
        decide(store, item_of(store, 2, 2), 'mitotic', rater='anna')
    code, _, _ = call(TOOL, *arguments, '--rater', 'anna', 'ben', '--rater', 'eve', '--tiebreaker', 'carl', '--open')
    assert code == 0
    first, second = served.calls
    assert first == {
        'database': files.database,
        'items': 8,
        'crops': (files.image_root, 8),
        'raters': {'rater': 'rater'},
        'blinded': True,
        'host': '127.0.0.1',
        'port': 8760,
    }
    assert second['raters'] == {'anna': 'rater', 'ben': 'rater', 'eve': 'rater', 'carl': 'tiebreaker'}
    assert second['blinded'] is False
    with ReviewStore.open(files.database) as store:
        assert len(store.decisions()) == 1


def test_what_is_reviewed_can_be_chosen(call, files, served, tmp_path):
    database, images = tmp_path / 'other.sqlite', tmp_path / 'images'
    arguments = ('serve', files.hard_samples, '--annotations', files.annotations, '--db', database)
    code, _, _ = call(TOOL, *arguments, '--controls', 1, '--seed', 5, '--image-root', images, '--port', 0)
    assert code == 0
    assert served.calls[0]['items'] == 9
    assert (served.calls[0]['crops'], served.calls[0]['port']) == ((images, 9), 0)
    with ReviewStore.open(database) as store:
        assert [store.provenance[key] for key in ('include', 'num_controls', 'seed')] == ['dropped', 1, 5]
    # Going on needs none of that, but nothing else may be asked for.
    assert call(TOOL, *arguments)[0] == 0
    code, _, errors = call(TOOL, *arguments, '--all')
    assert (code, errors) == (
        2,
        f'error: {database} was made with include dropped, and all was asked for now: leave that out, or give another '
        '--db for a new review\n',
    )


def test_a_database_of_other_files_is_refused(call, reviewed, served, tmp_path):
    samples = json.loads(reviewed.hard_samples.read_text())
    samples['images'][1]['reason'] = 'no_true_prediction'
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(samples))
    code, _, errors = call(TOOL, 'serve', other, '--annotations', reviewed.annotations, '--db', reviewed.database)
    assert code == 2
    assert f'error: {reviewed.database} is the review of another file than {other}: expected SHA-256' in errors
    annotations = tmp_path / 'annotations.json'
    annotations.write_text(reviewed.annotations.read_text() + ' ')
    for further in ((), ('--db', tmp_path / 'new.sqlite')):
        code, _, errors = call(TOOL, 'serve', reviewed.hard_samples, '--annotations', annotations, *further)
        assert (code, 'another file than' in errors) == (2, True)
    assert served.calls == []
    assert not (tmp_path / 'new.sqlite').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--rater', 'anna', 'anna'), 'two raters have the same name'),
        (('--rater', 'anna', '--tiebreaker', 'anna'), 'anna is a rater; the tiebreaker must be somebody else'),
        (('--tiebreaker', 'ben'), 'ben has decided as a rater in'),
        (('--rater', ' x'), 'a rater is called by 1 to 64 printable characters'),
    ],
)
def test_raters_that_make_no_sense(call, reviewed, served, arguments, message):
    code, _, errors = call(TOOL, 'serve', reviewed.hard_samples, '--annotations', reviewed.annotations, *arguments)
    assert (code, message in errors, errors.count('\n')) == (2, True, 1)
    assert served.calls == []


def test_missing_images_are_said(call, files, served):
    served.missing_images = True
    code, _, errors = call(TOOL, 'serve', files.hard_samples, '--annotations', files.annotations, '--image-root', 'x')
    assert (code, errors) == (2, 'error: x: no such folder\n')


def test_serving_without_the_extra_says_how_to_get_it(call, files, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(('fastapi', 'mitouts.review.serving'))]:
        monkeypatch.delitem(sys.modules, name)
    original = builtins.__import__

    def without_fastapi(name, *further):
        if name.partition('.')[0] in ('fastapi', 'uvicorn', 'starlette'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
        return original(name, *further)

    monkeypatch.setattr(builtins, '__import__', without_fastapi)
    code, _, errors = call(TOOL, 'serve', files.hard_samples, '--annotations', files.annotations)
    assert code == 2
    assert errors.startswith('error: serving needs ')
    assert errors.endswith("which is not installed: pip install 'mitouts[review]'\n")
    assert not files.database.exists()


def test_apply(call, reviewed, tmp_path):
    before = [file_sha256(path) for path in (reviewed.annotations, reviewed.hard_samples)]
    out = tmp_path / 'reviewed.json'
    arguments = ('apply', reviewed.database, '--annotations', reviewed.annotations, '--out', out)
    code, text, errors = call(TOOL, *arguments)
    assert (code, errors) == (0, '')
    assert text.startswith('decided: 1, undecided: 1, not_reviewed: 6, confirmed: 0, to_look_alike: 1,')
    assert text.endswith(f'written to {out}\n')
    assert [each['category_id'] for each in read_coco(out)['annotations']] == [1, 2, 1, 1, 1, 1]
    assert call(TOOL, *arguments, '--rule', 'last', '--undecided', 'drop')[0] == 0
    assert [image['id'] for image in read_coco(out)['images']] == [1, 2, 5]
    assert [file_sha256(path) for path in (reviewed.annotations, reviewed.hard_samples)] == before


def test_apply_without_what_it_needs(call, reviewed, tmp_path):
    out = tmp_path / 'reviewed.json'
    for database, ann_file, written, message in (
        (tmp_path / 'none.sqlite', reviewed.annotations, out, 'none.sqlite: no such file'),
        (reviewed.annotations, reviewed.annotations, out, 'cannot be read as the database of a review'),
        (reviewed.database, reviewed.hard_samples, out, 'is not the file that was reviewed'),
        (reviewed.database, tmp_path / 'none.json', out, 'none.json'),
        (reviewed.database, reviewed.annotations, reviewed.hard_samples, 'was not written by review'),
        (reviewed.database, reviewed.annotations, reviewed.database, 'is the database of the review'),
    ):
        code, _, errors = call(TOOL, 'apply', database, '--annotations', ann_file, '--out', written)
        assert (code, message in errors, errors.count('\n')) == (2, True, 1), errors
    assert not out.exists()


def test_report(call, reviewed, tmp_path, monkeypatch):
    monkeypatch.setenv('COLUMNS', '120')
    out, markdown = tmp_path / 'report.json', tmp_path / 'further' / 'report.md'
    arguments = ('report', reviewed.database, '--out', out, '--markdown', markdown, '--bootstrap', 50)
    code, text, errors = call(TOOL, *arguments)
    assert (code, errors) == (0, '')
    assert '8 items: 0 mitotic figures, 1 look-alike, 1 undecided, 6 not reviewed; 1 tied' in text
    assert '4 decisions (4 blinded, 0 in open mode), 0 taken back; median 2.0 s each.' in text
    assert 'anna and ben (Cohen)' in text
    report = json.loads(out.read_text())
    assert report['agreement']['pairs'][0]['two_labels']['items'] == 2
    assert '|  | anna | ben |' in markdown.read_text()
    assert '| mitotic | 1 | 0 |' in markdown.read_text()
    # Once more, over what it wrote itself.
    assert call(TOOL, *arguments, '--rule', 'last')[0] == 0
    assert json.loads(out.read_text())['info']['mitouts']['rule'] == 'last'


def test_report_does_not_write_over_other_files(call, reviewed):
    before = reviewed.annotations.read_bytes()
    for option in ('--out', '--markdown'):
        code, text, errors = call(TOOL, 'report', reviewed.database, option, reviewed.annotations)
        assert (code, text, 'is not touched' in errors) == (2, '', True)
    assert reviewed.annotations.read_bytes() == before


def test_export(call, reviewed, tmp_path):
    now, log, folder = tmp_path / 'now.csv', tmp_path / 'log.csv', tmp_path / 'qupath'
    arguments = ('export', reviewed.database, '--annotations', reviewed.annotations, '--geojson', folder)
    code, text, errors = call(TOOL, *arguments, '--csv', now, '--log-csv', log, '--image-root', reviewed.image_root)
    assert (code, errors) == (0, '')
    assert text.splitlines() == [
        f'4 decisions written to {now}',
        f'4 log entries written to {log}',
        f'7 files with 6 points written to {folder}',
    ]
    figures = {(figure.file_name, figure.x, figure.y): figure.category_id for figure in read_qupath(folder).figures}
    assert (figures['2.png', 40.25, 50.5], figures['3.png', 30.5, 30.5]) == (2, 1)
    code, _, errors = call(TOOL, *arguments)
    assert (code, 'exists and may hold corrections' in errors) == (2, True)
    assert call(TOOL, *arguments, '--overwrite', '--undecided', 'drop')[0] == 0


def test_export_says_what_it_lacks(call, reviewed, tmp_path):
    for arguments, message in (
        ((), 'nothing to export: give --csv FILE, --log-csv FILE or --geojson DIR'),
        (('--geojson', tmp_path / 'q'), '--geojson needs --annotations'),
        (('--geojson', tmp_path / 'q', '--annotations', reviewed.hard_samples), 'is not the file that was reviewed'),
        (('--csv', reviewed.annotations), 'is no table of this kind'),
    ):
        code, _, errors = call(TOOL, 'export', reviewed.database, *arguments)
        assert (code, message in errors) == (2, True), errors


def test_simulate(call, files):
    with make_store(files):
        pass
    arguments = ('simulate', files.database, '--annotations', files.annotations, '--rater', 'robot', '--accuracy', 1)
    assert call(TOOL, *arguments)[:2] == (0, 'items: 8, right: 8, wrong: 0, written: 8\n')
    assert call(TOOL, *arguments)[:2] == (0, 'items: 8, right: 8, wrong: 0, written: 0\n')
    code, _, errors = call(TOOL, 'simulate', files.database, '--annotations', files.hard_samples)
    assert (code, 'is not the file that was reviewed' in errors) == (2, True)
    assert call(TOOL, *arguments[:-1], '1.5')[0] == 2


def test_simulate_needs_known_noise(call, tmp_path):
    files = write_review_files(tmp_path / 'unknown', knows_noise=False)
    with make_store(files):
        pass
    code, _, errors = call(TOOL, 'simulate', files.database, '--annotations', files.annotations)
    assert (code, 'has is_noise' in errors) == (2, True)
