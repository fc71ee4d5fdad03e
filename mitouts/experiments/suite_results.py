"""Reads the runs of a suite, as written by ``mitouts suite``: which are done, and the results of their stages.

A suite is ``SUITE_DIR/GROUP/fold{K}_seed{S}/`` (``seed{S}`` without folds), each with ``run.json`` and, when done,
``results.json`` and a folder for each stage. A run that is not done stays in the list with its status.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitouts.errors import MitoutsError
from mitouts.formats.coco import read_json

DONE = 'done'
RUN_FILE = 'run.json'
RESULTS_FILE = 'results.json'
_RUN_FOLDER = re.compile(r'(fold(?P<fold>\d+)_)?seed(?P<seed>\d+)')


@dataclass(frozen=True)
class StageResult:
    """The files and results of one stage of a run.

    Attributes:
        row: Its row in ``results.json``; empty for a stage that is not tested, such as a distillation.
    """

    name: str
    folder: Path
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def predictions_path(self) -> Path:
        """File of the predictions on the test images."""
        return self.folder / 'predictions.json'

    @functools.cached_property
    def started(self) -> dict[str, Any]:
        """Content of ``started.json``: fingerprint, seed, environment; empty where the file is missing."""
        return _read_object(self.folder / 'started.json', needed=False)

    @property
    def environment(self) -> dict[str, Any]:
        """Machine and versions; empty where they are not recorded."""
        return self.started.get('environment') or {}

    @functools.cached_property
    def minutes(self) -> float | None:
        """Minutes that the stage took, or None if unknown."""
        row = self.row or _read_object(self.folder / 'stage.json', needed=False).get('results', {})
        return row.get('minutes')


@dataclass(frozen=True)
class RunResult:
    """One run of a suite.

    Attributes:
        fold: The fold, or None without folds.
        seed: The seed of the training.
        status: ``done``, ``failed``, ``running``, ``missing`` (no ``run.json``) or ``incomplete`` (said to be done,
            but without results).
        error: Why it failed, or None.
        config: The config's path, and its ``--data`` where the run had one.
        stages: Tested stages in order, by name; empty if nothing of the run is done.
        distillations: Name of a distillation stage -> its summary.
        reviews: Name of a review stage -> its summary.
    """

    folder: Path
    group: str
    fold: int | None
    seed: int
    status: str
    error: str | None = None
    config: str | None = None
    stages: dict[str, StageResult] = field(default_factory=dict)
    distillations: dict[str, dict[str, Any]] = field(default_factory=dict)
    reviews: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether its results can be used, which includes the finished part of a run that is not complete."""
        return self.status == DONE or bool(self.stages)

    @property
    def key(self) -> tuple[int | None, int]:
        """Fold and seed, which pair it with runs of other groups."""
        return self.fold, self.seed

    @property
    def name(self) -> str:
        """Group and folder."""
        return f'{self.group}/{self.folder.name}'

    @property
    def names(self) -> list[str]:
        """Names of its stages, tested or not."""
        return [*self.stages, *self.distillations, *self.reviews]

    def minutes_of(self, names: Iterable[str]) -> float | None:
        """Sum the minutes of these stages; None if one of them is unknown."""
        minutes = [self.stage(name).minutes for name in names]
        known = [value for value in minutes if value is not None]
        return sum(known) if len(known) == len(minutes) else None

    def stage(self, name: str) -> StageResult:
        """Return a stage, tested or not."""
        return self.stages.get(name) or StageResult(name, self.folder / name)


@dataclass(frozen=True)
class Suite:
    """All runs that were found, in the order of group, fold and seed."""

    runs: tuple[RunResult, ...]

    @property
    def groups(self) -> list[str]:
        """Names of the groups."""
        return list(dict.fromkeys(run.group for run in self.runs))

    @property
    def unfinished(self) -> list[RunResult]:
        """List the runs that are not done, or not with all of their parts."""
        return [run for run in self.runs if run.status != DONE]

    def restricted(self, folds: Sequence[int] | None = None, seeds: Sequence[int] | None = None) -> Suite:
        """Keep only the runs of these folds and seeds; None keeps all."""
        runs = (run for run in self.runs if folds is None or run.fold in folds)
        return Suite(tuple(run for run in runs if seeds is None or run.seed in seeds))

    def of_group(self, group: str) -> list[RunResult]:
        """Return all runs of a group, finished or not.

        Raises:
            MitoutsError: There is no such group.
        """
        runs = [run for run in self.runs if run.group == group]
        if not runs:
            raise MitoutsError(f'no group {group!r}; the suite has {", ".join(self.groups)}')
        return runs

    def done_with(self, group: str, stage: str) -> list[RunResult]:
        """Return the done runs of a group that have a stage, whether tested, a distillation or a review.

        Raises:
            MitoutsError: There is no such group, or it has done runs and none of them has this stage.
        """
        done = [run for run in self.of_group(group) if run.is_done]
        found = [run for run in done if stage in run.names]
        if done and not found:
            known = dict.fromkeys(name for run in done for name in run.names)
            raise MitoutsError(f'no stage {stage!r} in group {group!r}; its runs have {", ".join(known)}')
        return found


