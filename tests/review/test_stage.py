"""The stage that reviews a distillation's hard samples, on a tiny data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_experiment import write_tiny

from mitouts.engine.stages import load_experiment
from mitouts.errors import ConfigError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, read_coco
from mitouts.review.store import ReviewStore

STAGES = """
stages = [
    dict(name='teacher', kind='train', config='tiny.py', options=['train_cfg.max_epochs=1']),
    dict(name='distill', kind='distill', config='tiny.py', model_from='teacher'),
    dict(name='review', kind='review', config='tiny.py', data_from='distill', options=["+review=SETTINGS"]),
    dict(name='student', kind='train', config='tiny.py', data_from='review', options=['train_cfg.max_epochs=1']),
]
"""


def write(folder: Path, settings: str, stages: str = STAGES) -> Path:
    write_tiny(folder)
    path = folder / 'staged.py'
    path.write_text(stages.replace('SETTINGS', settings))
    return path


def test_a_student_is_trained_on_the_labels_that_a_review_has_put_right(tmp_path: Path, capfd) -> None:
    config = write(tmp_path, "{'accuracy':1.0,'include':'all','seed':3}")
    results = load_experiment(config, tmp_path / 'run').run()
    summary = results['reviews']['review']
    # Of 16 images every other is positive, and two of these are noise (tiny_experiment.write_split).
    assert (summary['right'], summary['wrong']) == (summary['items'], 0)
    assert (summary['noise_total'], summary['noise_corrected'], summary['clean_lost']) == (2, 2, 0)
    assert [row['stage'] for row in results['stages']] == ['teacher', 'student']
    assert results['stages'][1]['images'] == 16
    before = read_coco(tmp_path / 'data' / 'train.json')
    after = read_coco(tmp_path / 'run' / 'review' / 'reviewed.json')
    noisy = {image['id'] for image in before['images'] if image.get('is_noise')}
    figures = {each['image_id'] for each in before['annotations']}
    assert len(noisy) == 2
    assert {e['image_id'] for e in after['annotations'] if e['category_id'] == MITOTIC_FIGURE} == figures - noisy
    assert noisy <= {e['image_id'] for e in after['annotations'] if e['category_id'] == HARD_NEGATIVE}
    with ReviewStore.open(tmp_path / 'run' / 'review' / 'review.sqlite') as store:
        assert len(store.states('simulated')) == summary['items']
        assert (store.provenance['seed'], store.provenance['include']) == (3, 'all')
    capfd.readouterr()
    assert load_experiment(config, tmp_path / 'run').run(resume=True) == results
    assert capfd.readouterr().out.count('finished earlier, skipped') == 4
    other = load_experiment(config, tmp_path / 'run', ['review.review.accuracy=0.5']).run(resume=True)
    assert other['reviews']['review']['wrong'] > 0
    said = capfd.readouterr().out
    assert said.count('finished earlier, skipped') == 2
    assert 'stage review: its config or its inputs have changed since' in said
    assert json.loads((tmp_path / 'run' / 'results.json').read_text()) == other


@pytest.mark.parametrize(
    ('stages', 'message'),
    [
        (STAGES.replace("data_from='distill', ", ''), 'data_from must name the distillation'),
        (STAGES.replace("data_from='distill'", "data_from='teacher'"), 'must name an earlier distill stage'),
        (STAGES.replace("data_from='review'", "val_from='review'"), 'val_from must name an earlier distill stage'),
        (STAGES.replace("data_from='review'", "data_from='teacher'"), 'an earlier distill or review stage'),
    ],
)
def test_reviews_of_nothing_are_refused(tmp_path: Path, stages: str, message: str) -> None:
    config = write(tmp_path, "{'seed':0}", stages)
    with pytest.raises(ConfigError, match=message):
        load_experiment(config, tmp_path / 'run')


def test_unknown_settings_are_named(tmp_path: Path) -> None:
    config = write(tmp_path, "{'acuracy':0.8}")
    with pytest.raises(ConfigError, match='review has acuracy; it may have accuracy, seed'):
        load_experiment(config, tmp_path / 'run').run(only=['teacher', 'distill', 'review'])
