"""Data with image labels and no points, from the first look to the review: nothing breaks, nothing is invented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from labels_only import keep_labels_only
from tiny_experiment import tiny_config

from mitouts.engine import runs
from mitouts.formats.coco import read_coco
from mitouts.imaging.image import read_rgb
from mitouts.review.apply import apply_review
from mitouts.review.opening import open_or_create
from mitouts.review.simulate import simulate
from mitouts.visualization.marks import FALSE_POSITIVE_MARK, MISSED_MARK, TRUE_POSITIVE_MARK

POINT_KEYS = ('tp', 'fp', 'fn', 'precision', 'recall', 'f1', 'f1_ci95', 'average_sensitivity', 'ap', 'ap50')
STAGES = """
short = ['train_cfg.max_epochs=2']
stages = [
    dict(name='teacher', kind='train', config='tiny.py', options=short),
    dict(name='distill', kind='distill', config='tiny.py', model_from='teacher', options=short),
    dict(name='student', kind='train', config='tiny.py', data_from='distill', options=short),
]
"""


class Trained(NamedTuple):
    """A folder with ``tiny.py`` and ``data``, and a model that was trained there."""

    folder: Path
    checkpoint: Path

    def file(self, split: str) -> Path:
        """The annotation file of a split."""
        return self.folder / 'data' / f'{split}.json'


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp('labels')
    config = tiny_config(folder, train_cfg__max_epochs=2)
    for split in ('train', 'val', 'test'):
        keep_labels_only(folder / 'data' / f'{split}.json')
    return Trained(folder, runs.train(config, folder / 'run').checkpoint)


def _point_values(value: Any) -> Iterator[Any]:
    """All numbers of points in the blocks of a results file."""
    for key, block in value.items():
        if key.partition('@')[0] in ('one_to_one', 'presence', 'froc', 'coco'):
            yield from (block[name] for name in POINT_KEYS if name in block)


def test_description_counts_labels(call, trained: Trained, tmp_path: Path) -> None:
    files = [trained.file(split) for split in ('train', 'val', 'test')]
    code, out, _ = call('describe', *files, '--out', tmp_path)
    assert code == 0
    counted = json.loads((tmp_path / 'description.json').read_text())
    assert counted['total']['labels'] == {'positive': 16, 'negative': 16, 'without_points': 16}
    assert counted['by_split']['train']['labels'] == {'positive': 8, 'negative': 8, 'without_points': 8}
    assert counted['total']['without_annotation'] == 16
    assert counted['findings'] == []
    line = next(line for line in out.splitlines() if line.strip().startswith('train'))
    assert line.split() == ['train', '16', '4', '8', '8', '8', '8', '0', '0']


def test_staged_run_says_nothing_of_places(call, trained: Trained, tmp_path: Path) -> None:
    staged = trained.folder / 'staged.py'
    staged.write_text(STAGES)
    code, out, _ = call('train', staged, '--work-dir', tmp_path / 'run')
    assert code == 0
    results = json.loads((tmp_path / 'run' / 'results.json').read_text())
    for row in results['stages']:
        values = list(_point_values(row))
        assert len(values) == 2 * 7 + 1
        assert set(map(str, values)) == {'None'}
        assert row['images_without_points'] == 4
        assert row['image']['f1'] is not None
    assert results['distillation']['not_compared'] == results['distillation']['positives'] == 8
    text = (tmp_path / 'run' / 'results.md').read_text()
    assert text.splitlines()[0] == '| Stage | Images | Image AUC | Image F1 | Minutes |'
    for said in (text, ' '.join(out.split())):
        assert 'Nothing is said about localization: no test image has an annotated point' in said
        assert 'Nothing could be compared: none of the 8 positive images has an annotated point' in said
        assert 'one-to-one' not in said
    assert (tmp_path / 'run' / 'summary.png').is_file()
    logs = ''.join(path.read_text() for path in (tmp_path / 'run').rglob('scalars.json'))
    assert 'image/f1' in logs
    assert 'one_to_one' not in logs
    assert 'froc' not in logs


def test_a_test_draws_what_is_predicted_and_judges_nothing(call, trained: Trained, tmp_path: Path) -> None:
    code, out, _ = call(
        'test', trained.folder / 'tiny.py', trained.checkpoint, '--work-dir', tmp_path, '--out', tmp_path / 'p.json',
        '--show-dir', tmp_path / 'show',
        '--cfg-options', '+test_evaluator.metrics.1.radius_um=[3.0,1.5]', 'test_evaluator.metrics.1.radius_px=None',
    )  # fmt: skip
    assert code == 0
    assert 'Nothing is said about localization' in out
    assert 'one-to-one' not in out
    (row,) = json.loads((tmp_path / 'results.json').read_text())['stages']
    assert len(list(_point_values(row))) == 2 * (2 * 7 + 1)
    assert all(value is None for value in _point_values(row))
    positive = [image['id'] for image in read_coco(trained.file('test'))['images'] if image['label']]
    judged = [mark.colour for mark in (TRUE_POSITIVE_MARK, MISSED_MARK, FALSE_POSITIVE_MARK)]
    for image_id in positive:
        (path,) = (tmp_path / 'show').glob(f'*_{image_id:05d}.png')
        pixels = read_rgb(path).reshape(-1, 3)
        assert not any((pixels == np.array(colour)).all(axis=1).any() for colour in judged)


@pytest.mark.parametrize(
    'criterion',
    [
        "dict(_delete_=True, type='CentroidDisagreement', radius_px=12, policy='perfect')",
        "dict(_delete_=True, type='SoftDisagreement', radius_px=12)",
    ],
)
def test_distillation_by_points_says_that_it_compared_nothing(
    criterion: str, call, trained: Trained, tmp_path: Path
) -> None:
    config = trained.folder / 'by_points.py'
    config.write_text(f"_base_ = './tiny.py'\ndistillation = dict(criterion={criterion})\n")
    code, out, _ = call('distill', config, trained.checkpoint, '--out-dir', tmp_path)
    assert code == 0
    assert 'kept: 16, dropped: 0' in out
    assert 'Nothing could be compared: none of the 8 positive images has an annotated point' in out
    samples = json.loads((tmp_path / 'hard_samples.json').read_text())['images']
    positive = [sample for sample in samples if sample['label'] == 1]
    assert {sample['reason'] for sample in positive} == {'no_annotation'}
    assert {sample['distance_px'] for sample in positive} == {None}


def test_distillation_by_labels_works(call, trained: Trained, tmp_path: Path) -> None:
    config = trained.folder / 'by_labels.py'
    criterion = "dict(_delete_=True, type='PseudoLabel')"
    config.write_text(f"_base_ = './tiny.py'\ndistillation = dict(criterion={criterion})\n")
    code, out, _ = call('distill', config, trained.checkpoint, '--out-dir', tmp_path)
    assert code == 0
    assert 'compared' not in out
    info = json.loads((tmp_path / 'hard_samples.json').read_text())
    scores = {sample['image_id']: sample['score'] for sample in info['images']}
    for image in read_coco(tmp_path / 'distilled.json')['images']:
        assert image['label'] == int(scores[image['id']] > info['info']['image_threshold'])


def test_prediction_and_calibration_work(call, trained: Trained, tmp_path: Path) -> None:
    code, _, _ = call('predict', trained.folder / 'data', trained.checkpoint, '--out', tmp_path / 'p.json')
    assert code == 0
    labelled = (trained.checkpoint, '--ann-file', trained.file('test'), '--num-bootstrap', '5')
    code, out, _ = call('calibrate', *labelled, '--out', tmp_path / 'new.pth')
    assert code == 0
    assert next(line for line in out.splitlines() if 'calibrated' in line).split()[-5:-2] == ['n/a'] * 3
    code, _, err = call('calibrate', *labelled, '--objective', 'localization', '--out', tmp_path / 'b.pth')
    assert code == 2
    assert "error: the objective 'localization' needs annotated points" in err


@pytest.mark.filterwarnings('default::mitouts.errors.AnnotationWarning')
def test_pictures_and_tables_of_the_analysis_leave_points_out(call, trained: Trained, tmp_path: Path) -> None:
    staged = trained.folder / 'one.py'
    staged.write_text("stages = [dict(name='model', kind='train', config='tiny.py')]\n")
    run = tmp_path / 'run'
    assert call('train', staged, '--work-dir', run, '--cfg-options', 'model.train_cfg.max_epochs=1')[0] == 0
    predictions = run / 'model' / 'predictions.json'
    for name, said in (
        ('froc', 'model: image AUC'),
        ('confusion', 'model: no run that was tested on annotated points'),
        ('ablation', 'localization F1 n/a, image F1'),
    ):
        code, out, _ = call(f'plot {name}', run, '--out', tmp_path / f'{name}.png')
        assert code == 0
        assert said in out
    code, out, _ = call('plot curves', run / 'model', '--metrics', 'image/f1', '--out', tmp_path / 'c.png')
    assert code == 0
    code, out, err = call(
        'evaluate', trained.file('test'), predictions, '--radius-px', '12', '--score-thr', '0.5',
        '--by', 'case_id',
    )  # fmt: skip
    assert code == 0
    assert '4 of 8 images are labelled positive without an annotated point' in ' '.join(err.split())
    found = json.loads(out)
    assert (found['images'], found['images_without_points']) == (4, 4)
    for block in (found, *found['groups'].values()):
        assert {block[key] for key in ('tp', 'fp', 'fn', 'precision', 'recall', 'f1')} == {None}
    code, out, _ = call(
        'hard-samples', '--compare', predictions, predictions, '--ann-file', trained.file('test'),
        '--out', tmp_path / 'compared.png',
    )  # fmt: skip
    assert code == 0


def test_review_judges_whole_images(call, trained: Trained, tmp_path: Path) -> None:
    assert call('distill', trained.folder / 'tiny.py', trained.checkpoint, '--out-dir', tmp_path)[0] == 0
    samples, source = tmp_path / 'hard_samples.json', trained.file('train')
    sheet = ('hard-samples', samples, '--out', tmp_path / 'sheet.png')
    code, _, err = call(*sheet)
    assert (code, 'no sample with verdict drop' in err) == (2, True)
    assert call(*sheet, '--verdict', 'all')[0] == 0
    with open_or_create(tmp_path / 'review.sqlite', samples, source, include='all') as store:
        whole = [item for item in store.items if item.kind == 'image']
        assert len(whole) == 8
        simulate(store, read_coco(source), accuracy=1.0)
        apply_review(store, source, tmp_path / 'reviewed.json')
    labels = {image['id']: image['label'] for image in read_coco(tmp_path / 'reviewed.json')['images']}
    noisy = {image['id'] for image in read_coco(source)['images'] if image.get('is_noise')}
    assert len(noisy) == 2
    assert {labels[image_id] for image_id in noisy} == {0}


def test_positive_images_without_points_are_not_judged_among_others(call, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    for split in ('train', 'test'):
        # Images 4 and 8 of eight; every second one is positive.
        keep_labels_only(tmp_path / 'data' / f'{split}.json', lambda image: image['id'] % 4 == 0)
    checkpoint = runs.train(config, tmp_path / 'run').checkpoint
    code, out, _ = call('test', tmp_path / 'tiny.py', checkpoint, '--work-dir', tmp_path / 'test')
    assert code == 0
    assert 'Localization is not judged on 2 of 8 test images' in ' '.join(out.split())
    (row,) = json.loads((tmp_path / 'test' / 'results.json').read_text())['stages']
    assert row['one_to_one']['tp'] + row['one_to_one']['fn'] == 2
    assert row['image']['tp'] + row['image']['fn'] == 4
    code, out, _ = call('distill', tmp_path / 'tiny.py', checkpoint, '--out-dir', tmp_path / 'distilled')
    assert code == 0
    assert '4 of 8 positive images have no annotated point and were not compared.' in out
