"""A fine-tuning starts without the thresholds of the model whose weights it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny_experiment import tiny_config

from mitouts.checkpoint import read_checkpoint, write_checkpoint
from mitouts.engine import runs
from mitouts.engine.hooks.calibration import forget_calibration
from mitouts.errors import CheckpointError
from mitouts.imaging.image import read_rgb
from mitouts.inference import Localizer
from mitouts.registry import HOOKS, MODELS

# As of a model that was trained on other images: of the very epoch that the fine-tuning will reach unvalidated.
OLD = {
    'image_threshold': 0.123,
    'map_threshold': 0.0456,
    'drift_px': [3.0, -2.0],
    'mpp': 0.5,
    'stain_reference': 'of another scanner',
    'epoch': 1,
}


@HOOKS.register_module(force=True)
class _Look(Hook):
    """Notes the calibration that each epoch begins with, and the weights of the images that it trains on."""

    calibrations: list[dict[str, Any]] = []
    weights: list[list[float]] = []

    def before_train_epoch(self, runner: Any) -> None:
        self.calibrations.append(dict(runner.bare_model.calibration))
        self.weights.append(runner.train_dataloader.dataset.weights().tolist())


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    _Look.calibrations, _Look.weights = [], []


@pytest.fixture
def tuning(tmp_path: Path) -> Config:
    """Three epochs from an older model, validated after the last one only."""
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    checkpoint = read_checkpoint(runs.train(config, tmp_path / 'old').checkpoint)
    checkpoint['meta']['mitouts'] |= OLD
    write_checkpoint(tmp_path / 'old.pth', checkpoint)
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=3)
    config.load_from = str(tmp_path / 'old.pth')
    config.default_hooks.checkpoint.max_keep = 3
    config.custom_hooks = [*config.custom_hooks, dict(type='_Look', priority='LOWEST')]
    return config


def test_no_checkpoint_of_a_fine_tuning_carries_the_old_thresholds(tuning, tmp_path) -> None:
    runs.train(tuning, tmp_path / 'tuned')
    kept = [read_checkpoint(tmp_path / 'tuned' / f'epoch_{epoch}.pth')['meta']['mitouts'] for epoch in (1, 2, 3)]
    assert _Look.calibrations == [{}, {}, {}]
    assert kept[:2] == [{}, {}]
    assert kept[2]['epoch'] == 3
    assert not {key for key in OLD if kept[2][key] == OLD[key]}
    with pytest.raises(CheckpointError, match='carries no thresholds'):
        runs.evaluate(tuning, tmp_path / 'tuned' / 'epoch_1.pth', tmp_path / 'test')


def test_no_teacher_judges_by_the_old_thresholds(tuning, tmp_path) -> None:
    tuning.custom_hooks = [dict(type='EMATeacherHook', judge_from=1, min_kept=0.0), *tuning.custom_hooks]
    runs.train(tuning, tmp_path / 'tuned')
    assert _Look.weights == [[1.0] * 16] * 3
    assert not (tmp_path / 'tuned' / 'hard_samples.json').exists()


def test_a_resumed_fine_tuning_keeps_its_own_thresholds(tuning, tmp_path) -> None:
    tuning.train_cfg.val_interval = 1
    runs.train(tuning, tmp_path / 'tuned')
    second = read_checkpoint(tmp_path / 'tuned' / 'epoch_2.pth')['meta']['mitouts']
    (tmp_path / 'tuned' / runs.POINTER_NAME).write_text('epoch_2.pth')
    _Look.calibrations = []
    runs.train(tuning, tmp_path / 'tuned', resume=True)
    assert _Look.calibrations == [second]


def test_a_test_goes_by_the_thresholds_of_its_checkpoint(tuning, tmp_path) -> None:
    checkpoint = read_checkpoint(tuning.load_from)
    # Images of another resolution, and of unknown colours, are refused.
    checkpoint['meta']['mitouts'] |= {'mpp': 0.25, 'stain_reference': None}
    write_checkpoint(tmp_path / 'seen.pth', checkpoint)
    results = runs.evaluate(tuning, tmp_path / 'seen.pth', tmp_path / 'test').results
    assert (results['image_threshold'], results['map_threshold']) == (0.123, 0.0456)
    assert results['drift_px'] == [3.0, -2.0]


def _cascade() -> Any:
    part = {
        'type': 'WSSLocalizer',
        'backbone': {'type': 'BlobFilter'},
        'head': {'type': 'InstanceHead', 'aggregator': {'type': 'MaxAggregator'}},
    }
    model = MODELS.build({'type': 'CascadeLocalizer', 'proposer': part, 'verifier': part})
    model.calibration = {**OLD, 'proposer': dict(OLD), 'verifier': dict(OLD)}
    return model


def test_a_trained_part_of_a_cascade_loses_its_calibration_and_a_frozen_one_keeps_it() -> None:
    model = _cascade()
    model.proposer.requires_grad_(False)
    forget_calibration(model)
    assert model.calibration == {'proposer': OLD, 'verifier': {}}


def test_thresholds_of_a_training_are_for_the_rotations_of_its_validation(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    config.val_evaluator.rotations = 4
    checkpoint = runs.train(config, tmp_path / 'run').checkpoint
    assert read_checkpoint(checkpoint)['meta']['mitouts']['rotations'] == 4
    localizer = Localizer.from_checkpoint(checkpoint)
    for rotations in (None, 1):
        if rotations is not None:
            config.test_evaluator.rotations = rotations
        used = Localizer.from_checkpoint(checkpoint, rotations=rotations)
        tested = runs.evaluate(config, checkpoint, tmp_path / f'test_{rotations}')
        for record in tested.records:
            prediction = used.predict(read_rgb(record.truth.path))
            assert prediction.score == pytest.approx(record.prediction.score, abs=1e-5)
    assert (localizer.rotations, used.rotations) == (4, 1)
