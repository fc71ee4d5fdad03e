"""Starts a run in one process, or joins several under torchrun or Slurm, on GPUs or CPUs."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import subprocess
from collections.abc import Mapping

import torch
from mmengine.config import Config
from mmengine.dist import init_dist

from mitouts.errors import ConfigError

NEEDED = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'),
    # Those of the step: in a batch script without srun, Slurm speaks of tasks that nobody has started.
    'slurm': (
        *('SLURM_JOB_ID', 'SLURM_PROCID', 'SLURM_LOCALID'),
        *('SLURM_STEP_ID', 'SLURM_STEP_NUM_TASKS', 'SLURM_STEP_NODELIST'),
    ),
}
HINTS = {'pytorch': 'torchrun, see tools/dist_train.sh', 'slurm': 'srun, see tools/slurm_train.sh'}
# Below the ports that systems hand out by themselves; torchrun's own default, 29500, is outside.
SLURM_PORTS = range(20_000, 29_000)


def init_launcher(launcher: str) -> None:
    """Join the process group; call it before anything asks for the rank.

    A machine without GPUs communicates through gloo: mmengine's own initialization selects a CUDA device even for that.

    Raises:
        ConfigError: The launcher's environment is not there, or the processes do not find each other.
    """
    if launcher == 'none' or torch.distributed.is_initialized():
        return
    missing = [name for name in NEEDED[launcher] if name not in os.environ]
    if missing:
        raise ConfigError(
            f'--launcher {launcher} must be started by {HINTS[launcher]}; {", ".join(missing)} not in the environment'
        )
    if launcher == 'slurm':
        os.environ.update(torchrun_environment(os.environ, torch.cuda.device_count()))
    try:
        if torch.cuda.is_available():
            init_dist('pytorch', backend='nccl')
        else:
            torch.distributed.init_process_group('gloo')
    except torch.distributed.DistError as error:
        meeting = f'{os.environ["MASTER_ADDR"]}:{os.environ["MASTER_PORT"]}'
        raise ConfigError(
            f'the processes cannot meet at MASTER_ADDR:MASTER_PORT, {meeting} ({str(error).splitlines()[0]}); '
            'set both to what is free there and reached from every node'
        ) from error
    atexit.register(_leave)


def _leave() -> None:
    """Leave the process group; its threads would otherwise abort the process at its end."""
    # Where another process is gone already there is nobody to take leave of.
    with contextlib.suppress(RuntimeError):
        if torch.distributed.is_initialized():
            # A wrapped model holds the group, too.
            gc.collect()
            torch.distributed.destroy_process_group()


def torchrun_environment(environment: Mapping[str, str], num_gpus: int) -> dict[str, str]:
    """Return the environment variables that torchrun would set, for a task of a Slurm step.

    The ranks connect at ``MASTER_ADDR`` and ``MASTER_PORT`` if these are set, else on the step's first node at a port
    derived from the numbers of job and step, so that jobs on one node use different ports.

    Args:
        environment: Variables that ``srun`` sets.
        num_gpus: GPUs that this task sees: all of its node's, or its own alone.

    Raises:
        ConfigError: The step's nodes cannot be listed.
    """
    local_rank = int(environment['SLURM_LOCALID'])
    # Steps of one job that run side by side get ports of their own, too.
    number = int(environment['SLURM_JOB_ID']) * 50 + int(environment['SLURM_STEP_ID'])
    return {
        'RANK': environment['SLURM_PROCID'],
        'WORLD_SIZE': environment['SLURM_STEP_NUM_TASKS'],
        'LOCAL_RANK': str(local_rank % num_gpus if num_gpus else local_rank),
        'MASTER_ADDR': environment.get('MASTER_ADDR') or _first_host(environment['SLURM_STEP_NODELIST']),
        'MASTER_PORT': environment.get('MASTER_PORT') or str(SLURM_PORTS[number % len(SLURM_PORTS)]),
    }


def _first_host(nodes: str) -> str:
    """Return the first host of a list such as ``node[07-09,12],gpu3``."""
    try:
        listed = subprocess.run(
            ['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(
            f'scontrol cannot list the nodes {nodes} of this step ({error}): set MASTER_ADDR to the first of them'
        ) from error
    return listed[0]


def set_launcher(config: Config, launcher: str) -> None:
    """Tell the runner how it was started."""
    config.launcher = launcher
    if launcher != 'none' and not torch.cuda.is_available():
        config.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
