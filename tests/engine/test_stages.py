"""Staged experiments on a tiny data set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_experiment import write_tiny

from mitouts.engine.stages import load_experiment, split_overrides
from mitouts.errors import ConfigError
from mitouts.exchange.coco import read_coco

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


@pytest.mark.parametrize(
    ('stage', 'message'),
    [
        (dict(kind='train', config='tiny.py'), 'needs a name'),
        (dict(name='a', kind='teach', config='tiny.py'), "kind='teach'"),
        (dict(name='a', kind='distill', config='tiny.py'), 'model_from must name an earlier training stage'),
        (dict(name='a', kind='train', config='tiny.py', data_from='b'), 'data_from must name an earlier distill stage'),
        (dict(name='a', kind='train', config='tiny.py', colour='red'), 'unknown keys colour'),
        (dict(name='a', kind='train', config='none.py'), 'does not exist'),
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
