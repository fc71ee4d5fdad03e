"""Reads the rows of figures: stages of a suite named on a command line, each with all its seeds and folds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mitouts.errors import MitoutsError
from mitouts.experiments.cases import CaseCounter, CaseCounts
from mitouts.experiments.methods import ScoreSettings
from mitouts.experiments.rows import RowRuns, RunKey, TableRow, f1_by_seed, parse_row, runs_of, sum_over_seeds
from mitouts.experiments.suite_results import DONE, RESULTS_FILE, RunResult, StageResult, Suite, read_suite
from mitouts.formats.coco import read_json
from mitouts.functional.localization import bootstrap_f1_ci95
from mitouts.functional.paired import pooled_f1
from mitouts.structures import EvaluatedImages
from mitouts.visualization.ablation_plots import Score, Setting

LOCALIZATION_F1 = 'localization F1'
IMAGE_F1 = 'image F1'
_SPEC = '[GROUP/][STAGE+...]STAGE[@NUMBER][=LABEL]'


class FigureRow(NamedTuple):
    """A row and its position on a horizontal axis, None if it has none."""

    row: TableRow
    x: float | None = None


def open_suite(folders: Sequence[str | Path], ann_file: str | Path | None = None) -> Suite:
    """Read suite folders, or the work dir of a single experiment as a suite of one run.

    Args:
        folders: Suite folders, or work dirs with ``results.json``, each a group of its name.
        ann_file: Test annotations of stages whose ``results.json`` does not name them.

    Raises:
        MitoutsError: See :func:`mitouts.experiments.suite_results.read_suite`.
    """
    paths = [Path(folder) for folder in folders]
    runs = [_experiment(path) for path in paths if (path / RESULTS_FILE).is_file()]
    suites = [path for path in paths if not (path / RESULTS_FILE).is_file()]
    runs += read_suite(*suites).runs if suites else ()
    if ann_file is not None:
        runs = [_with_annotations(run, Path(ann_file).resolve()) for run in runs]
    return Suite(tuple(runs))


def read_rows(suite: Suite, specs: Sequence[str], x_name: str | None = None) -> list[FigureRow]:
    """Read rows such as ``noise30/student=Student``, ``noise*/teacher+distill+student@0.3=UTS`` or ``student``.

    Args:
        suite: Suite with the groups that a pattern (``*``, ``?``) may match; without a group, its only one is meant.
        specs: Rows. Of stages joined by ``+`` the last is scored; the minutes of all of them count.
        x_name: If a row has no ``@NUMBER``, that is read from a group's name that is this word and a number:
            ``stride16`` is 16, and ``noise30``, a share, is 0.3. None reads no numbers.

    Raises:
        MitoutsError: A row cannot be read, names a group or stage that does not exist, or has no number where one is
            needed.
    """
    return [row for spec in specs for row in _read_row(suite, spec, x_name)]


def default_rows(suite: Suite) -> list[FigureRow]:
    """List every tested stage of every group."""
    rows = []
    for group in suite.groups:
        names = dict.fromkeys(name for run in suite.of_group(group) for name in run.stages)
        rows += [TableRow(group, name, name if len(suite.groups) == 1 else f'{group}/{name}') for name in names]
    return [FigureRow(row) for row in rows]


class RowReader:
    """Counts and scores rows.

    Args:
        settings: Settings for scoring predictions; ``second_radius_px`` is not used.
        root: Folder that relative annotation paths are relative to.
    """

    def __init__(self, suite: Suite, settings: ScoreSettings | None = None, root: str | Path = '.') -> None:
        self.suite = suite
        self.settings = settings or ScoreSettings()
        self.counter = CaseCounter(root)

    def setting(self, row: TableRow) -> Setting:
        """Compute both F1, pooled over all runs, with intervals over cases and a value for each seed, and the minutes.

        A case is resampled with its counts of all seeds, so the interval is that of the mean training on other cases.
        """
        runs = runs_of(self.suite, row)
        if not runs.done:
            return Setting(row.label, {LOCALIZATION_F1: None, IMAGE_F1: None})
        counts = self._located_counts(runs)
        images = {key: _image_counts(self.counter.images(stage)) for key, stage in _stages(runs).items()}
        scores = {LOCALIZATION_F1: self._score(counts) if counts else None, IMAGE_F1: self._score(images)}
        return Setting(row.label, scores, _minutes(runs))

    def counts(self, row: TableRow) -> tuple[float, float, float] | None:
        """Count TP, FP and FN: for each fold the mean over its seeds, summed over folds.

        None if no done run was tested on annotated points.
        """
        folds: dict[int | None, list[np.ndarray]] = {}
        for (fold, _), counted in self._located_counts(runs_of(self.suite, row)).items():
            folds.setdefault(fold, []).append(counted.counts.sum(axis=0))
        if not folds:
            return None
        tp, fp, fn = np.sum([np.mean(seeds, axis=0) for seeds in folds.values()], axis=0).tolist()
        return tp, fp, fn

    def detections(self, row: TableRow) -> list[EvaluatedImages]:
        """Return the evaluated images of each run of a row."""
        return [self.counter.images(run.stage(row.stage)) for run in runs_of(self.suite, row).done]

    def _located_counts(self, runs: RowRuns) -> dict[RunKey, CaseCounts]:
        return {
            key: self.counter.counts(stage, radius_px=self.settings.radius_px, protocol=self.settings.protocol)
            for key, stage in _stages(runs).items()
            if self.counter.has_figures(stage)
        }

    def _score(self, counts: dict[RunKey, CaseCounts]) -> Score:
        names, per_case = sum_over_seeds(counts)
        how = {'num_bootstrap': self.settings.num_bootstrap, 'seed': self.settings.seed}
        return Score(pooled_f1(per_case), bootstrap_f1_ci95(per_case, names, **how), list(f1_by_seed(counts).values()))


def _stages(runs: RowRuns) -> dict[RunKey, StageResult]:
    return {run.key: run.stage(runs.row.stage) for run in runs.done}


def _minutes(runs: RowRuns) -> list[float]:
    """Average the minutes of the row's stages over folds, for each seed; empty if those of a run are unknown."""
    minutes: dict[int, list[float]] = {}
    for run in runs.done:
        spent = run.minutes_of(runs.row.costs or (runs.row.stage,))
        if spent is None:
            return []
        minutes.setdefault(run.seed, []).append(spent)
    return [float(np.mean(values)) for values in minutes.values()]


