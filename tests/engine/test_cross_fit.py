"""Distillation with folds: every case is judged by a Teacher that has not seen it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config
from tiny_experiment import write_tiny

from mitouts.engine import runs
from mitouts.engine.cross_fit import Fold, merge_folds, write_folds
from mitouts.engine.distill import distill
from mitouts.engine.stages.experiment import load_experiment
from mitouts.errors import ConfigError
from mitouts.formats.coco import read_coco
from mitouts.formats.hard_samples import read_hard_samples

REPOSITORY = Path(__file__).resolve().parents[2]
SHORT = "options=['train_cfg.max_epochs=1']"
STAGES = f"""
stages = [
    dict(name='distill', kind='distill', config='tiny.py', folds=2, {SHORT}),
    dict(name='student', kind='train', config='tiny.py', data_from='distill', {SHORT}),
]
"""
KEEP_ALL = ('distill.distillation.criterion.policy=no_false', 'distill.distillation.criterion.radius_px=200')


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    write_tiny(tmp_path)
    path = tmp_path / 'staged.py'
    path.write_text(STAGES)
    return path


def share_cases(folder: Path) -> None:
    """Let the validation images be of the training's cases, and say so."""
    for split in ('train', 'val'):
        path = folder / 'data' / f'{split}.json'
        document = json.loads(path.read_text())
        document['info']['mitouts']['within_case_validation'] = True
        for image in document['images']:
            image['case_id'] = image['case_id'].replace('val', 'train')
        path.write_text(json.dumps(document))


def images_of(path: Path) -> set[int]:
    return {image['id'] for image in read_coco(path)['images']}


def cases_of(path: Path) -> set[str]:
    return {image['case_id'] for image in read_coco(path)['images']}


def test_every_case_is_judged_by_the_one_teacher_that_has_not_seen_it(staged: Path) -> None:
    share_cases(staged.parent)
    work_dir = staged.parent / 'run'
    results = load_experiment(staged, work_dir, KEEP_ALL).run()
    folder = work_dir / 'distill'
    all_images = images_of(staged.parent / 'data' / 'train.json')
    judged = []
    for fold in ('fold_1', 'fold_2'):
        here, elsewhere = cases_of(folder / fold / 'judged.json'), cases_of(folder / fold / 'train.json')
        assert len(here) == len(elsewhere) == 2
        assert not here & elsewhere
        assert cases_of(folder / fold / 'val.json') == elsewhere
        assert images_of(folder / fold / 'judged.json') | images_of(folder / fold / 'train.json') == all_images
        samples = read_hard_samples(folder / fold / 'hard_samples.json')
        assert {sample['case_id'] for sample in samples['images']} == here
        judged += samples['images']
        assert (folder / fold / 'best.pth').is_file()
    merged = read_hard_samples(folder / 'hard_samples.json')
    assert merged['images'] == sorted(judged, key=lambda sample: sample['image_id'])
    assert [sample['image_id'] for sample in merged['images']] == sorted(all_images)
    teachers = merged['info']['folds']
    assert sorted(case for teacher in teachers for case in teacher['cases']) == [f'train_{n}' for n in range(4)]
    assert len({teacher['teacher_sha256'] for teacher in teachers}) == 2
    assert all(teacher['map_threshold'] > 0 for teacher in teachers)
    # What counts over all images, and what the Student trains on.
    distillation = results['distillation']
    assert distillation['kept'] + distillation['dropped'] == 16
    assert (distillation['noise_total'], distillation['clean_total']) == (2, 6)
    kept = {sample['image_id'] for sample in judged if sample['verdict'] == 'keep'}
    assert images_of(folder / 'distilled.json') == kept
    minutes = [
        json.loads((folder / name / 'stage.json').read_text())['results']['minutes'] for name in ('fold_1', 'fold_2')
    ]
    assert results['distillations']['distill']['minutes'] == pytest.approx(sum(minutes))
    assert [row['stage'] for row in results['stages']] == ['student']
    assert results['stages'][0]['images'] == len(kept)


def test_merging_gives_what_one_teacher_writes_of_all_images(tmp_path: Path) -> None:
    config = Config.fromfile(write_tiny(tmp_path))
    config.train_cfg.max_epochs = 1
    checkpoint = runs.train(config, tmp_path / 'run').checkpoint
    for number, criterion in enumerate(
        (dict(type='CentroidDisagreement'), dict(type='SoftDisagreement'), dict(type='PseudoLabel'))
    ):
        config.distillation = dict(criterion=criterion)
        whole = distill(config, checkpoint, tmp_path / f'whole_{number}')
        folds = write_folds(config, 3, tmp_path / f'folds_{number}')
        for fold in folds:
            judging = Config(config._cfg_dict.to_dict(), filename=config.filename)
            judging.train_dataloader.dataset.ann_file = str(fold.files['judged'])
            distill(judging, checkpoint, fold.folder)
        merged = merge_folds(config, folds, tmp_path / f'merged_{number}')
        assert merged.summary == whole.summary
        expected, found = (read_hard_samples(each.hard_samples) for each in (whole, merged))
        assert found['images'] == expected['images']
        expected, found = (json.loads(each.distilled.read_text()) for each in (whole, merged))
        assert found['images'] == expected['images']
        assert found['annotations'] == expected['annotations']
        assert found['info']['mitouts']['image_root'] == expected['info']['mitouts']['image_root']


