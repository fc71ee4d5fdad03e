"""Whole trainings on a tiny data set: what is saved, what is resumed, what stops them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_experiment import tiny_config, write_tiny

from mitouts.checkpoint import need_finite, read_checkpoint, write_checkpoint
from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.errors import AnnotationError, CheckpointError, ConfigError, TrainingError
from mitouts.registry import MODELS

REPOSITORY = Path(__file__).resolve().parents[2]


def assert_same_weights(first: Path, second: Path) -> None:
    one, two = read_checkpoint(first)['state_dict'], read_checkpoint(second)['state_dict']
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_checkpoints_carry_the_calibration_of_their_epoch(tmp_path) -> None:
    config = tiny_config(tmp_path)
    trained = runs.train(config, tmp_path / 'run')
    assert trained.checkpoint == tmp_path / 'run' / 'best.pth'
    assert sorted(path.name for path in (tmp_path / 'run').glob('*.pth')) == ['best.pth', 'epoch_3.pth']
    best = torch.load(trained.checkpoint, weights_only=True)
    calibration = best['meta']['mitouts']
    assert calibration['mpp'] == 0.25
    assert calibration['classes'] == ['mitotic figure']
    assert calibration['dataset'] == 'train'
    assert calibration['geometry'] == {'stride': 4, 'center_offset_px': 3.0, 'receptive_radius_px': 5.0}
    assert 0 <= calibration['map_threshold'] <= 1
    assert trained.minutes > 0
    tested = runs.evaluate(config, trained.checkpoint, tmp_path / 'test', out=tmp_path / 'p.json')
    assert tested.results['map_threshold'] == calibration['map_threshold']
    assert tested.results['images'] == 8
    assert (tmp_path / 'p.json').is_file()


def test_best_is_the_epoch_with_the_best_validation(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=4)
    runs.train(config, tmp_path / 'run')
    scores = [
        entry['image/f1']
        for entry in map(json.loads, next((tmp_path / 'run').glob('2*/vis_data/scalars.json')).read_text().splitlines())
        if 'image/f1' in entry
    ]
    best = read_checkpoint(tmp_path / 'run' / 'best.pth')['meta']['epoch']
    assert len(scores) == 4
    assert best == 1 + scores.index(max(scores))


def test_a_resumed_run_reaches_the_same_weights_bit_by_bit(tmp_path) -> None:
    config = tiny_config(tmp_path)
    runs.train(config, tmp_path / 'whole')
    first = load_config(tmp_path / 'tiny.py')
    first.train_cfg.max_epochs = 1
    # The schedule must be the whole run's, only the stop is early.
    first.param_scheduler[0].T_max = 3
    first.param_scheduler[0].end = 3
    runs.train(first, tmp_path / 'parts')
    assert_same_weights_not(tmp_path / 'parts' / 'epoch_1.pth', tmp_path / 'whole' / 'epoch_3.pth')
    runs.train(load_config(tmp_path / 'tiny.py'), tmp_path / 'parts', resume=True)
    assert_same_weights(tmp_path / 'parts' / 'epoch_3.pth', tmp_path / 'whole' / 'epoch_3.pth')


def assert_same_weights_not(first: Path, second: Path) -> None:
    one, two = read_checkpoint(first)['state_dict'], read_checkpoint(second)['state_dict']
    assert any(not torch.equal(one[key], two[key]) for key in one)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path) -> None:
    config = write_tiny(tmp_path)
    runs.train(load_config(config, ['train_cfg.max_epochs=6']), tmp_path / 'whole')
    command = [sys.executable, REPOSITORY / 'tools' / 'train.py', config, '--work-dir', tmp_path / 'killed', '--resume']
    command += ['--cfg-options', 'train_cfg.max_epochs=6']
    environment = {**os.environ, 'OMP_NUM_THREADS': str(torch.get_num_threads())}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((tmp_path / 'killed').glob('epoch_[2345].pth')):
        assert process.poll() is None, 'the run ended before it could be killed'
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / 'killed' / 'epoch_6.pth').exists()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert_same_weights(tmp_path / 'killed' / 'epoch_6.pth', tmp_path / 'whole' / 'epoch_6.pth')


@MODELS.register_module()
class BreaksInEpochTwo(torch.nn.Module):
    """A loss that is not a number after the first epoch of four batches."""

    calls = 0

    def forward(self, image_logit: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        BreaksInEpochTwo.calls += 1
        loss = (image_logit - labels).square().mean()
        return loss * float('nan') if BreaksInEpochTwo.calls > 5 else loss


def test_nan_stops_names_the_batch_and_keeps_the_last_checkpoint(tmp_path) -> None:
    BreaksInEpochTwo.calls = 0
    config = tiny_config(tmp_path, model__head__loss=dict(type='BreaksInEpochTwo'))
    with pytest.raises(TrainingError, match=r'loss is nan in epoch 2, batch 2.*train_\d\d\.png.*epoch_1\.pth'):
        runs.train(config, tmp_path / 'run')
    state = read_checkpoint(tmp_path / 'run' / 'epoch_1.pth')['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())


def test_a_new_training_sets_older_checkpoints_aside(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    runs.train(config, tmp_path / 'run')
    before = (tmp_path / 'run' / 'best.pth').read_bytes()
    runs.train(config, tmp_path / 'run')
    assert (tmp_path / 'run' / 'previous_1' / 'best.pth').read_bytes() == before


def test_wrong_checkpoint_for_the_config(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    trained = runs.train(config, tmp_path / 'run')
    config.model.head.bias = False
    with pytest.raises(CheckpointError, match=r'does not fit the config.*classifier.bias is unknown'):
        runs.evaluate(config, trained.checkpoint, tmp_path / 'test')


def test_a_checkpoint_without_thresholds_cannot_be_tested(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        config.pop(key)
    trained = runs.train(config, tmp_path / 'run')
    assert trained.checkpoint.name == 'epoch_1.pth'
    with pytest.raises(CheckpointError, match='carries no thresholds'):
        runs.evaluate(config, trained.checkpoint, tmp_path / 'test')


def test_validation_with_one_class_says_what_to_do(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    config.val_dataloader.dataset.case_subset = ['val_0', 'val_2']
    with pytest.raises(AnnotationError, match=r'thresholds cannot be chosen.*FixedThreshold'):
        runs.train(config, tmp_path / 'run')


def test_fixed_thresholds_need_no_classes(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    config.val_dataloader.dataset.case_subset = ['val_0', 'val_2']
    config.val_evaluator.image_threshold = dict(type='FixedThreshold', value=0.4)
    trained = runs.train(config, tmp_path / 'run')
    calibration = read_checkpoint(trained.checkpoint)['meta']['mitouts']
    assert (calibration['image_threshold'], calibration['map_threshold']) == (0.4, 0.4)


def test_an_image_in_two_splits_stops_before_the_training(tmp_path) -> None:
    config = tiny_config(tmp_path)
    config.val_dataloader.dataset.ann_file = config.train_dataloader.dataset.ann_file
    with pytest.raises(AnnotationError, match=r'train_00\.png is in the splits train and val'):
        runs.train(config, tmp_path / 'run')


def test_a_missing_test_image_stops_before_the_training(tmp_path) -> None:
    config = tiny_config(tmp_path)
    (tmp_path / 'data' / 'test_03.png').unlink()
    with pytest.raises(AnnotationError, match=r'1 of 8 images do not exist, the first is .*test_03\.png'):
        runs.train(config, tmp_path / 'run')


def test_a_checkpoint_without_meta_says_what_it_lacks(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    trained = runs.train(config, tmp_path / 'run')
    write_checkpoint(tmp_path / 'bare.pth', {'state_dict': read_checkpoint(trained.checkpoint)['state_dict']})
    with pytest.raises(CheckpointError, match='carries no thresholds'):
        runs.evaluate(config, tmp_path / 'bare.pth', tmp_path / 'test')
    (tmp_path / 'run' / 'last_checkpoint').write_text('best.pth')
    with pytest.raises(CheckpointError, match=r'lacks optimizer, message_hub.*no training can go on'):
        runs.train(config, tmp_path / 'run', resume=True)


def test_weights_that_are_not_finite_are_not_saved(tmp_path) -> None:
    config = tiny_config(tmp_path)
    trained = runs.train(config, tmp_path / 'run')
    before = {path.name: path.read_bytes() for path in (tmp_path / 'run').glob('*.pth')}
    state = read_checkpoint(trained.checkpoint)['state_dict']
    state['head.classifier.bias'] = torch.tensor([float('nan')])
    with pytest.raises(TrainingError, match=r"1 of \d+ entries are not finite, the first is 'head.classifier.bias'"):
        need_finite(state, 'epoch_4.pth')
    assert before == {path.name: path.read_bytes() for path in (tmp_path / 'run').glob('*.pth')}


def test_thresholds_belong_to_the_epoch_they_were_chosen_in(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__val_interval=2)
    config.default_hooks.checkpoint.max_keep = 3
    runs.train(config, tmp_path / 'run')
    calibrated = [bool(read_checkpoint(tmp_path / 'run' / f'epoch_{n}.pth')['meta']['mitouts']) for n in (1, 2, 3)]
    # The last epoch is always validated.
    assert calibrated == [False, True, True]


def test_too_few_images_for_a_batch(tmp_path) -> None:
    config = tiny_config(tmp_path, train_dataloader__batch_size=32)
    with pytest.raises(ConfigError, match=r'16 images, too few for one batch of 32'):
        runs.train(config, tmp_path / 'run')


def test_a_component_that_rejects_an_argument_is_a_config_error(tmp_path) -> None:
    config = tiny_config(tmp_path, model__head__dropot=0.1)
    with pytest.raises(ConfigError, match=r'cannot be built: TypeError: .*dropot'):
        runs.train(config, tmp_path / 'run')


def test_resuming_a_fine_tuning_does_not_start_it_again(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    start = runs.train(config, tmp_path / 'start').checkpoint
    config = load_config(tmp_path / 'tiny.py', [f'load_from={start}', 'train_cfg.max_epochs=2'])
    runs.train(config, tmp_path / 'tuned')
    before = (tmp_path / 'tuned' / 'epoch_2.pth').read_bytes()
    runs.train(config, tmp_path / 'tuned', resume=True)
    assert (tmp_path / 'tuned' / 'epoch_2.pth').read_bytes() == before


def test_a_work_dir_can_be_moved_and_resumed(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    runs.train(config, tmp_path / 'here')
    (tmp_path / 'here').rename(tmp_path / 'there')
    assert runs.newest_checkpoint(tmp_path / 'there') == tmp_path / 'there' / 'epoch_1.pth'