def _experiment(folder: Path) -> RunResult:
    results = read_json(folder / RESULTS_FILE)
    if not isinstance(results, dict) or not isinstance(results.get('stages'), list):
        raise MitoutsError(f"{folder / RESULTS_FILE}: expected an object with a list 'stages'")
    stages = {row['stage']: StageResult(row['stage'], folder / row['stage'], row) for row in results['stages']}
    seeds = [stage.started['seed'] for stage in stages.values() if stage.started.get('seed') is not None]
    return RunResult(folder, folder.resolve().name, None, seeds[0] if seeds else 0, DONE, stages=stages)


def _with_annotations(run: RunResult, ann_file: Path) -> RunResult:
    stages = {
        name: replace(stage, row={'test_ann_file': str(ann_file), **stage.row}) for name, stage in run.stages.items()
    }
    return replace(run, stages=stages)


def _read_row(suite: Suite, spec: str, x_name: str | None) -> list[FigureRow]:
    path, _, label = spec.partition('=')
    place, _, number = path.partition('@')
    pattern, _, joined = place.rpartition('/')
    stages = tuple(joined.split('+'))
    if not all(stages):
        raise MitoutsError(f'row {spec!r}: expected {_SPEC}')
    if not pattern and len(suite.groups) > 1:
        raise MitoutsError(f'row {spec!r} names no group; expected {_SPEC} with one of {", ".join(suite.groups)}')
    groups = [group for group in suite.groups if not pattern or fnmatchcase(group, pattern)]
    if not groups:
        raise MitoutsError(f'row {spec!r}: no group {pattern!r}; the suite has {", ".join(suite.groups)}')
    rows = []
    for group in groups:
        row = replace(parse_row(f'{group}/{stages[-1]}'), costs=stages if len(stages) > 1 else ())
        # A group without any done run is a gap in the figure, a stage that its runs lack is a mistake.
        suite.done_with(group, row.stage)
        if label:
            row = replace(row, label=label if len(groups) == 1 or x_name else f'{label} ({group})')
        elif x_name or len(suite.groups) == 1:
            row = replace(row, label=row.stage)
        rows.append(FigureRow(row, None if x_name is None else _number(spec, number, row, x_name)))
    return rows


def _number(spec: str, number: str, row: TableRow, x_name: str) -> float:
    if number:
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise MitoutsError(f'row {spec!r}: expected a number after @, found {number!r}')
        return value
    named = re.fullmatch(re.escape(x_name) + r'_?(\d+(?:\.\d+)?)', row.group)
    if named is None:
        raise MitoutsError(
            f'row {spec!r} has no place on the axis {x_name!r}: group {row.group!r} is not {x_name} and a number, so '
            f'give it as {row.source}@NUMBER={row.label}'
        )
    return float(named[1]) / 100 if x_name == 'noise' else float(named[1])


def _image_counts(images: EvaluatedImages) -> CaseCounts:
    """Count ``tp, fp, fn`` of the image label."""
    truth, called = images.labels == 1, images.scores > images.image_threshold
    counts = np.stack([truth & called, ~truth & called, truth & ~called], axis=1).astype(np.int64)
    return CaseCounts(images.cases, counts, images.image_threshold)
