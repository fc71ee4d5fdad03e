"""Submits the runs of a suite to Slurm, one job each."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from mitouts.errors import ConfigError
from mitouts.experiments.suite import SuiteRun
from mitouts.experiments.suite_runs import is_finished

Report = Callable[[SuiteRun, str, str], None]


def submit(
    runs: Sequence[SuiteRun], folder: Path, command: Sequence[str], sbatch: Sequence[str], report: Report
) -> int:
    """Submit each run that is not done to Slurm.

    Args:
        runs: The runs of the suite.
        folder: Work dir of the suite.
        command: Runs the suite; ``--only NAME`` is added for each run.
        sbatch: Arguments of sbatch.
        report: Called with a run, what was done with it, and a remark.

    Returns:
        How many sbatch refused.

    Raises:
        ConfigError: sbatch cannot be called.
    """
    failed = 0
    for name in dict.fromkeys(run.name for run in runs):
        parts = [run for run in runs if run.name == name]
        home = folder / parts[0].group / parts[0].folder_name
        if all(is_finished(home, run) for run in parts):
            report(parts[0], 'skipped', 'done earlier')
            continue
        home.mkdir(parents=True, exist_ok=True)
        # Slurm reads a percent sign of the path as a placeholder.
        log = str(home).replace('%', '%%') + '/slurm_%j.txt'
        wrapped = shlex.join([*command, '--only', name])
        words = ['sbatch', f'--job-name={name}', f'--output={log}', *sbatch, f'--wrap={wrapped}']
        try:
            called = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise ConfigError('--submit needs sbatch, which is not on PATH: run without it on this machine') from error
        failed += called.returncode != 0
        what = 'submitted' if called.returncode == 0 else 'failed'
        report(parts[0], what, (called.stdout or called.stderr).strip())
    return failed
