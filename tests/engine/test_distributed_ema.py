"""Teacher and Student in one training that runs in two real processes: one Teacher, who judges every image once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny_experiment import tiny_config
from two_processes import in_two_processes

from mitouts.checkpoint import read_checkpoint
from mitouts.engine import runs
from mitouts.engine.hooks import EMATeacherHook
from mitouts.evaluation.predicting import predict_figures, training_images
from mitouts.inference.localizer import Localizer
from mitouts.registry import CRITERIA, HOOKS


@HOOKS.register_module(force=True)
class _Watch(EMATeacherHook):
    """Keeps what each process has: the Teacher's weights when it judges, and the images' weights after it."""

    teachers: list[dict[str, torch.Tensor]] = []
    weights: list[list[float]] = []

    def before_train_epoch(self, runner) -> None:
        super().before_train_epoch(runner)
        state = self.ema_model.module.state_dict()
        self.teachers.append({key: value.clone().numpy() for key, value in state.items()})
        self.weights.append(runner.train_dataloader.dataset.weights().tolist())


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The config, the folder, and what both processes saw at the beginning of each of three epochs."""
    folder = tmp_path_factory.mktemp('ema')
    config = tiny_config(folder, train_cfg__max_epochs=3)
    config.train_dataloader.batch_size = 2
    config.default_hooks.checkpoint.max_keep = 3
    config.custom_hooks = [*config.custom_hooks, dict(type='_Watch', momentum=0.1, gamma=2, judge_from=1, min_kept=0.0)]

    def work(rank: int):
        runs.train(config, folder / 'run', launcher='pytorch')
        return _Watch.teachers, _Watch.weights

    ends = in_two_processes(work, folder)
    assert [end.error for end in ends] == [None, None]
    return config, folder, [end.value for end in ends]


def test_both_processes_have_the_same_teacher_when_it_judges(trained) -> None:
    (first, _), (second, _) = trained[2]
    for epoch in (1, 2):
        for key, value in first[epoch].items():
            np.testing.assert_array_equal(value, second[epoch][key], err_msg=f'epoch {epoch + 1}: {key}')


def test_every_positive_image_is_judged_once_and_both_processes_draw_by_it(trained) -> None:
    _, folder, ((_, first), (_, second)) = trained
    judged = json.loads((folder / 'run' / 'hard_samples.json').read_text())
    assert judged['info']['epoch'] == 2
    assert [sample['image_id'] for sample in judged['images']] == list(range(2, 17, 2))
    assert first == second
    assert first[0] == [1.0] * 16
    assert first[2][1::2] == [sample['weight'] for sample in judged['images']]
    assert 0 < sum(first[2][1::2]) < 8


def _verdicts_of_one_process(config: Config, checkpoint: Path) -> list[tuple[int, str, float]]:
    model = Localizer.from_checkpoint(checkpoint).model
    calibration = read_checkpoint(checkpoint)['meta']['mitouts']
    dataset = training_images(config)
    criterion = CRITERIA.build(config.distillation.criterion)
    verdicts = []
    for record in predict_figures(model, dataset, range(1, 16, 2), calibration):
        verdict = criterion.judge({}, record, image_threshold=calibration['image_threshold'])
        verdicts.append((record.truth.image_id, 'keep' if verdict.keep else 'drop', record.prediction.score))
    return verdicts


def test_two_processes_judge_as_one_does_with_the_checkpoint_of_that_epoch(trained) -> None:
    config, folder, _ = trained
    judged = json.loads((folder / 'run' / 'hard_samples.json').read_text())['images']
    alone = _verdicts_of_one_process(config, folder / 'run' / 'epoch_2.pth')
    assert [(sample['image_id'], sample['verdict']) for sample in judged] == [each[:2] for each in alone]
    np.testing.assert_allclose([sample['score'] for sample in judged], [each[2] for each in alone], rtol=1e-5)
