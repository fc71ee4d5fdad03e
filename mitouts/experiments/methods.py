"""Scores methods over the runs of a suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mitouts.experiments.cases import CaseCounter, CaseCounts
from mitouts.experiments.rows import (
    Estimate,
    MeanSd,
    RowRuns,
    RunKey,
    f1_by_seed,
    mean_sd,
    sum_over_seeds,
    sums_by_seed,
)
from mitouts.experiments.suite_results import StageResult
from mitouts.functional.localization import bootstrap_f1_ci95, precision_recall_f1
from mitouts.functional.paired import pooled_f1


@dataclass(frozen=True)
class ScoreSettings:
    """Settings for scoring predictions.

    Attributes:
        radius_px: The largest distance of a hit in pixels, inclusive.
        second_radius_px: Radius of the second column.
        protocol: ``one_to_one`` or ``presence``.
        num_bootstrap: Replicates of the intervals.
        seed: Seed of the replicates.
    """

    radius_px: float = 30.0
    second_radius_px: float = 15.0
    protocol: str = 'one_to_one'
    num_bootstrap: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class MethodScores:
    """The scores of a method; None where no run has them, such as localization on images with labels alone.

    Attributes:
        runs: The runs behind them.
        num_cases: Number of cases, those of different folds being different.
        image_auc: Over runs.
        image_f1: Over runs.
        precision: Over seeds, each pooled over its folds.
        recall: The same.
        f1: The same.
        f1_pooled: F1 of the counts of all runs, with its bootstrap interval over cases.
        f1_best: As ``f1``, each run at the threshold that suits its own test images best.
        froc: Average sensitivity, over runs.
        f1_second: As ``f1``, at the second radius.
        minutes: Mean over runs.
    """

    runs: RowRuns
    num_cases: int
    image_auc: MeanSd | None
    image_f1: MeanSd | None
    precision: MeanSd | None
    recall: MeanSd | None
    f1: MeanSd | None
    f1_pooled: Estimate | None
    f1_best: MeanSd | None
    froc: MeanSd | None
    f1_second: MeanSd | None
    minutes: float | None


def score_method(counter: CaseCounter, runs: RowRuns, settings: ScoreSettings) -> MethodScores:
    """Score one method.

    Raises:
        MitoutsError: A run's predictions cannot be scored; see :meth:`CaseCounter.images`.
    """
    counts: dict[RunKey, CaseCounts] = {}
    best: dict[RunKey, CaseCounts] = {}
    second: dict[RunKey, CaseCounts] = {}
    froc = []
    # Run by run, so that every file of predictions is read once.
    for run in runs.done:
        stage, radius_px, protocol = run.stage(runs.row.stage), settings.radius_px, settings.protocol
        if not counter.has_figures(stage):
            continue
        counts[run.key] = counter.counts(stage, radius_px=radius_px, protocol=protocol)
        best[run.key] = counter.counts(stage, radius_px=radius_px, protocol=protocol, rule='best')
        second[run.key] = counter.counts(stage, radius_px=settings.second_radius_px, protocol=protocol)
        froc.append(counter.froc_score(stage, radius_px=radius_px))
    names, per_case = sum_over_seeds(counts)
    ratios = [[float(part) for part in precision_recall_f1(*row)] for row in sums_by_seed(counts).values()]
    pooled = None
    if names:
        interval = bootstrap_f1_ci95(per_case, names, num_bootstrap=settings.num_bootstrap, seed=settings.seed)
        pooled = Estimate(pooled_f1(per_case), interval)
    minutes = mean_sd([run.minutes_of(runs.row.costs or (runs.row.stage,)) for run in runs.done])
    return MethodScores(
        runs=runs,
        num_cases=len(names),
        image_auc=_over_runs(runs, lambda stage: (stage.row.get('image') or {}).get('auc')),
        image_f1=_over_runs(runs, lambda stage: (stage.row.get('image') or {}).get('f1')),
        precision=mean_sd([each[0] for each in ratios]),
        recall=mean_sd([each[1] for each in ratios]),
        f1=mean_sd([each[2] for each in ratios]),
        f1_pooled=pooled,
        f1_best=mean_sd(list(f1_by_seed(best).values())),
        froc=mean_sd(froc),
        f1_second=mean_sd(list(f1_by_seed(second).values())),
        minutes=minutes and minutes.mean,
    )


def _over_runs(runs: RowRuns, value: Callable[[StageResult], float | None]) -> MeanSd | None:
    return mean_sd([value(run.stage(runs.row.stage)) for run in runs.done])
