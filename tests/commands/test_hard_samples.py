"""mitouts hard-samples: which samples it shows, in which order, and with which words."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from image_records import predicted
from suite_runs import Group, write_suite

from mitouts.formats.predictions import read_predictions, write_predictions
from mitouts.visualization.hard_sample_sheet import SHEET_PX

TOOL = 'hard-samples'


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = (Group('noise30', folds=(0,), seeds=(0,), noise=0.3),)
    return write_suite(tmp_path_factory.mktemp('suite'), groups, pictures=True) / 'noise30' / 'fold0_seed0'


def _data(run: Path) -> Path:
    return run.parents[3] / 'data' / 'noise30_fold0'


def test_rejected_samples_are_drawn(call, run: Path, tmp_path: Path):
    out = tmp_path / 'sheet.png'
    samples = run / 'distill' / 'hard_samples.json'
    code, text, _ = call(TOOL, samples, '--out', out, '--num', 3, '--ann-file', _data(run) / 'train.json')
    dropped = json.loads(samples.read_text())['info']['summary']['dropped']
    assert code == 0
    assert text.splitlines() == [f'3 of {dropped} samples, of 24 that were judged', str(out)]
    assert cv2.imread(str(out)).shape[1] == SHEET_PX


def test_the_images_are_found_without_the_annotation_file(call, run: Path, tmp_path: Path):
    code, _, _ = call(TOOL, run / 'distill' / 'hard_samples.json', '--out', tmp_path / 'a.png', '--num', 1)
    assert code == 0
    code, _, errors = call(
        TOOL, run / 'distill' / 'hard_samples.json', '--out', tmp_path / 'b.png', '--image-root', tmp_path
    )
    assert code == 2
    assert errors.startswith(f'error: image {tmp_path}')


def test_a_reason_that_nobody_has_lists_those_there_are(call, run: Path, tmp_path: Path):
    samples = run / 'distill' / 'hard_samples.json'
    code, _, errors = call(TOOL, samples, '--reason', 'none', '--out', tmp_path / 'a.png')
    assert code == 2
    assert (
        'no sample with verdict drop and reason none; the reasons under this verdict are: no_true_prediction' in errors
    )


@pytest.mark.parametrize(
    ('text', 'message'),
    [('[]', "a list 'images'"), ('{"images": [{"image_id": 1}]}', 'images[0] lacks file_name'), ('{', 'not JSON')],
)
def test_other_files_are_refused(call, tmp_path: Path, text: str, message: str):
    path = tmp_path / 'hard_samples.json'
    path.write_text(text)
    code, _, errors = call(TOOL, path, '--out', tmp_path / 'a.png')
    assert code == 2
    assert message in errors
    assert errors.count('\n') == 1


def test_compared_models_are_drawn_where_they_differ_most(call, run: Path, tmp_path: Path):
    path, other, out = run / 'student' / 'predictions.json', tmp_path / 'other.json', tmp_path / 'a.png'
    predictions = read_predictions(path)
    entries = [
        predicted(5, image.score, [[1, 1, 0.99]] * 4) if key == 5 else image
        for key, image in predictions.images.items()
    ]
    write_predictions(other, entries, predictions.info)
    arguments = ('--ann-file', _data(run) / 'test.json', '--out', out, '--labels', 'A', 'B')
    code, text, _ = call(TOOL, '--compare', path, other, *arguments, '--num', 2)
    assert code == 0
    assert text.splitlines()[0] == '2 of 24 images; A and B differ on 1'
    assert cv2.imread(str(out)).shape[1] == SHEET_PX


def test_what_a_comparison_lacks_is_said(call, run: Path, tmp_path: Path):
    path, out = run / 'student' / 'predictions.json', tmp_path / 'a.png'
    bare, foreign = tmp_path / 'bare.json', tmp_path / 'foreign.json'
    write_predictions(bare, [predicted(1, 0.5, [])], {})
    write_predictions(foreign, [predicted(999, 0.5, [])], {'map_threshold': 0.5})
    annotations = ('--ann-file', _data(run) / 'test.json', '--out', out)
    for arguments, message in (
        ((path, bare, *annotations), 'info has no map_threshold: give --thresholds'),
        ((path, foreign, *annotations), 'no image of'),
        ((path, path, '--out', out), '--compare needs --ann-file'),
        ((path, path, '--ann-file', _data(run) / 'test.json', '--out', tmp_path / 'a.svg'), 'must end in .png'),
    ):
        code, _, errors = call(TOOL, '--compare', *arguments)
        assert (code, message in errors) == (2, True), errors
    code, _, errors = call(TOOL, '--compare', path, bare, *annotations, '--thresholds', 0.5, 0.5)
    assert code == 0
    assert 'warning: 23 of 24 images lack a prediction' in errors
