"""The distance on the training images: what it measures, where it is logged, and that training does not notice it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny_experiment import tiny_config, write_tiny

from mitouts.checkpoint import read_checkpoint
from mitouts.engine import runs
from mitouts.engine.hooks import TrainingDistanceHook
from mitouts.errors import ConfigError
from mitouts.evaluation.predicting import predict_figures
from mitouts.registry import DATASETS, EVALUATOR
from mitouts.visualization.scalars import is_training_line, read_scalars

REPOSITORY = Path(__file__).resolve().parents[2]
KEYS = ('train/distance_px', 'train/one_to_one_f1')


def _config(folder: Path, hooks: list[dict[str, Any]], **overrides: Any) -> Config:
    config = tiny_config(folder, **overrides)
    config.custom_hooks = [*config.custom_hooks, *hooks]
    return config


def _validations(work_dir: Path) -> list[dict[str, Any]]:
    return [entry for entry in read_scalars(work_dir) if not is_training_line(entry)]


def _distance_px(record: Any, threshold: float) -> float:
    """Least distance over all pairs, or the diagonal."""
    points = record.prediction.above(threshold)[:, :2]
    if not len(points):
        return float(np.sqrt(record.truth.width**2 + record.truth.height**2))
    return float(np.linalg.norm(points[:, None] - record.truth.points[None], axis=2).min())


def _reference(config: Config, checkpoint: Path, work_dir: Path) -> tuple[float, float]:
    """Mean distance and F1 of a test on the training images."""
    config.test_dataloader.dataset.ann_file = config.train_dataloader.dataset.ann_file
    tested = runs.evaluate(config, checkpoint, work_dir)
    distances = [
        _distance_px(record, tested.results['map_threshold']) for record in tested.records if len(record.truth.points)
    ]
    assert len(distances) == 8
    return float(np.mean(distances)), tested.results['one_to_one']['f1']


def test_values_are_those_of_a_test_on_the_training_images_in_every_second_validation(tmp_path: Path) -> None:
    config = _config(tmp_path, [dict(type='TrainingDistanceHook', interval=2)], train_cfg__max_epochs=5)
    runs.train(config, tmp_path / 'run')
    logged = _validations(tmp_path / 'run')
    assert all('image/f1' in entry for entry in logged)
    for key in KEYS:
        assert [entry['step'] for entry in logged if key in entry] == [2, 4, 5]
    assert len({entry['train/distance_px'] for entry in logged if 'train/distance_px' in entry}) > 1
    expected = _reference(config, tmp_path / 'run' / 'epoch_5.pth', tmp_path / 'test')
    assert [logged[-1][key] for key in KEYS] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    'hook', [dict(type='TrainingDistanceHook'), dict(type='EMATeacherHook', judge_from=1, min_kept=0)]
)
def test_images_are_read_by_the_workers_of_the_training(
    hook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def locate(*args: Any, num_workers: int = 0, **kwargs: Any) -> Any:
        given.append(num_workers)
        return predict_figures(*args, num_workers=num_workers, **kwargs)

    for module in ('training_distance', 'ema_teacher'):
        monkeypatch.setattr(f'mitouts.engine.hooks.{module}.predict_figures', locate)
    config = _config(tmp_path, [hook], train_cfg__max_epochs=2, train_dataloader__num_workers=1)
    runs.train(config, tmp_path / 'run')
    assert set(given) == {1}


def test_where_there_is_a_moving_average_it_is_measured(tmp_path: Path) -> None:
    hooks = [dict(type='EMAHook', momentum=0.3), dict(type='TrainingDistanceHook')]
    config = _config(tmp_path, hooks, train_cfg__max_epochs=2)
    runs.train(config, tmp_path / 'run')
    expected = _reference(config, tmp_path / 'run' / 'epoch_2.pth', tmp_path / 'test')
    assert [_validations(tmp_path / 'run')[-1][key] for key in KEYS] == pytest.approx(expected, abs=1e-3)


def test_a_training_does_not_notice_it(tmp_path: Path) -> None:
    states = []
    for name, hooks in (('without', []), ('with', [dict(type='TrainingDistanceHook')])):
        config = _config(tmp_path / name, hooks, train_cfg__max_epochs=2)
        # It would set the random numbers right again before each epoch.
        config.custom_hooks = [hook for hook in config.custom_hooks if hook['type'] != 'EpochSeedHook']
        runs.train(config, tmp_path / name / 'run')
        states.append(read_checkpoint(tmp_path / name / 'run' / 'epoch_2.pth')['state_dict'])
        states[-1]['random'] = torch.rand(4)
        states[-1]['numpy'] = torch.from_numpy(np.random.random(4))  # noqa: NPY002
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def _begun(config: Config, **arguments: Any) -> TrainingDistanceHook:
    """The hook when a training begins."""
    evaluator = EVALUATOR.build(config.val_evaluator) if config.get('val_evaluator') else None
    hook = TrainingDistanceHook(**arguments)
    loader = SimpleNamespace(dataset=DATASETS.build(config.train_dataloader.dataset))
    hook.before_train(SimpleNamespace(cfg=config, val_loop=evaluator, val_evaluator=evaluator, train_dataloader=loader))
    return hook


def test_radius_is_the_given_one_or_that_of_the_validation(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    assert _begun(config, radius_px=7).metric.radii == (7,)
    assert _begun(config).metric.radii == (12,)
    config.val_evaluator.metrics = [dict(type='ImageMetric'), dict(type='CentroidMetric', radius_um=[3.75, 7.5])]
    assert (_begun(config).metric.radii, _begun(config).metric.unit) == ((3.75,), 'um')
    config.val_evaluator.metrics = [dict(type='ImageMetric')]
    assert _begun(config).metric.radii == (30,)


def test_a_training_without_validation_is_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config.pop('val_evaluator')
    with pytest.raises(ConfigError, match='TrainingDistanceHook needs a validation'):
        _begun(config)


def test_a_training_set_without_points_is_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    path = Path(config.train_dataloader.dataset.ann_file)
    document = json.loads(path.read_text())
    images = [{**image, 'label': image['id'] % 2} for image in document['images']]
    path.write_text(json.dumps({**document, 'images': images, 'annotations': []}))
    with pytest.raises(ConfigError, match='no positive training image has an annotated point'):
        _begun(config)


def test_an_interval_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match='interval must be at least 1'):
        TrainingDistanceHook(interval=0)


@pytest.mark.slow
def test_two_processes_log_what_one_measures(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    # Without the former each process would measure with batch norm statistics of its own.
    hooks = "[dict(type='SyncBuffersHook'), dict(type='TrainingDistanceHook')]"
    path.write_text(path.read_text() + f'custom_hooks += {hooks}\n')
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=0']
    command += ['--rdzv_backend=c10d', '--rdzv_endpoint=localhost:0', str(REPOSITORY / 'tools' / 'train.py'), str(path)]
    command += ['--work-dir', str(tmp_path / 'two'), '--launcher', 'pytorch']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = _reference(Config.fromfile(path), tmp_path / 'two' / 'epoch_3.pth', tmp_path / 'test')
    assert [_validations(tmp_path / 'two')[-1][key] for key in KEYS] == pytest.approx(expected, abs=1e-3)
