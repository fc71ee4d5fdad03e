"""Processes: one, or several under torchrun or Slurm, on GPUs or CPUs."""

from __future__ import annotations

import os

import torch
from mmengine.config import Config

from mitouts.errors import ConfigError

LAUNCHERS = ('none', 'pytorch', 'slurm')


def init_launcher(launcher: str) -> None:
    """Join the process group; a machine without GPUs talks through gloo.

    mmengine's own initialization selects a CUDA device even for gloo, so the group has to exist before the runner.

    Raises:
        ConfigError: ``pytorch`` outside of torchrun.
    """
    if launcher == 'pytorch' and not torch.cuda.is_available():
        if 'RANK' not in os.environ:
            raise ConfigError('--launcher pytorch must be started by torchrun, see tools/dist_train.sh')
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group('gloo')


def set_launcher(config: Config, launcher: str) -> None:
    """Tell the runner how it was started."""
    config.launcher = launcher
    if launcher != 'none' and not torch.cuda.is_available():
        config.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
