"""Trainings, arrays, suites and requeued jobs under a Slurm of one node, on CPUs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from counted_slides import read_csv, tissue_slide
from slurm_cluster import SlurmCluster, started_cluster, wait_until, why_not
from tiny_experiment import write_tiny
from untrained import make_model, save_checkpoint, smooth_tissue, spread_scores

from mitouts.checkpoint import read_checkpoint

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN = REPOSITORY / 'tools' / 'slurm_train.sh'
# Long enough to be killed in between.
EPOCHS = 40

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(scope='module')
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with started_cluster(tmp_path_factory.mktemp('slurm')) as cluster:
        # The interpreter of the tests, for a checkout without .venv.
        python = Path(sys.executable).parent
        cluster.environment['PATH'] = f'{python}:{cluster.environment["PATH"]}'
        cluster.environment.update(TASKS='2', CPUS_PER_TASK='1', PYTHONPATH=str(REPOSITORY))
        yield cluster
    assert not cluster.processes()


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_tiny(tmp_path_factory.mktemp('tiny'))
    path.write_text(path.read_text().replace('max_epochs=3', f'max_epochs={EPOCHS}'))
    return path


@pytest.fixture(scope='module')
def uninterrupted(cluster: SlurmCluster, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work folder of a training of two tasks."""
    work_dir = tmp_path_factory.mktemp('runs') / 'uninterrupted'
    said = cluster.call(TRAIN, 'tests', 'two', config, work_dir, timeout_s=200)
    assert said.count('best checkpoint:') == 2
    return work_dir


def test_two_tasks_train_as_two_processes_of_torchrun(uninterrupted: Path) -> None:
    # 16 images, 4 a process: two steps an epoch, where one process would take four.
    assert read_checkpoint(uninterrupted / f'epoch_{EPOCHS}.pth')['meta']['iter'] == EPOCHS * 2
    assert read_checkpoint(uninterrupted / 'best.pth')['meta']['mitouts']['map_threshold'] > 0


def test_a_job_that_loses_a_task_is_queued_again_and_ends_as_if_nothing_had_happened(
    cluster: SlurmCluster, config: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    work_dir = tmp_path / 'killed'
    script = tmp_path / 'job.sh'
    script.write_text(
        '#!/bin/bash\n'
        f'{TRAIN} tests killed {config} {work_dir} --resume && exit\n'
        '[ "${SLURM_RESTART_COUNT:-0}" -lt 3 ] && scontrol requeue "$SLURM_JOB_ID"\n'
        'exit 1\n'
    )
    log = tmp_path / 'log.txt'
    job = cluster.submit('--requeue', '--ntasks=2', '--open-mode=append', f'--output={log}', script)
    wait_until(lambda: any(work_dir.glob('epoch_*.pth')), 120)
    (task,) = cluster.processes('train.py', SLURM_JOB_ID=job, SLURM_STEP_ID='0', SLURM_PROCID='1')
    os.kill(task, signal.SIGKILL)
    wait_until(lambda: is_queued_again(cluster.jobs()[job]), 60)
    assert not (work_dir / f'epoch_{EPOCHS}.pth').exists()
    # Slurm lets a job rest for two minutes before its next try; what is left of the first one needs a few seconds.
    cluster.call('scontrol', 'update', f'JobId={job}', 'StartTime=now+5')
    cluster.wait_for(job, timeout_s=240)
    assert cluster.jobs()[job]['JobState'] == 'COMPLETED', log.read_text()
    for name in ('best.pth', f'epoch_{EPOCHS}.pth'):
        ours, theirs = (read_checkpoint(folder / name) for folder in (work_dir, uninterrupted))
        assert ours['meta']['mitouts'] == theirs['meta']['mitouts']
        assert ours['state_dict'].keys() == theirs['state_dict'].keys()
        assert all(torch.equal(value, theirs['state_dict'][key]) for key, value in ours['state_dict'].items())


def test_an_array_counts_each_slide_once(cluster: SlurmCluster, tmp_path: Path) -> None:
    for seed, name in enumerate('abc'):
        tissue_slide(tmp_path / 'slides' / f'{name}.tif', seed)
    model = make_model()
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': 2.0}
    spread_scores(model, smooth_tissue(480, 480))
    checkpoint = save_checkpoint(tmp_path / 'best.pth', model)
    count = f'RANK=$SLURM_ARRAY_TASK_ID WORLD_SIZE=$SLURM_ARRAY_TASK_COUNT {sys.executable} -m mitouts count '
    count += f'{tmp_path}/slides --checkpoint {checkpoint} --out {tmp_path}/out'
    job = cluster.submit('--array=0-1', f'--output={tmp_path}/log_%a.txt', f'--wrap={count}')
    cluster.wait_for(f'{job}_0', f'{job}_1')
    logs = ''.join((tmp_path / f'log_{index}.txt').read_text() for index in '01')
    assert {cluster.jobs()[f'{job}_{index}']['JobState'] for index in '01'} == {'COMPLETED'}, logs
    rows = [(row['slide'], row['status']) for row in read_csv(tmp_path / 'out' / 'counts.csv')]
    assert rows == [('a.tif', 'counted'), ('b.tif', 'counted'), ('c.tif', 'counted')]


def test_a_suite_is_handed_in_and_each_job_does_its_run(cluster: SlurmCluster, config: Path, tmp_path: Path) -> None:
    suite = tmp_path / 'suite.yaml'
    suite.write_text(
        "name: s\nseeds: [0, 1]\ncfg_options: ['*.train_cfg.max_epochs=1']\n"
        f'groups:\n  - {{name: tiny, config: {config}}}\n'
    )
    # Slurm takes a percent sign of a file's name for a placeholder.
    words = [sys.executable, 'tools/run_suite.py', suite, '--work-dir', tmp_path / '100%job', '--threads', 1]
    cluster.call('bash', '-c', f'cd {REPOSITORY} && {" ".join(map(str, words))} --submit=--ntasks=1')
    jobs = {fields['JobName']: name for name, fields in cluster.jobs().items() if fields['JobName'].startswith('tiny/')}
    assert jobs.keys() == {'tiny/seed0', 'tiny/seed1'}
    cluster.wait_for(*jobs.values())
    for name, job in jobs.items():
        folder = tmp_path / '100%job' / name
        assert cluster.jobs()[job]['JobState'] == 'COMPLETED', (folder / f'slurm_{job}.txt').read_text()
        assert (folder / 'model' / 'best.pth').is_file()
        assert '1 done in' in (folder / f'slurm_{job}.txt').read_text()


def test_a_batch_script_without_srun_is_refused_instead_of_waiting_for_the_other_tasks(
    cluster: SlurmCluster, config: Path, tmp_path: Path
) -> None:
    command = f'{sys.executable} {REPOSITORY}/tools/train.py {config} --work-dir {tmp_path}/run --launcher slurm'
    job = cluster.submit('--ntasks=2', f'--output={tmp_path}/log.txt', f'--wrap={command}')
    cluster.wait_for(job)
    assert cluster.jobs()[job]['ExitCode'] == '2:0'
    assert 'error: --launcher slurm must be started by srun' in (tmp_path / 'log.txt').read_text()


def is_queued_again(job: dict[str, str]) -> bool:
    return job['Restarts'] == '1' and job['JobState'] == 'PENDING' and job['Reason'] == 'BeginTime'
