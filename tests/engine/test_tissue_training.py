"""A tissue model through the same training and test as a localizer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tissue_experiment import tissue_config, write_tissue

from mitouts.checkpoint import read_checkpoint
from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.errors import AnnotationError, ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_training_keeps_the_best_dice_and_says_what_the_model_needs(tmp_path) -> None:
    config = tissue_config(tmp_path)
    trained = runs.train(config, tmp_path / 'run')
    assert trained.checkpoint.name == 'best.pth'
    calibration = torch.load(trained.checkpoint, weights_only=True)['meta']['mitouts']
    assert calibration['mpp'] == 0.5
    assert calibration['classes'] == ['tumour', 'other']
    assert calibration['label_map'] == {'tumour': [1], 'other': [2]}
    assert calibration['ignore_codes'] == [0]
    assert calibration['tile_px'] == 32
    tested = runs.evaluate(config, trained.checkpoint, tmp_path / 'test')
    assert tested.results['images'] == 3
    # Two colours: anything that learns at all tells them apart.
    assert tested.results['dice']['mean'] > 0.8
    # Three columns of 48 rows in each image are not labelled.
    assert tested.results['pixel']['count'] == sum(48 * (48 + 7 * number - 3) for number in range(3))


def test_a_resumed_run_reaches_the_same_weights_bit_by_bit(tmp_path) -> None:
    config = tissue_config(tmp_path, train_cfg__max_epochs=2)
    runs.train(config, tmp_path / 'whole')
    first = load_config(tmp_path / 'tissue.py', ['train_cfg.max_epochs=1'])
    first.param_scheduler[0].T_max = first.param_scheduler[0].end = 2
    runs.train(first, tmp_path / 'parts')
    runs.train(load_config(tmp_path / 'tissue.py', ['train_cfg.max_epochs=2']), tmp_path / 'parts', resume=True)
    one, two = (read_checkpoint(tmp_path / name / 'epoch_2.pth')['state_dict'] for name in ('whole', 'parts'))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_an_epoch_without_validation_carries_no_calibration(tmp_path) -> None:
    config = tissue_config(tmp_path, train_cfg__max_epochs=2, train_cfg__val_interval=2)
    config.default_hooks.checkpoint.max_keep = 2
    runs.train(config, tmp_path / 'run')
    calibrated = [bool(read_checkpoint(tmp_path / 'run' / f'epoch_{n}.pth')['meta']['mitouts']) for n in (1, 2)]
    assert calibrated == [False, True]


def test_points_cannot_be_asked_of_it(tmp_path) -> None:
    config = tissue_config(tmp_path, train_cfg__max_epochs=1)
    trained = runs.train(config, tmp_path / 'run')
    with pytest.raises(ConfigError, match='TissueEvaluator finds no points'):
        runs.evaluate(config, trained.checkpoint, tmp_path / 'test', out=tmp_path / 'p.json')


def test_too_few_images_for_a_batch_names_the_data(tmp_path) -> None:
    config = tissue_config(tmp_path, train_dataloader__batch_size=32, train_dataloader__drop_last=True)
    with pytest.raises(ConfigError, match=r'data holds 16 images, too few for one batch of 32'):
        runs.train(config, tmp_path / 'run')


def test_a_missing_label_image_stops_before_the_training(tmp_path) -> None:
    config = tissue_config(tmp_path)
    next((tmp_path / 'data' / 'masks').glob('test_1*')).unlink()
    with pytest.raises(AnnotationError, match=r'1 of 3 label images do not exist, the first is .*test_1_MPP'):
        runs.train(config, tmp_path / 'run')


@pytest.mark.slow
def test_the_tools_train_and_test_it(tmp_path) -> None:
    config = write_tissue(tmp_path)
    command = [sys.executable, REPOSITORY / 'tools' / 'train.py', config, '--work-dir', tmp_path / 'run']
    subprocess.run([*command, '--cfg-options', 'train_cfg.max_epochs=1'], check=True, capture_output=True)
    command = [sys.executable, REPOSITORY / 'tools' / 'test.py', config, tmp_path / 'run' / 'best.pth']
    tested = subprocess.run([*command, '--work-dir', tmp_path / 't'], check=True, capture_output=True, text=True)
    assert 'tumour' in tested.stdout
    assert 'pixel accuracy' in tested.stdout
