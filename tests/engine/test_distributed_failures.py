"""Two real processes, of which one fails: both end, at once and with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny_experiment import tiny_config, write_tiny
from two_processes import in_two_processes

from mitouts.engine import distill as distill_module
from mitouts.engine import runner as runner_module
from mitouts.engine import runs, stages
from mitouts.engine.distill import distill
from mitouts.engine.stages import base
from mitouts.errors import AnnotationError, ImageError, TrainingError
from mitouts.evaluation import predicting
from mitouts.registry import DATASETS, HOOKS

NO_SPACE = OSError(28, 'No space left on device')


@HOOKS.register_module(force=True)
class _BrokenLoss(Hook):
    """Breaks the weights of one process in its second epoch, as an image full of NaN would."""

    rank = 1

    def before_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 1 and runner.rank == self.rank:
            runner.bare_model.head.classifier.bias.data.fill_(float('nan'))


def _config(folder: Path, **overrides: Any) -> Config:
    config = tiny_config(folder, train_cfg__max_epochs=2, **overrides)
    config.train_dataloader.batch_size = 2
    return config


def _fails(error: Exception, *, on: int = 0, after: int = 0) -> Callable[[int, Callable], Callable]:
    """A function that raises on one rank, after it has worked a number of times."""

    def wrap(rank: int, function: Callable) -> Callable:
        calls = []

        def failing(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            if rank == on and len(calls) > after:
                raise error
            return function(*args, **kwargs)

        return failing

    return wrap


def _train(config: Config, folder: Path, place: Any, name: str, failure: Any) -> list[Any]:
    def work(rank: int) -> None:
        setattr(place, name, failure(rank, getattr(place, name)))
        runs.train(config, folder / 'run', launcher='pytorch')

    return in_two_processes(work, folder)


def test_a_loss_that_is_nan_in_one_process(tmp_path) -> None:
    config = _config(tmp_path)
    config.custom_hooks = [*config.custom_hooks, dict(type='_BrokenLoss')]
    first, second = in_two_processes(lambda rank: runs.train(config, tmp_path / 'run', launcher='pytorch'), tmp_path)
    assert first.error[0] == second.error[0] == 'TrainingError'
    assert first.error[1] == f'process 2 of 2 failed: {second.error[1]}'
    assert 'the loss is nan in epoch 2, batch 1; its images: ' in second.error[1]
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()


def test_data_that_one_process_cannot_read(tmp_path) -> None:
    error = AnnotationError('train.json: 3 images do not exist')
    ends = _train(_config(tmp_path), tmp_path, runs, 'check_splits', _fails(error, on=1))
    assert [end.error for end in ends] == [
        ('AnnotationError', f'process 2 of 2 failed: {error}'),
        ('AnnotationError', str(error)),
    ]


@pytest.mark.parametrize('saved', [0, 1])
def test_a_disk_that_is_full_when_a_checkpoint_is_written(saved, tmp_path) -> None:
    error = TrainingError('checkpoint cannot be written')
    ends = _train(_config(tmp_path), tmp_path, runner_module, 'write_checkpoint', _fails(error, after=saved))
    assert [end.error for end in ends] == [
        ('TrainingError', str(error)),
        ('TrainingError', f'process 1 of 2 failed: {error}'),
    ]


def test_older_checkpoints_that_cannot_be_set_aside(tmp_path) -> None:
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'epoch_1.pth').touch()
    ends = _train(_config(tmp_path), tmp_path, Path, 'rename', _fails(NO_SPACE))
    assert [end.error[0] for end in ends] == ['OSError', 'MitoutsError']
    assert 'No space left' in ends[1].error[1]


def test_an_image_that_breaks_off_in_one_process_in_the_middle_of_an_epoch(tmp_path) -> None:
    config = _config(tmp_path)
    kind = DATASETS.get('PointDataset')
    error = ImageError('train_03.png is cut off')
    first, second = _train(config, tmp_path, kind, 'prepare_data', _fails(error, on=1, after=5))
    assert second.error == ('ImageError', str(error))
    assert first.error == ('TrainingError', 'another process of this run has ended, its own message says why')


@pytest.fixture
def trained(tmp_path) -> tuple[Config, Path]:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    return config, runs.train(config, tmp_path / 'trained').checkpoint


def test_a_disk_that_is_full_when_predictions_are_written(trained, tmp_path) -> None:
    def work(rank: int) -> None:
        runs.write_predictions = _fails(NO_SPACE)(rank, runs.write_predictions)
        runs.evaluate(*trained, tmp_path / 'test', launcher='pytorch', out=tmp_path / 'predictions.json')
        torch.distributed.barrier()

    first, second = in_two_processes(work, tmp_path)
    assert first.error[0] == 'OSError'
    assert second.error == ('MitoutsError', 'process 1 of 2 failed: [Errno 28] No space left on device')


def test_a_disk_that_is_full_when_a_data_set_is_distilled(trained, tmp_path) -> None:
    def work(rank: int) -> None:
        distill_module.write_json = _fails(NO_SPACE)(rank, distill_module.write_json)
        distill(*trained, tmp_path / 'distilled', launcher='pytorch')
        torch.distributed.barrier()

    first, second = in_two_processes(work, tmp_path)
    assert first.error[0] == 'OSError'
    assert second.error == ('MitoutsError', 'process 1 of 2 failed: [Errno 28] No space left on device')


def test_a_checkpoint_that_one_process_cannot_read(trained, tmp_path) -> None:
    config, checkpoint = trained

    def work(rank: int) -> None:
        runs.evaluate(config, checkpoint if rank == 0 else tmp_path / 'none.pth', tmp_path / 'test', launcher='pytorch')

    first, second = in_two_processes(work, tmp_path)
    assert first.error == ('CheckpointError', f'process 2 of 2 failed: {second.error[1]}')


def test_a_teacher_that_cannot_judge_the_images_of_one_process(tmp_path) -> None:
    config = _config(tmp_path)
    config.custom_hooks = [*config.custom_hooks, dict(type='EMATeacherHook', judge_from=1)]
    error = ImageError('train_03.png is cut off')
    ends = _train(config, tmp_path, predicting, 'predict_batch', _fails(error, on=1))
    assert [end.error for end in ends] == [
        ('ImageError', f'process 2 of 2 failed: {error}'),
        ('ImageError', str(error)),
    ]


def test_a_disk_that_is_full_when_a_stage_begins(tmp_path) -> None:
    write_tiny(tmp_path)
    (tmp_path / 'staged.py').write_text("stages = [dict(name='teacher', kind='train', config='tiny.py')]\n")
    experiment = stages.load_experiment(tmp_path / 'staged.py', tmp_path / 'run', launcher='pytorch')

    def work(rank: int) -> None:
        base.write_json = _fails(NO_SPACE)(rank, base.write_json)
        experiment.run()

    assert [end.error[0] for end in in_two_processes(work, tmp_path)] == ['OSError', 'MitoutsError']


def test_a_broken_file_of_an_earlier_run(tmp_path) -> None:
    write_tiny(tmp_path)
    (tmp_path / 'staged.py').write_text("stages = [dict(name='teacher', kind='train', config='tiny.py')]\n")
    experiment = stages.load_experiment(tmp_path / 'staged.py', tmp_path / 'run', launcher='pytorch')
    (tmp_path / 'run' / 'teacher').mkdir(parents=True)
    (tmp_path / 'run' / 'teacher' / 'stage.json').write_text('{"finger')
    first, second = in_two_processes(lambda rank: experiment.run(resume=True), tmp_path)
    assert first.error[0] == second.error[0] == 'AnnotationError'
    assert 'stage.json: not JSON (line 1' in first.error[1]
