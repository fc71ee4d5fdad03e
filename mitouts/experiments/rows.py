"""Gathers the runs behind a line of a table, and pools their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import MitoutsError
from mitouts.experiments.cases import CaseCounts
from mitouts.experiments.suite_results import RunResult, Suite
from mitouts.functional.paired import pooled_f1

RunKey = tuple[int | None, int]


class MeanSd(NamedTuple):
    """Mean and sample standard deviation; ``sd`` is None with one value."""

    mean: float
    sd: float | None


class Estimate(NamedTuple):
    """A value and its 95% interval, None if that is not available."""

    value: float
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class TableRow:
    """A line of a table.

    Attributes:
        group: Group of the suite.
        stage: Stage of its runs.
        label: Its name in the table.
        costs: The stages whose minutes are summed; empty for the stage alone.
    """

    group: str
    stage: str
    label: str
    costs: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Stage with its group, ``group/stage``."""
        return f'{self.group}/{self.stage}'


@dataclass(frozen=True)
class RowRuns:
    """The runs behind a line.

    Attributes:
        done: Those with results of the stage, in the order of fold and seed.
        all: All runs of the group, done or not.
    """

    row: TableRow
    done: tuple[RunResult, ...]
    all: tuple[RunResult, ...]

    @property
    def seeds(self) -> list[int]:
        """Seeds of the done runs."""
        return sorted({run.seed for run in self.done})

    @property
    def folds(self) -> list[int]:
        """Folds of the done runs; empty without folds."""
        return sorted({run.fold for run in self.done if run.fold is not None})

    @property
    def count(self) -> str:
        """Number of done runs, such as ``4``, or ``3 of 4`` if runs are missing."""
        return str(len(self.done)) if len(self.done) == len(self.all) else f'{len(self.done)} of {len(self.all)}'

    @property
    def uneven_seeds(self) -> list[int]:
        """Seeds that lack a fold which another seed has."""
        keys = {run.key for run in self.done}
        return [seed for seed in self.seeds if any((fold, seed) not in keys for fold in self.folds)]


@dataclass(frozen=True)
class StageMeans:
    """Mean and standard deviation over the runs of a line, by quantity; None where no run knows it."""

    runs: RowRuns
    over_runs: dict[str, MeanSd | None]


def parse_row(text: str) -> TableRow:
    """Read ``group/stage=Label``; without a label it is called by its source.

    Raises:
        MitoutsError: It is of another form.
    """
    source, _, label = text.partition('=')
    group, slash, stage = source.partition('/')
    if not slash or not group or not stage or '/' in stage:
        raise MitoutsError(
            f'expected GROUP/STAGE or GROUP/STAGE=Label, such as noise30/student=Student; found {text!r}'
        )
    return TableRow(group, stage, label or source)


def runs_of(suite: Suite, row: TableRow, *, partial: bool = False) -> RowRuns:
    """Find the runs behind a line.

    Args:
        partial: A group or stage that no run has is a line without runs instead of an error.

    Raises:
        MitoutsError: There is no such group or stage.
    """
    if partial and row.group not in suite.groups:
        return RowRuns(row, (), ())
    everything = tuple(suite.of_group(row.group))
    try:
        done = suite.done_with(row.group, row.stage)
    except MitoutsError:
        if not partial:
            raise
        done = []
    return RowRuns(row, tuple(done), everything)


def mean_sd(values: Sequence[float | None]) -> MeanSd | None:
    """Compute mean and sample standard deviation of the values that are not None; None if there are none.

    >>> mean_sd([1.0, 3.0, None])
    MeanSd(mean=2.0, sd=1.4142135623730951)
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    return MeanSd(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None)


def sum_over_seeds(counts: dict[RunKey, CaseCounts]) -> tuple[list[str], NDArray[np.int64]]:
    """Add up the counts of a case over seeds; cases of different folds are different.

    Returns:
        Names ``fold/case`` (``case`` without folds), sorted by fold, and ``(C, 3)`` counts.
    """
    sums: dict[tuple[int, str], NDArray[np.int64]] = {}
    for (fold, _), each in counts.items():
        for case, row in zip(each.cases.tolist(), each.counts):
            key = (-1 if fold is None else fold, case)
            sums[key] = sums.get(key, 0) + row
    names = sorted(sums)
    stacked = np.array([sums[name] for name in names], dtype=np.int64).reshape(-1, 3)
    return [case if fold < 0 else f'{fold}/{case}' for fold, case in names], stacked


def sums_by_seed(counts: dict[RunKey, CaseCounts]) -> dict[int, NDArray[np.int64]]:
    """Sum ``tp, fp, fn`` of each seed over its folds."""
    sums: dict[int, NDArray[np.int64]] = {}
    for (_, seed), each in sorted(counts.items(), key=lambda item: item[0][1]):
        sums[seed] = sums.get(seed, 0) + each.counts.sum(axis=0)
    return sums


def f1_by_seed(counts: dict[RunKey, CaseCounts]) -> dict[int, float]:
    """Compute F1 of each seed, with counts pooled over its folds."""
    return {seed: pooled_f1(row[None]) for seed, row in sums_by_seed(counts).items()}