def read_suite(*folders: str | os.PathLike[str]) -> Suite:
    """Read the runs of one or several suite folders.

    Args:
        *folders: Suite folders; runs of a group may be spread over several of them.

    Raises:
        MitoutsError: A folder holds no run, a file of a run is broken, or two runs have the same group, fold and seed.
    """
    runs = [run for folder in folders for run in _read_folder(Path(folder))]
    seen: dict[tuple[str, int | None, int], RunResult] = {}
    for run in runs:
        other = seen.setdefault((run.group, *run.key), run)
        if other is not run:
            raise MitoutsError(
                f'{other.folder} and {run.folder} are the same run (group {run.group}, fold {run.fold}, '
                f'seed {run.seed}): leave one of the suites out, or rename a group'
            )
    runs.sort(key=lambda run: (run.group, -1 if run.fold is None else run.fold, run.seed))
    return Suite(tuple(runs))


def _read_folder(folder: Path) -> list[RunResult]:
    if not folder.is_dir():
        raise MitoutsError(f'{folder}: no such folder; expected the folder of a suite that mitouts suite ran')
    runs = [run for path in sorted(folder.glob('*/*')) if path.is_dir() and (run := _read_run(path)) is not None]
    if not runs:
        raise MitoutsError(
            f'{folder} holds no run: expected GROUP/foldK_seedS/{RUN_FILE} or GROUP/seedS/{RUN_FILE}, as '
            'mitouts suite writes them'
        )
    return runs


def _read_run(folder: Path) -> RunResult | None:
    """Read a run; None if the folder is not one."""
    named = _RUN_FOLDER.fullmatch(folder.name)
    if not (folder / RUN_FILE).is_file():
        if named is None:
            return None
        fold = named['fold'] if named['fold'] is None else int(named['fold'])
        return RunResult(folder, folder.parent.name, fold, int(named['seed']), 'missing', f'no {RUN_FILE}')
    info = _read_object(folder / RUN_FILE)
    lacking = [key for key in ('group', 'seed', 'fold', 'status') if key not in info]
    if lacking:
        raise MitoutsError(f'{folder / RUN_FILE} lacks {", ".join(lacking)}; it has {", ".join(info) or "no key"}')
    on_data = f' --data {info["data"]}' if info.get('data') else ''
    config = f'{info["config"]}{on_data}' if info.get('config') else None
    copied = {key: info.get(key) for key in ('group', 'fold', 'seed', 'status', 'error')}
    known: dict[str, Any] = {'folder': folder, 'config': config, **copied}
    has_results = (folder / RESULTS_FILE).is_file()
    if info['status'] == DONE and not has_results:
        return RunResult(**known | {'status': 'incomplete', 'error': f'no {RESULTS_FILE}'})
    # A suite may run a folder in several parts; what an earlier part has finished stays valid when a later one fails.
    if info['status'] != DONE and not (has_results and info.get('finished')):
        return RunResult(**known)
    results = _read_object(folder / RESULTS_FILE)
    if not isinstance(results.get('stages'), list):
        raise MitoutsError(f"{folder / RESULTS_FILE}: expected a list 'stages', found {', '.join(results)}")
    stages = {row['stage']: StageResult(row['stage'], folder / row['stage'], row) for row in results['stages']}
    return RunResult(
        **known,
        stages=stages,
        distillations=_distillations(folder, results),
        reviews=results.get('reviews', {}),
    )


def _distillations(folder: Path, results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return distillation summaries by stage; older runs lack them, so they are read from folders with hard samples."""
    if 'distillations' in results:
        return results['distillations']
    paths = sorted(folder.glob('*/hard_samples.json'))
    return {path.parent.name: _read_object(path).get('info', {}).get('summary', {}) for path in paths}


def _read_object(path: Path, needed: bool = True) -> dict[str, Any]:
    if not needed and not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict):
        raise MitoutsError(f'{path}: expected a JSON object, found a {type(content).__name__}')
    return content


def describe_unfinished(runs: Sequence[RunResult], *, reasons: bool = True) -> str:
    """Name runs that are not done, such as ``noise30/fold1_seed1 (failed: the loss is nan)``.

    Args:
        runs: Runs; without any the text is empty.
        reasons: Say why as well.
    """
    return '; '.join(f'{run.name} ({run.status}{f": {run.error}" if run.error and reasons else ""})' for run in runs)
