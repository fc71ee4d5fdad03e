"""Staged experiments on a tiny data set."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from tiny_experiment import write_tiny

from mitouts.checkpoint import read_checkpoint
from mitouts.engine.config import load_config
from mitouts.engine.stages.experiment import load_experiment, split_overrides
from mitouts.errors import ConfigError
from mitouts.formats.coco import read_coco
from mitouts.registry import UnknownComponentError

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = """
stages = [
    dict(name='teacher', kind='train', config='tiny.py', options=['train_cfg.max_epochs=2']),
    dict(name='distill', kind='distill', config='tiny.py', model_from='teacher'),
    dict(name='student', kind='train', config='tiny.py', data_from='distill', options=['train_cfg.max_epochs=1']),
]
"""


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    write_tiny(tmp_path)
    path = tmp_path / 'staged.py'
    path.write_text(STAGES)
    return path


# Keeps both classes whatever so short a training has learnt.
KEEP_ALL = ('distill.distillation.criterion.policy=no_false', 'distill.distillation.criterion.radius_px=200')


def test_stages_feed_each_other_and_end_with_results(staged: Path) -> None:
    work_dir = staged.parent / 'run'
    results = load_experiment(staged, work_dir, KEEP_ALL).run()
    assert json.loads((work_dir / 'results.json').read_text()) == results
    assert [row['stage'] for row in results['stages']] == ['teacher', 'student']
    distillation = results['distillation']
    assert distillation['kept'] + distillation['dropped'] == 16
    assert distillation['noise_total'] == 2
    assert distillation['clean_total'] == 6
    student = results['stages'][1]
    assert (
        student['images'] == distillation['kept'] == len(read_coco(work_dir / 'distill' / 'distilled.json')['images'])
    )
    for row in results['stages']:
        assert set(row) >= {'images', 'image_threshold', 'map_threshold', 'minutes', 'image', 'one_to_one', 'presence'}
        assert set(row['image']) >= {'auc', 'f1', 'accuracy'}
        for protocol in ('one_to_one', 'presence'):
            assert set(row[protocol]) >= {'tp', 'fp', 'fn', 'precision', 'recall', 'f1', 'f1_ci95'}
        assert row['one_to_one']['tp'] + row['one_to_one']['fn'] == 4
    samples = json.loads((work_dir / 'distill' / 'hard_samples.json').read_text())
    assert len(samples['images']) == 16
    assert sum(sample['verdict'] == 'drop' for sample in samples['images']) == distillation['dropped']


def test_finished_stages_are_skipped_until_something_changes(staged: Path, capfd) -> None:
    work_dir = staged.parent / 'run'
    first = load_experiment(staged, work_dir, KEEP_ALL).run()
    stamp = (work_dir / 'student' / 'best.pth').stat().st_mtime_ns
    capfd.readouterr()
    assert load_experiment(staged, work_dir, KEEP_ALL).run(resume=True) == first
    assert capfd.readouterr().out.count('skipped') == 3
    assert (work_dir / 'student' / 'best.pth').stat().st_mtime_ns == stamp
    load_experiment(staged, work_dir, [*KEEP_ALL, 'student.optim_wrapper.optimizer.lr=0.01']).run(resume=True)
    text = capfd.readouterr().out
    assert text.count('skipped') == 2
    assert 'stage student: its config or its inputs have changed' in text
    assert (work_dir / 'student' / 'best.pth').stat().st_mtime_ns != stamp


def test_one_stage_alone_uses_what_the_others_left(staged: Path) -> None:
    work_dir = staged.parent / 'run'
    with pytest.raises(ConfigError, match='run stage distill first'):
        load_experiment(staged, work_dir).run(only=['student'])
    load_experiment(staged, work_dir, KEEP_ALL).run(only=['teacher', 'distill'])
    results = load_experiment(staged, work_dir, KEEP_ALL).run(only=['student'])
    assert [row['stage'] for row in results['stages']] == ['teacher', 'student']


def test_unknown_stage_and_unaddressed_override(staged: Path) -> None:
    with pytest.raises(ConfigError, match='the stages of this config are teacher, distill, student'):
        load_experiment(staged, staged.parent / 'run').run(only=['pupil'])
    with pytest.raises(ConfigError, match='begins with the name of a stage'):
        load_experiment(staged, staged.parent / 'run', ['train_cfg.max_epochs=2'])


def test_overrides_go_to_their_stage() -> None:
    assert split_overrides(['a.x.y=1', '+b.z=2'], ['a', 'b']) == {'a': ['x.y=1'], 'b': ['+z=2']}


def test_overrides_of_all_stages_keep_their_order_among_the_others() -> None:
    options = ['*.x=1', 'a.x=2', '+*.y=3', '*.x=4']
    assert split_overrides(options, ['a', 'b']) == {'a': ['x=1', 'x=2', '+y=3', 'x=4'], 'b': ['x=1', '+y=3', 'x=4']}


@pytest.mark.parametrize(
    ('stage', 'message'),
    [
        (dict(kind='train', config='tiny.py'), 'needs a name'),
        (dict(name='a', kind='teach', config='tiny.py'), "kind='teach'"),
        (dict(name='a', kind='distill', config='tiny.py'), 'model_from must name an earlier training stage'),
        (
            dict(name='a', kind='train', config='tiny.py', data_from='b'),
            'data_from must name an earlier distill or review',
        ),
        (dict(name='a', kind='train', config='tiny.py', colour='red'), 'unknown keys colour'),
        (dict(name='a', kind='train', config='none.py'), 'does not exist'),
        (dict(name='a', kind='distill', config='tiny.py', split='test'), "split must be train or val, found 'test'"),
        (dict(name='a', kind='train', config='tiny.py', split='val'), 'unknown keys split'),
        (dict(name='a', kind='test', config='tiny.py', model_from='b'), 'model_from must name an earlier training'),
        (
            dict(name='a', kind='train', config='tiny.py', weights_from='b'),
            'weights_from must name an earlier training',
        ),
    ],
)
def test_a_stage_that_makes_no_sense(staged: Path, stage: dict, message: str) -> None:
    staged.write_text(f'stages = [{stage!r}]')
    with pytest.raises(ConfigError, match=message):
        load_experiment(staged, staged.parent / 'run')


@pytest.mark.slow
def test_a_killed_experiment_goes_on_in_the_stage_it_was_in(staged: Path) -> None:
    work_dir = staged.parent / 'killed'
    options = ['student.train_cfg.max_epochs=6', *KEEP_ALL]
    command = [sys.executable, REPOSITORY / 'tools' / 'train.py', staged, '--work-dir', work_dir, '--resume']
    command += ['--cfg-options', *options]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((work_dir / 'student').glob('epoch_[12345].pth')):
        assert process.poll() is None, 'the run ended before it could be killed'
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert 'stage teacher: finished earlier, skipped' in finished.stdout
    assert 'stage student: goes on' in finished.stdout
    assert (work_dir / 'summary.png').is_file()


def test_a_change_killed_before_it_began_does_not_go_on_from_the_old_run(staged: Path, monkeypatch) -> None:
    work_dir = staged.parent / 'run'
    load_experiment(staged, work_dir, KEEP_ALL).run(only=['teacher'])
    old = (work_dir / 'teacher' / 'best.pth').read_bytes()
    changed = ['teacher.optim_wrapper.optimizer.lr=0.02', *KEEP_ALL]

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('mitouts.engine.runs.set_aside', killed)
        with pytest.raises(KeyboardInterrupt):
            load_experiment(staged, work_dir, changed).run(resume=True, only=['teacher'])
    load_experiment(staged, work_dir, changed).run(resume=True, only=['teacher'])
    assert (work_dir / 'teacher' / 'best.pth').read_bytes() != old
    assert (work_dir / 'teacher' / 'previous_1' / 'best.pth').read_bytes() == old


def test_every_input_file_counts_whatever_it_is_called(staged: Path, capfd) -> None:
    data = staged.parent / 'data'
    options = []
    for split in ('train', 'val', 'test'):
        (data / split).mkdir()
        document = json.loads((data / f'{split}.json').read_text())
        document['info']['mitouts']['image_root'] = '..'
        (data / split / 'annotations.json').write_text(json.dumps(document))
        options.append(f'teacher.{split}_dataloader.dataset.ann_file={data / split / "annotations.json"}')
    work_dir = staged.parent / 'run'
    load_experiment(staged, work_dir, options).run(only=['teacher'])
    document = json.loads((data / 'train' / 'annotations.json').read_text())
    document['images'] = document['images'][:12]
    kept = {image['id'] for image in document['images']}
    document['annotations'] = [each for each in document['annotations'] if each['image_id'] in kept]
    (data / 'train' / 'annotations.json').write_text(json.dumps(document))
    capfd.readouterr()
    results = load_experiment(staged, work_dir, options).run(resume=True, only=['teacher'])
    assert 'its inputs have changed' in capfd.readouterr().out
    assert results['stages'][0]['images'] == 12


def drop(name: str, criterion: str = "{'type': 'RandomDrop', 'number': 2}", **keys: str) -> str:
    """A distill stage as the text of a config."""
    more = ''.join(f', {key}={value!r}' for key, value in keys.items())
    return (
        f'dict(name={name!r}, kind="distill", config="tiny.py", options=["distillation.criterion={criterion}"]{more})'
    )


def train(name: str, **keys: str) -> str:
    more = ''.join(f', {key}={value!r}' for key, value in keys.items())
    return f'dict(name={name!r}, kind="train", config="tiny.py", options=["train_cfg.max_epochs=1"]{more})'


def write_stages(path: Path, *stages: str) -> Path:
    path.write_text(f'stages = [{", ".join(stages)}]')
    return path


ORACLE = "{'type': 'OracleNoise'}"
CENTROID = "{'type': 'CentroidDisagreement'}"


@pytest.mark.parametrize(
    ('stages', 'message'),
    [
        ([drop('a', CENTROID)], 'stage a: model_from must name an earlier training stage, found None'),
        ([drop('o', ORACLE), drop('a', CENTROID, data_from='o')], 'stage a: model_from must name an earlier training'),
        ([drop('a', 'OracleNoise')], r"distillation.criterion='OracleNoise': expected dict\(\.\.\.\)"),
        ([drop('a', ORACLE, model_from='b')], "model_from must name an earlier training stage, found 'b'"),
        ([drop('a', ORACLE), train('b', val_from='a')], 'val_from must name a distill stage of the val images'),
        ([drop('a', split='val'), train('b', data_from='a')], "stage a has split='val'"),
        ([train('a'), train('b', val_from='a')], "val_from must name an earlier distill stage, found 'a'"),
        ([drop('a', ORACLE), drop('a', ORACLE)], "two stages are called 'a'"),
    ],
)
def test_references_that_make_no_sense(staged: Path, stages: list[str], message: str) -> None:
    write_stages(staged, *stages)
    with pytest.raises(ConfigError, match=message):
        load_experiment(staged, staged.parent / 'run')


def test_a_criterion_that_does_not_exist_is_located_before_anything_is_trained(staged: Path) -> None:
    write_stages(staged, train('a'), drop('b', "{'type': 'RandomDrp'}", model_from='a'))
    expected = r"'RandomDrp' is not in .*config key 'distillation\.criterion\.type'.* Did you mean 'RandomDrop'"
    with pytest.raises(UnknownComponentError, match=expected):
        load_experiment(staged, staged.parent / 'run')


def test_controls_need_no_model_and_are_counted_by_name(staged: Path) -> None:
    write_stages(staged, drop('oracle', ORACLE), drop('random', "{'type': 'RandomDrop'}", data_from='oracle'))
    results = load_experiment(staged, staged.parent / 'run', ['+random.distillation.criterion.seed=3']).run()
    assert results['stages'] == []
    assert list(results['distillations']) == ['oracle', 'random']
    assert results['distillations']['oracle'].pop('minutes') >= 0
    assert results['distillations']['oracle'] == results['distillation']
    assert results['distillation'] == {
        'kept': 14,
        'dropped': 2,
        'noise_dropped': 2,
        'noise_total': 2,
        'clean_kept': 6,
        'clean_total': 6,
    }
    assert (results['distillations']['random']['kept'], results['distillations']['random']['dropped']) == (14, 2)
    info = json.loads((staged.parent / 'run' / 'random' / 'hard_samples.json').read_text())['info']
    assert info['criterion']['seed'] == 3
    assert info['criterion']['like'].endswith('oracle/hard_samples.json')


def test_a_training_takes_its_images_from_both_distillations_wherever_they_lie(staged: Path, capfd) -> None:
    write_stages(staged, drop('a'), drop('b', split='val'), train('student', data_from='a', val_from='b'))
    work_dir = staged.parent / 'run'
    (row,) = load_experiment(staged, work_dir, ['b.distillation.criterion.number=1']).run()['stages']
    assert (row['images'], row['test_images']) == (14, 8)
    assert (row['test_ann_file'], row['positive_categories']) == (str(staged.parent / 'data' / 'test.json'), [1])
    (resolved,) = work_dir.glob('student/*/vis_data/config.py')
    config = load_config(resolved)
    assert config.train_dataloader.dataset.ann_file == str(work_dir / 'a' / 'distilled.json')
    assert config.val_dataloader.dataset.ann_file == str(work_dir / 'b' / 'distilled.json')
    assert len(read_coco(work_dir / 'b' / 'distilled.json')['images']) == 7
    capfd.readouterr()
    moved = staged.parent / 'elsewhere'
    shutil.copytree(work_dir, moved)
    load_experiment(staged, moved, ['b.distillation.criterion.number=1']).run(resume=True)
    assert capfd.readouterr().out.count('skipped') == 3


def test_a_distillation_of_other_images_is_another_one(staged: Path, capfd) -> None:
    work_dir = staged.parent / 'run'
    for split in ('train', 'val', 'val'):
        load_experiment(write_stages(staged, drop('a', split=split)), work_dir).run(resume=True)
    assert capfd.readouterr().out.splitlines() == [
        'stage a: begins',
        'stage a: its config or its inputs have changed since, so it is run again',
        'stage a: begins',
        'stage a: finished earlier, skipped',
    ]


def test_a_file_that_a_criterion_reads_is_an_input(staged: Path, capfd) -> None:
    like, work_dir = staged.parent / 'other.json', staged.parent / 'run'
    write_stages(staged, drop('a', f"{{'type': 'RandomDrop', 'like': '{like}'}}"))
    for dropped in (1, 2, 2):
        like.write_text(json.dumps({'images': [{'label': 1, 'verdict': 'drop'}] * dropped}))
        results = load_experiment(staged, work_dir).run(resume=True)
        assert results['distillation']['dropped'] == dropped
    assert capfd.readouterr().out.count('begins') == 2


def test_a_training_starts_from_the_weights_of_an_earlier_one(staged: Path, tmp_path: Path, capfd) -> None:
    still = ['train_cfg.max_epochs=1', 'optim_wrapper.optimizer.lr=0']
    stages = [
        dict(name='first', kind='train', config='tiny.py', options=['train_cfg.max_epochs=1']),
        dict(name='second', kind='train', config='tiny.py', weights_from='first', options=still),
    ]
    staged.write_text(f'{stages = !r}')
    load_experiment(staged, tmp_path / 'run').run()
    first, second = (read_checkpoint(tmp_path / 'run' / name / 'best.pth') for name in ('first', 'second'))
    trained = {name for name in first['state_dict'] if name.endswith('weight')}
    assert all(torch.equal(first['state_dict'][name], second['state_dict'][name]) for name in trained)
    capfd.readouterr()
    shutil.move(tmp_path / 'run', tmp_path / 'moved')
    load_experiment(staged, tmp_path / 'moved').run(resume=True)
    assert capfd.readouterr().out.count('finished earlier, skipped') == 2


@pytest.mark.parametrize(
    ('model', 'role'),
    [
        ({'backbone': {'weights': 'FILE'}}, 'weights'),
        ({'backbone': {'encoder': {'weights': 'FILE'}}}, 'backbone.encoder.weights'),
        ({'detector': {'backbone': {'weights': 'FILE'}}}, 'detector.backbone.weights'),
        ({'detector': {'backbone': {'init_cfg': {'checkpoint': 'FILE'}}}}, 'detector.backbone.init_cfg.checkpoint'),
        ({'masks': {'type': 'ScoreMapMasks', 'checkpoint': 'FILE'}}, 'masks.checkpoint'),
    ],
)
def test_weights_are_inputs_wherever_a_model_takes_them(model: dict, role: str, staged: Path, tmp_path: Path) -> None:
    file = tmp_path / 'weights.pth'
    experiment = load_experiment(staged, tmp_path / 'run')
    stage = experiment.stages[0]
    config = Config(stage.config._cfg_dict.to_dict())
    config.model = json.loads(json.dumps(model).replace('FILE', str(file)))
    found = []
    for content in (b'old', b'new'):
        file.write_bytes(content)
        found.append(stage.fingerprint(config, experiment))
    assert found[0][role] == hashlib.sha256(b'old').hexdigest()
    assert found[1][role] == hashlib.sha256(b'new').hexdigest()
