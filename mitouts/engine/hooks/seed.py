"""Seeds random numbers by seed, epoch and rank, so that they do not depend on what the process did before."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook

from mitouts.errors import ConfigError
from mitouts.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Before each epoch, reseeds torch and tells the dataset the number of the epoch.

    Without it a resumed run would draw other dropout masks than an uninterrupted one, and workers would repeat the same
    augmentation every epoch.

    Raises:
        ConfigError: The training set cannot be told.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Any) -> None:
        dataset = runner.train_dataloader.dataset
        if not hasattr(dataset, 'set_epoch'):
            raise ConfigError(
                f'EpochSeedHook: the training set, a {type(dataset).__name__}, has no set_epoch(epoch), so its '
                'augmentation would be the same in every epoch: derive it from '
                'mitouts.datasets.seeded.SeededDataset, or remove the hook from custom_hooks'
            )

    def before_train_epoch(self, runner: Any) -> None:
        key = [runner.seed or 0, runner.epoch, runner.rank]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        dataset = runner.train_dataloader.dataset
        dataset.seed = runner.seed or 0
        dataset.set_epoch(runner.epoch)
