"""A fine-tuning without validation keeps thresholds, and batch norms keep their statistics."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from tiny_experiment import tiny_config

from mitouts.checkpoint import read_checkpoint
from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.errors import ConfigError

HOOKS = [dict(type=name) for name in ('EpochSeedHook', 'NonFiniteLossHook', 'TrainingClockHook')]


@pytest.fixture
def tuning(tmp_path: Path) -> Config:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    config.load_from = str(runs.train(config, tmp_path / 'start').checkpoint)
    config.train_cfg.max_epochs = 2
    config.custom_hooks = [
        *HOOKS,
        dict(type='CalibrationHook', keep=True),
        dict(type='FrozenBatchNormHook', frozen=True),
    ]
    for key in runs.VALIDATION_KEYS:
        config[key] = None
    return config


def statistics(path: str | Path) -> dict[str, torch.Tensor]:
    weights = read_checkpoint(path)['state_dict']
    return {name: value for name, value in weights.items() if 'running_' in name}


def test_thresholds_and_statistics_are_kept_and_weights_are_not(tuning: Config, tmp_path: Path) -> None:
    tuned = runs.train(tuning, tmp_path / 'tuned').checkpoint
    before, after = (read_checkpoint(path) for path in (tuning.load_from, tuned))
    for key in ('image_threshold', 'map_threshold', 'mpp', 'geometry'):
        assert after['meta']['mitouts'][key] == before['meta']['mitouts'][key]
    assert after['meta']['mitouts']['epoch'] == 2
    old, new = statistics(tuning.load_from), statistics(tuned)
    assert old
    assert all(torch.equal(old[name], new[name]) for name in old)
    weights = before['state_dict']
    assert any(not torch.equal(value, after['state_dict'][name]) for name, value in weights.items())
    # The ordinary test takes it.
    runs.evaluate(tuning, tuned, tmp_path / 'test')


def test_statistics_may_follow_the_new_images(tuning: Config, tmp_path: Path) -> None:
    tuning.custom_hooks[-1].frozen = False
    new = statistics(runs.train(tuning, tmp_path / 'tuned').checkpoint)
    old = statistics(tuning.load_from)
    assert any(not torch.equal(old[name], new[name]) for name in old)


def test_without_thresholds_to_keep_it_is_refused(tuning: Config, tmp_path: Path) -> None:
    tuning.load_from = None
    with pytest.raises(ConfigError, match=r'has no thresholds to keep; start from a best\.pth or a model of the zoo'):
        runs.train(tuning, tmp_path / 'tuned')


def test_load_from_takes_a_name_out_of_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_config(tmp_path)
    monkeypatch.setattr('mitouts.engine.config.zoo_models', lambda: {'starter': Path('/zoo/starter.pth')})
    assert load_config(tmp_path / 'tiny.py', ['load_from=starter']).load_from == '/zoo/starter.pth'
    assert load_config(tmp_path / 'tiny.py', ['load_from=other.pth']).load_from == 'other.pth'
