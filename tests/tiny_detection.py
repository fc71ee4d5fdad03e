"""A phantom of a few images, on which a detection config trains in seconds."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest
from mmengine.config import Config
from untrained import make_model, save_checkpoint

from mitouts.engine.config import load_config

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGS = REPOSITORY / 'configs' / 'detection'
SIZE_PX = 128
IMAGES = 4


def write_phantom(folder: Path) -> Path:
    """Write ``train.json``, ``val.json`` and ``test.json`` of half positive images, and a localizer's checkpoint.

    Returns:
        The folder.
    """
    path = REPOSITORY / 'tools' / 'dataset_converters' / 'phantom.py'
    counts = [f'--num-{split}={IMAGES}' for split in ('train', 'val', 'test')]
    arguments = [path.name, f'--out={folder}', *counts, f'--size-px={SIZE_PX}', '--noise=0', '--workers=1']
    with mock.patch.object(sys, 'argv', arguments), pytest.raises(SystemExit, match=r'^0$'):
        runpy.run_path(str(path), run_name='__main__')
    model = make_model()
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5}
    save_checkpoint(folder / 'localizer.pth', model)
    return folder


def staged_overrides(names: Sequence[str], data: Path) -> list[str]:
    """The same for every stage of a cascade; what so short trainings find decides neither what is kept nor proposed."""
    found = [f'*.{option}' for option in _small(data)]
    if 'distill' in names:
        found += ['distill.distillation.criterion.policy=no_false', 'distill.distillation.criterion.radius_px=200']
    return [*found, '+propose.proposals.min_score=0.0001']


def _small(data: Path) -> list[str]:
    """Overrides that bring a detection config down to one epoch of a few images."""
    found = ['train_cfg.max_epochs=1', 'log_level=WARNING', 'default_hooks.logger.interval=1']
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        found += [f'{loader}.dataset.ann_file={data}/{split}.json', f'{loader}.batch_size=2']
        found += [f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
    return found


def overrides(config: Config, data: Path) -> list[str]:
    """Overrides of a config with one training."""
    found = _small(data)
    if 'checkpoint' in (config.model.get('masks') or {}):
        found.append(f'model.masks.checkpoint={data}/localizer.pth')
    return found


def tiny(path: Path, data: Path) -> Config:
    """A detection config, ready to be run on the phantom."""
    return load_config(path, overrides(load_config(path), data))
