from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from labels_only import keep_labels_only
from tiny_experiment import tiny_config

from mitouts.checkpoint import read_checkpoint
from mitouts.distillation import Criterion, Verdict
from mitouts.engine import runs
from mitouts.engine.hooks import EMATeacherHook
from mitouts.errors import ConfigError
from mitouts.registry import CRITERIA, HOOKS


@HOOKS.register_module(force=True)
class _Spy(EMATeacherHook):
    """Keeps what each epoch drew, and follows the average by hand."""

    seen: list = []

    def before_train_epoch(self, runner) -> None:
        super().before_train_epoch(runner)
        self.seen.append({'weights': runner.train_dataloader.dataset.weights(), 'drawn': set()})
        if runner.epoch == 0:
            self.by_hand = copy.deepcopy({k: v.clone() for k, v in runner.bare_model.state_dict().items()})
            self.steps = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        self.seen[-1]['drawn'] |= {sample.img_id for sample in data_batch['data_samples']}
        for key, value in runner.bare_model.state_dict().items():
            share = 1.0 if self.steps == 0 else max(0.1, 2 / (2 + self.steps))
            if value.is_floating_point():
                self.by_hand[key] = (1 - share) * self.by_hand[key] + share * value
        self.steps += 1
        self.seen[-1]['average'] = dict(self.by_hand)


def train(folder, **settings):
    _Spy.seen = []
    config = tiny_config(folder, train_cfg__max_epochs=3, train_dataloader__sampler__num_samples=32)
    config.custom_hooks = [*config.custom_hooks, dict(type='_Spy', momentum=0.1, gamma=2, **settings)]
    checkpoint = runs.train(config, folder / 'run').checkpoint
    return config, checkpoint, _Spy.seen


def test_what_the_average_rejects_is_not_drawn(tmp_path) -> None:
    _, _, epochs = train(tmp_path, judge_from=1, min_kept=0.0)
    judged = json.loads((tmp_path / 'run' / 'hard_samples.json').read_text())
    rejected = {sample['image_id'] for sample in judged['images'] if sample['verdict'] == 'drop'}
    assert judged['info']['epoch'] == 2
    assert len(judged['images']) == 8
    assert epochs[0]['weights'].tolist() == [1.0] * 16
    assert len(epochs[0]['drawn']) == 16
    # Image ids count from 1, in the order of the data set.
    assert rejected == set((np.flatnonzero(epochs[2]['weights'] == 0) + 1).tolist())
    assert 0 < len(rejected) < 8
    assert not rejected & epochs[2]['drawn']


def test_a_teacher_that_rejects_too_much_is_not_heard(tmp_path) -> None:
    _, _, epochs = train(tmp_path, judge_from=1, min_kept=1.0)
    assert [epoch['weights'].min() for epoch in epochs] == [1.0, 1.0, 1.0]


def test_without_annotated_points_it_says_that_nothing_can_be_compared(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=2)
    for split in ('train', 'val'):
        keep_labels_only(tmp_path / 'data' / f'{split}.json')
    config.custom_hooks = [*config.custom_hooks, dict(type='_Spy', judge_from=1, gamma=2)]
    _Spy.seen = []
    runs.train(config, tmp_path / 'run')
    assert [epoch['weights'].min() for epoch in _Spy.seen] == [1.0, 1.0]
    log = ''.join(path.read_text() for path in (tmp_path / 'run').rglob('*.log'))
    assert 'nothing can be compared, none of the 8 positive images has an annotated point' in log


def test_soft_weights_reach_the_data_set(tmp_path) -> None:
    criterion = dict(type='SoftDisagreement', radius_px=12, softness_px=4)
    _, _, epochs = train(tmp_path, judge_from=1, min_kept=0.0, criterion=criterion)
    judged = json.loads((tmp_path / 'run' / 'hard_samples.json').read_text())['images']
    expected = [1 / (1 + np.exp((sample['distance_px'] - 12) / 4)) for sample in judged]
    weights = epochs[2]['weights'][1::2]
    assert weights == pytest.approx(expected, abs=1e-6)
    assert len(set(weights.round(3).tolist())) > 1


