"""What a task of a Slurm step learns about the others, with a scontrol that lists the nodes of two steps."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mitouts.engine.launch import NEEDED, SLURM_PORTS, init_launcher, torchrun_environment
from mitouts.errors import ConfigError

SCONTROL = """#!/bin/sh
case "$*" in
  'show hostnames node[07-09],gpu3') printf 'node07\\nnode08\\nnode09\\ngpu3\\n' ;;
  'show hostnames localhost') echo localhost ;;
  *) echo 'Invalid hostlist' >&2; exit 1 ;;
esac
"""
STEP = {
    'SLURM_JOB_ID': '4711',
    'SLURM_STEP_ID': '0',
    'SLURM_PROCID': '5',
    'SLURM_LOCALID': '1',
    'SLURM_STEP_NUM_TASKS': '8',
    'SLURM_STEP_NODELIST': 'node[07-09],gpu3',
    # The job's, of which this step has a part.
    'SLURM_NTASKS': '16',
    'SLURM_NODELIST': 'node[01-09],gpu3',
}


@pytest.fixture(autouse=True)
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'scontrol').write_text(SCONTROL)
    (tmp_path / 'scontrol').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')


def test_a_task_knows_its_rank_and_the_first_node_of_its_step() -> None:
    found = torchrun_environment(STEP, num_gpus=0)
    port = int(found.pop('MASTER_PORT'))
    assert port in SLURM_PORTS
    assert found == {'RANK': '5', 'WORLD_SIZE': '8', 'LOCAL_RANK': '1', 'MASTER_ADDR': 'node07'}


@pytest.mark.parametrize(('num_gpus', 'local_rank'), [(0, '1'), (1, '0'), (8, '1')])
def test_a_task_that_sees_its_own_gpu_alone_takes_that(num_gpus: int, local_rank: str) -> None:
    assert torchrun_environment(STEP, num_gpus)['LOCAL_RANK'] == local_rank


def test_jobs_and_steps_side_by_side_meet_at_ports_of_their_own() -> None:
    steps = [{'SLURM_JOB_ID': str(job), 'SLURM_STEP_ID': str(step)} for job in range(4711, 4721) for step in range(3)]
    ports = {torchrun_environment({**STEP, **step}, 0)['MASTER_PORT'] for step in steps}
    assert len(ports) == len(steps)


def test_what_the_user_set_stays() -> None:
    chosen = {'MASTER_ADDR': '10.0.0.1', 'MASTER_PORT': '4000', 'SLURM_STEP_NODELIST': 'unknown'}
    found = torchrun_environment({**STEP, **chosen}, 0)
    assert (found['MASTER_ADDR'], found['MASTER_PORT']) == ('10.0.0.1', '4000')


def test_nodes_that_cannot_be_listed_say_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r'scontrol cannot list the nodes nonsense.*set MASTER_ADDR'):
        torchrun_environment({**STEP, 'SLURM_STEP_NODELIST': 'nonsense'}, 0)
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(ConfigError, match='scontrol cannot list the nodes'):
        torchrun_environment(STEP, 0)


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
def test_a_launcher_without_its_environment_is_refused(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NEEDED[launcher]:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        ConfigError, match=f'--launcher {launcher} must be started by .*, {NEEDED[launcher][-1]} not in'
    ):
        init_launcher(launcher)


def test_a_batch_script_without_srun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """There Slurm names one task's rank and the number of all, of which none has been started."""
    for name in NEEDED['slurm']:
        monkeypatch.delenv(name, raising=False)
    for name in ('SLURM_JOB_ID', 'SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS', 'SLURM_NODELIST'):
        monkeypatch.setenv(name, STEP[name])
    with pytest.raises(ConfigError, match='SLURM_STEP_ID, SLURM_STEP_NUM_TASKS'):
        init_launcher('slurm')


def test_processes_that_cannot_meet_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    place = {'RANK': '0', 'WORLD_SIZE': '1', 'LOCAL_RANK': '0', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': '1'}
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        place['MASTER_PORT'] = str(taken.getsockname()[1])
        for name, value in place.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(
            ConfigError, match=f'cannot meet at MASTER_ADDR:MASTER_PORT, 127.0.0.1:{taken.getsockname()[1]}'
        ):
            init_launcher('pytorch')
