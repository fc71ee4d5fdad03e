"""Compares two methods on the same runs and the same cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mitouts.errors import MitoutsError
from mitouts.experiments.cases import CaseCounter, CaseCounts
from mitouts.experiments.methods import ScoreSettings
from mitouts.experiments.rows import MeanSd, RowRuns, RunKey, TableRow, f1_by_seed, mean_sd, sum_over_seeds
from mitouts.functional.paired import PairedDifference, RecoveredShare, paired_difference, pooled_f1, recovered_share


@dataclass(frozen=True)
class Comparison:
    """The methods to compare.

    Attributes:
        b: Method B, the baseline.
        label: Its name in the table.
        oracle: With it, the share of the distance between B and the oracle that A recovers is given as well.
    """

    a: TableRow
    b: TableRow
    label: str
    oracle: TableRow | None = None


@dataclass(frozen=True)
class Compared:
    """The result of a comparison.

    Attributes:
        runs: The lines of A, B and, if there is one, the oracle.
        common: Fold and seed of the runs that all of them have.
        f1_a: F1 of A, pooled over these runs.
        difference: A minus B; None without a common run.
        over_seeds: The difference of each seed: mean and standard deviation.
        recovered: None without an oracle.
    """

    comparison: Comparison
    runs: tuple[RowRuns, ...]
    common: tuple[RunKey, ...]
    f1_a: float | None = None
    f1_b: float | None = None
    difference: PairedDifference | None = None
    over_seeds: MeanSd | None = None
    recovered: RecoveredShare | None = None


def compare(
    counter: CaseCounter, comparison: Comparison, runs: tuple[RowRuns, ...], settings: ScoreSettings
) -> Compared:
    """Compare two methods over the runs (fold and seed) that both have, and with an oracle where there is one.

    Runs that were tested on images without annotated points are left out.

    Args:
        runs: The runs of A, of B and of the oracle, in this order.

    Raises:
        MitoutsError: Two runs of one fold and seed were not tested on the same cases and annotations.
    """
    common = sorted(
        set.intersection(
            *({run.key for run in each.done if counter.has_figures(run.stage(each.row.stage))} for each in runs)
        ),
        key=lambda key: (-1 if key[0] is None else key[0], key[1]),
    )
    if not common:
        return Compared(comparison, runs, ())
    counts = [_counts(counter, each, common, settings) for each in runs]
    for each, line in zip(counts[1:], runs[1:]):
        _check_same_cases(runs[0].row, counts[0], line.row, each, settings.protocol)
    pooled = [sum_over_seeds(each)[1] for each in counts]
    seeds_a, seeds_b = f1_by_seed(counts[0]), f1_by_seed(counts[1])
    drawn = {'num_bootstrap': settings.num_bootstrap, 'seed': settings.seed}
    return Compared(
        comparison,
        runs,
        tuple(common),
        f1_a=pooled_f1(pooled[0]),
        f1_b=pooled_f1(pooled[1]),
        difference=paired_difference(pooled[0], pooled[1], **drawn),
        over_seeds=mean_sd([seeds_a[seed] - seeds_b[seed] for seed in seeds_a]),
        recovered=recovered_share(*pooled, **drawn) if comparison.oracle is not None else None,
    )


def _counts(
    counter: CaseCounter, runs: RowRuns, common: list[RunKey], settings: ScoreSettings
) -> dict[RunKey, CaseCounts]:
    return {
        run.key: counter.counts(run.stage(runs.row.stage), radius_px=settings.radius_px, protocol=settings.protocol)
        for run in runs.done
        if run.key in common
    }


def _check_same_cases(
    row_a: TableRow,
    counts_a: dict[RunKey, CaseCounts],
    row_b: TableRow,
    counts_b: dict[RunKey, CaseCounts],
    protocol: str,
) -> None:
    for key, first in counts_a.items():
        second = counts_b[key]
        same = first.cases.tolist() == second.cases.tolist()
        # Under presence a figure that is hit twice counts twice, so the sum tells nothing.
        if same and protocol == 'one_to_one':
            one, other = (counted.counts[:, 0] + counted.counts[:, 2] for counted in (first, second))
            same = bool(np.array_equal(one, other))
        if not same:
            fold, seed = key
            raise MitoutsError(
                f'{row_a.source} and {row_b.source} were tested on different cases or annotations '
                f'(fold {fold}, seed {seed}), so they cannot be paired'
            )