def test_the_checkpoint_is_the_average(tmp_path) -> None:
    _, checkpoint, epochs = train(tmp_path)
    saved = read_checkpoint(checkpoint)
    average = epochs[saved['meta']['epoch'] - 1]['average']
    for key, value in saved['state_dict'].items():
        if value.is_floating_point():
            torch.testing.assert_close(value, average[key])


def test_a_resumed_training_reaches_the_same_weights(tmp_path) -> None:
    whole = tiny_config(tmp_path / 'a', train_cfg__max_epochs=3)
    parts = tiny_config(tmp_path / 'b', train_cfg__max_epochs=3)
    for config in (whole, parts):
        config.custom_hooks = [*config.custom_hooks, dict(type='EMATeacherHook', judge_from=1, min_kept=0.0)]
    runs.train(whole, tmp_path / 'whole')
    first = copy.deepcopy(parts)
    first.train_cfg.max_epochs = 2
    # The schedule must be the whole run's, only the stop is early.
    first.param_scheduler[0].T_max = 3
    first.param_scheduler[0].end = 3
    runs.train(first, tmp_path / 'parts')
    runs.train(parts, tmp_path / 'parts', resume=True)
    states = [read_checkpoint(tmp_path / name / 'epoch_3.pth') for name in ('whole', 'parts')]
    for key in ('state_dict', 'ema_state_dict'):
        for name, value in states[0][key].items():
            assert torch.equal(value, states[1][key][name]), (key, name)


def test_verdicts_of_an_older_training_are_not_taken_up(tmp_path) -> None:
    train(tmp_path / 'first', judge_from=1, min_kept=0.0)
    stale = tmp_path / 'first' / 'run' / 'hard_samples.json'
    (tmp_path / 'second' / 'run').mkdir(parents=True)
    (tmp_path / 'second' / 'run' / stale.name).write_text(stale.read_text())
    _Spy.seen = []
    config = tiny_config(tmp_path / 'second', train_cfg__max_epochs=3, train_cfg__val_interval=3)
    config.custom_hooks = [*config.custom_hooks, dict(type='_Spy', momentum=0.1, gamma=2, judge_from=1, min_kept=0.0)]
    runs.train(config, tmp_path / 'second' / 'run')
    assert [epoch['weights'].min() for epoch in _Spy.seen] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ('settings', 'words'),
    [({'judge_from': 0}, 'judge_from must be at least 1'), ({'min_kept': 2}, 'share from 0 to 1')],
)
def test_bad_settings_are_refused(settings, words) -> None:
    with pytest.raises(ConfigError, match=words):
        EMATeacherHook(**settings)


@pytest.mark.parametrize(
    ('criterion', 'words'),
    [({'type': 'RandomDrop', 'number': 1}, 'looks at no prediction'), ({'type': 'PseudoLabel'}, 'gives new labels')],
)
def test_criteria_that_a_running_training_cannot_follow_are_refused(criterion, words, tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=2)
    config.custom_hooks = [*config.custom_hooks, dict(type='EMATeacherHook', judge_from=1, criterion=criterion)]
    with pytest.raises(ConfigError, match=words):
        runs.train(config, tmp_path / 'run')


@CRITERIA.register_module(force=True)
class _DropsOneCase(Criterion):
    """Judges by what the annotation file says of an image."""

    def judge(self, image, record, *, image_threshold) -> Verdict:
        return Verdict(image['case_id'] != 'train_1', 'agreement', 0.0)


def test_a_criterion_is_given_the_images_entry(tmp_path) -> None:
    train(tmp_path, judge_from=1, criterion={'type': '_DropsOneCase'})
    judged = json.loads((tmp_path / 'run' / 'hard_samples.json').read_text())['images']
    assert {sample['case_id'] for sample in judged if sample['verdict'] == 'drop'} == {'train_1'}
    assert {sample['case_id'] for sample in judged if sample['verdict'] == 'keep'} == {'train_3'}


def test_without_a_criterion_it_says_so(tmp_path) -> None:
    config = tiny_config(tmp_path)
    config.pop('distillation')
    config.custom_hooks = [*config.custom_hooks, dict(type='EMATeacherHook')]
    with pytest.raises(ConfigError, match='nothing to judge by'):
        runs.train(config, tmp_path / 'run')
