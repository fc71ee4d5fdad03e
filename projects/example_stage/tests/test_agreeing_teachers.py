from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from outside import found_in
from tiny_experiment import write_tiny

from mitouts.engine.stages import load_experiment
from mitouts.errors import ConfigError
from mitouts.formats.coco import read_coco
from mitouts.registry import STAGES

PROJECT = Path(__file__).resolve().parents[1]
STAGED = """
custom_imports = dict(imports=['agreeing_teachers'], allow_failed_imports=False)
def drop(name, seed):
    criterion = {'type': 'RandomDrop', 'number': 3, 'seed': seed}
    return dict(name=name, kind='distill', config='tiny.py', options=[f'distillation.criterion={criterion}'])
stages = [
    drop('one', 0),
    drop('two', 1),
    dict(name='agree', kind='agree', config='tiny.py', first_from='one', second_from='SECOND'),
    dict(name='student', kind='train', config='tiny.py', data_from='agree', options=['train_cfg.max_epochs=1']),
]
del drop
"""


@pytest.fixture(autouse=True)
def _on_path() -> Iterator[None]:
    with found_in(PROJECT, 'agreeing_teachers'):
        yield


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    path = write_tiny(tmp_path).with_name('staged.py')
    path.write_text(STAGED.replace('SECOND', 'two'))
    return path


def test_the_student_learns_from_what_both_keep(staged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = staged.parent / 'run'
    results = load_experiment(staged, run).run()
    kept = [{image['id'] for image in read_coco(run / name / 'distilled.json')['images']} for name in ('one', 'two')]
    agreed = read_coco(run / 'agree' / 'agreed.json')
    assert {image['id'] for image in agreed['images']} == kept[0] & kept[1]
    assert len(kept[0] & kept[1]) < min(map(len, kept))
    assert {each['image_id'] for each in agreed['annotations']} <= kept[0] & kept[1]
    assert results['agreements']['agree'] == {'kept': len(kept[0] & kept[1]), 'first': 13, 'second': 13}
    assert results['stages'][0]['images'] == len(kept[0] & kept[1])
    capfd.readouterr()
    assert load_experiment(staged, run).run(resume=True) == results
    assert capfd.readouterr().out.count('skipped') == 4


def test_it_needs_two_distillations_before_it(staged: Path) -> None:
    staged.write_text(STAGED.replace('SECOND', 'three'))
    with pytest.raises(ConfigError, match="stage agree: second_from must name an earlier distill stage, found 'three'"):
        load_experiment(staged, staged.parent / 'run')


def test_the_config_brings_its_stage_along() -> None:
    experiment = load_experiment(PROJECT / 'configs' / 'two_teachers_phantom.py', 'work')
    assert [stage.kind for stage in experiment.stages] == ['train', 'train', 'distill', 'distill', 'agree', 'train']
    assert STAGES.get('agree').__module__ == 'agreeing_teachers.stage'