def test_validation_images_of_other_cases_are_left_as_they_are(staged: Path) -> None:
    config = Config.fromfile(staged.parent / 'tiny.py')
    folds = write_folds(config, 2, staged.parent / 'out')
    assert [sorted(fold.files) for fold in folds] == [['judged', 'train']] * 2
    assert [len(fold.cases) for fold in folds] == [2, 2]
    # Half of the images are positive, and all of these are of cases 1 and 3.
    assert [sorted(set(fold.cases) & {'train_1', 'train_3'}) for fold in folds] == [['train_1'], ['train_3']]


def test_folds_that_leave_nothing_are_refused(staged: Path) -> None:
    config = Config.fromfile(staged.parent / 'tiny.py')
    with pytest.raises(ConfigError, match='5 folds by case need 2 to 4 folds: the training images have 4 cases'):
        write_folds(config, 5, staged.parent / 'out')
    path = staged.parent / 'data' / 'val.json'
    document = json.loads(path.read_text())
    for image in document['images']:
        image['case_id'] = 'train_1'
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r'without the cases of fold 1 \(train_0, train_1\) no image is left to'):
        write_folds(config, 2, staged.parent / 'out')


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        ("folds=2, model_from='teacher'", 'model_from names a Teacher, which folds train themselves'),
        ('folds=1', 'folds must be a whole number of at least 2, found 1'),
        ("folds='2'", "folds must be a whole number of at least 2, found '2'"),
        ("folds=2, split='val'", 'folds judge the training images, not those of split=val'),
        ("folds=2, options=['distillation.criterion.type=OracleNoise']", 'needs no folds'),
        ("folds=2, options=['train_cfg=None']", 'folds need the config of the training of a localizer'),
    ],
)
def test_folds_that_make_no_sense(staged: Path, more: str, message: str) -> None:
    staged.write_text(
        f"stages = [dict(name='teacher', kind='train', config='tiny.py'), "
        f"dict(name='distill', kind='distill', config='tiny.py', {more})]"
    )
    with pytest.raises(ConfigError, match=message):
        load_experiment(staged, staged.parent / 'run')


def test_a_finished_fold_is_not_trained_again_and_another_number_of_folds_is(staged: Path, monkeypatch, capfd) -> None:
    work_dir = staged.parent / 'run'

    def killed(config: Config, folds: list[Fold], out_dir: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('mitouts.engine.stages.distill.merge_folds', killed)
        with pytest.raises(KeyboardInterrupt):
            load_experiment(staged, work_dir, KEEP_ALL).run(only=['distill'])
    stamp = (work_dir / 'distill' / 'fold_1' / 'best.pth').stat().st_mtime_ns
    capfd.readouterr()
    load_experiment(staged, work_dir, KEEP_ALL).run(only=['distill'], resume=True)
    text = capfd.readouterr().out
    assert 'stage distill: goes on' in text
    assert text.count('finished earlier, skipped') == 2
    assert (work_dir / 'distill' / 'fold_1' / 'best.pth').stat().st_mtime_ns == stamp
    load_experiment(staged, work_dir, KEEP_ALL).run(only=['distill'], resume=True)
    assert 'stage distill: finished earlier, skipped' in capfd.readouterr().out
    staged.write_text(staged.read_text().replace('folds=2', 'folds=4'))
    load_experiment(staged, work_dir, KEEP_ALL).run(only=['distill'], resume=True)
    assert 'stage distill: its config or its inputs have changed' in capfd.readouterr().out
    assert len(read_hard_samples(work_dir / 'distill' / 'hard_samples.json')['info']['folds']) == 4


@pytest.mark.slow
def test_a_killed_fold_goes_on_where_it_was(staged: Path) -> None:
    work_dir = staged.parent / 'killed'
    options = ['distill.train_cfg.max_epochs=6', *KEEP_ALL]
    command = [sys.executable, REPOSITORY / 'tools' / 'train.py', staged, '--work-dir', work_dir, '--resume']
    command += ['--cfg-options', *options]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((work_dir / 'distill' / 'fold_2').glob('epoch_[12345].pth')):
        assert process.poll() is None, 'the run ended before it could be killed'
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert 'stage fold_1: finished earlier, skipped' in finished.stdout
    assert 'stage fold_2: goes on' in finished.stdout
    whole = staged.parent / 'whole'
    command[command.index(work_dir)] = whole
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    gone_on, uninterrupted = (read_hard_samples(each / 'distill' / 'hard_samples.json') for each in (work_dir, whole))
    assert gone_on['images'] == uninterrupted['images']


@pytest.mark.slow
def test_two_processes_judge_every_image_once(staged: Path) -> None:
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=0']
    command += ['--rdzv_backend=c10d', '--rdzv_endpoint=localhost:0', str(REPOSITORY / 'tools' / 'train.py')]
    command += [str(staged), '--work-dir', str(staged.parent / 'two'), '--launcher', 'pytorch']
    command += ['--cfg-options', *KEEP_ALL]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    samples = read_hard_samples(staged.parent / 'two' / 'distill' / 'hard_samples.json')['images']
    assert [sample['image_id'] for sample in samples] == list(range(1, 17))
