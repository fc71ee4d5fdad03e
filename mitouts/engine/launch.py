"""Processes: one, or several under torchrun or Slurm, on GPUs or CPUs."""

from __future__ import annotations

import os

import torch
from mmengine.config import Config
from mmengine.dist import init_dist

from mitouts.errors import ConfigError

LAUNCHERS = ('none', 'pytorch', 'slurm')
NEEDED = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
}
HINTS = {'pytorch': 'torchrun, see tools/dist_train.sh', 'slurm': 'srun, see tools/slurm_train.sh'}


def init_launcher(launcher: str) -> None:
    """Join the process group, before anything asks which rank it is.

    A machine without GPUs talks through gloo: mmengine's own initialization selects a CUDA device even for that.

    Raises:
        ConfigError: The launcher's environment is not there, or Slurm is asked for without GPUs.
    """
    if launcher == 'none' or torch.distributed.is_initialized():
        return
    missing = [name for name in NEEDED[launcher] if name not in os.environ]
    if missing:
        raise ConfigError(
            f'--launcher {launcher} must be started by {HINTS[launcher]}; {", ".join(missing)} not in the environment'
        )
    if torch.cuda.is_available():
        init_dist(launcher, backend='nccl')
    elif launcher == 'slurm':
        raise ConfigError('--launcher slurm needs GPUs and none is visible: on CPU nodes start tools/dist_train.sh')
    else:
        torch.distributed.init_process_group('gloo')


def set_launcher(config: Config, launcher: str) -> None:
    """Tell the runner how it was started."""
    config.launcher = launcher
    if launcher != 'none' and not torch.cuda.is_available():
        config.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
