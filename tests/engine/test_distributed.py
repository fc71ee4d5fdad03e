"""Two processes on one machine over gloo: the same verdicts as one, and a training that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_experiment import write_tiny

from mitouts.checkpoint import read_checkpoint
from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.engine.distill import distill

REPOSITORY = Path(__file__).resolve().parents[2]


def torchrun(tool: str, *arguments: object) -> None:
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=0']
    command += ['--rdzv_backend=c10d', '--rdzv_endpoint=localhost:0']
    command += [str(REPOSITORY / 'tools' / tool), *map(str, arguments), '--launcher', 'pytorch']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_train_and_judge_as_one(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    options = ['train_dataloader.dataset.ann_file=' + str(tmp_path / 'data' / 'train.json')]
    torchrun('train.py', path, '--work-dir', tmp_path / 'two', '--cfg-options', *options)
    checkpoint = tmp_path / 'two' / 'best.pth'
    assert read_checkpoint(checkpoint)['meta']['mitouts']['map_threshold'] > 0
    assert read_checkpoint(tmp_path / 'two' / 'epoch_3.pth')['meta']['iter'] == 3 * 2

    one = distill(load_config(path), checkpoint, tmp_path / 'one')
    torchrun('distill.py', path, checkpoint, '--out-dir', tmp_path / 'both')
    alone = json.loads(one.hard_samples.read_text())
    together = json.loads((tmp_path / 'both' / 'hard_samples.json').read_text())
    assert len(alone['images']) == 16
    assert together['images'] == alone['images']
    assert json.loads((tmp_path / 'both' / 'distilled.json').read_text()) == json.loads(one.distilled.read_text())


@pytest.mark.slow
def test_two_processes_run_the_stages_of_one_epoch_each(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    staged = tmp_path / 'staged.py'
    staged.write_text(
        "short = ['train_cfg.max_epochs=1', 'distillation.criterion.policy=no_false']\n"
        'stages = [\n'
        "    dict(name='teacher', kind='train', config='tiny.py', options=short),\n"
        "    dict(name='distill', kind='distill', config='tiny.py', model_from='teacher',\n"
        "         options=[*short, 'distillation.criterion.radius_px=200']),\n"
        "    dict(name='student', kind='train', config='tiny.py', data_from='distill', options=short),\n"
        ']\n'
    )
    torchrun('train.py', staged, '--work-dir', tmp_path / 'run')
    results = json.loads((tmp_path / 'run' / 'results.json').read_text())
    assert [row['stage'] for row in results['stages']] == ['teacher', 'student']
    assert not list((tmp_path / 'run').glob('*/previous_*'))
    assert (tmp_path / 'run' / 'summary.png').is_file()


@pytest.mark.slow
def test_an_odd_number_of_images_in_two_processes_is_tested_as_in_one(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    config = load_config(path, ['train_cfg.max_epochs=1'])
    trained = runs.train(config, tmp_path / 'run')
    ann_file = tmp_path / 'data' / 'test.json'
    document = json.loads(ann_file.read_text())
    document['images'] = document['images'][:7]
    document['annotations'] = [each for each in document['annotations'] if each['image_id'] <= 7]
    ann_file.write_text(json.dumps(document))
    runs.evaluate(load_config(path), trained.checkpoint, tmp_path / 'one', out=tmp_path / 'one.json')
    more = ('--work-dir', tmp_path / 'two', '--out', tmp_path / 'two.json')
    torchrun('test.py', path, trained.checkpoint, *more)
    alone, together = (json.loads((tmp_path / name).read_text()) for name in ('one.json', 'two.json'))
    assert [image['image_id'] for image in together['images']] == list(range(1, 8))
    for one, other in zip(alone['images'], together['images'], strict=True):
        assert other['score'] == pytest.approx(one['score'], abs=1e-5)
        assert len(other['peaks']) == len(one['peaks'])
    (row,) = json.loads((tmp_path / 'two' / 'results.json').read_text())['stages']
    assert row['test_images'] == 7


def test_an_odd_number_of_images_is_tested_once_each(tmp_path: Path) -> None:
    config = load_config(write_tiny(tmp_path), ['train_cfg.max_epochs=1'])
    trained = runs.train(config, tmp_path / 'run')
    config.test_dataloader.dataset.case_subset = ['test_0', 'test_1', 'test_2']
    config.test_dataloader.batch_size = 4
    tested = runs.evaluate(config, trained.checkpoint, tmp_path / 'test')
    assert [record.truth.image_id for record in tested.records] == [1, 2, 3, 5, 6, 7]
