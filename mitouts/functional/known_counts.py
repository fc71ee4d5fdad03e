"""Compares counts of areas with their true numbers, and with what a detector as good as this one can reach.

Areas of one case hang together, so that correlations have an interval over resampled cases beside the one over areas.
No detector that misses some figures and finds some that are none ranks areas perfectly: the ceiling is the correlation
of counts that are simulated from the true numbers with a recall and a rate of false finds that are the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from mitouts.functional.agreement import MIN_PAIRS_FOR_INTERVALS, correlation_of_rows
from mitouts.functional.bootstrap import Interval, bootstrap_ci95, percentile_ci95
from mitouts.utils.defaults import NUM_BOOTSTRAP
from mitouts.utils.records import plain_fields

FloatArray = NDArray[np.float64]

NUM_SIMULATED = 10_000
# A weighted variance below this share of the mean square differs from zero by rounding only.
_CONSTANT = 1e-12


@dataclass(frozen=True)
class Simulated:
    """Mean and 95% range of a statistic over simulated counts; None where more than half of them do not define it."""

    mean: float | None
    range95: Interval | None


@dataclass(frozen=True)
class Ceiling:
    """What counts reach whose detector has the same recall and false finds per mm2 in every area.

    Attributes:
        recall: Share of the figures that are found.
        false_per_mm2: False finds per mm2.
        num_simulated: Number of simulated counts of all areas.
        pearson: Correlation with the true numbers.
        spearman: Correlation of the ranks.
        median_relative_error: Median over areas of ``|count - true| / true``.
    """

    recall: float
    false_per_mm2: float
    num_simulated: int
    pearson: Simulated
    spearman: Simulated
    median_relative_error: Simulated

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return plain_fields(self)


def relative_errors(true: ArrayLike, counts: ArrayLike) -> FloatArray:
    """Compute ``(count - true) / true``.

    Args:
        true: ``(..., N)`` true numbers.
        counts: ``(..., N)``.

    Returns:
        ``(..., N)``; NaN where the true number is 0.

    >>> relative_errors([10, 0], [8, 1]).tolist()
    [-0.2, nan]
    """
    true, counts = np.asarray(true, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    return np.where(true > 0, (counts - true) / np.where(true > 0, true, 1), np.nan)


def median_relative_error(true: ArrayLike, counts: ArrayLike) -> float | None:
    """Compute the median of ``|count - true| / true`` over areas with figures; None where no area has one.

    >>> round(median_relative_error([10, 20, 0], [8, 22, 5]), 3)
    0.15
    """
    errors = np.abs(relative_errors(true, counts))
    return float(np.nanmedian(errors)) if not np.isnan(errors).all() else None


def correlation_ci95_over_cases(
    x: ArrayLike,
    y: ArrayLike,
    cases: ArrayLike,
    *,
    by_rank: bool,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Interval | None:
    """Compute the 95% interval of a correlation over areas when whole cases are resampled.

    Args:
        x: ``(N,)``.
        y: ``(N,)``.
        cases: ``(N,)`` name of the case of each area.
        by_rank: Spearman's rho instead of Pearson's r; every replicate is ranked anew.
        num_bootstrap: Number of replicates.
        seed: Seed of the replicates.

    Returns:
        The interval; None with fewer than four cases, which say too little, or where most replicates hold constant
        values.
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (x, y))
    names, owner = np.unique(np.asarray(cases, dtype=str), return_inverse=True)
    if len(names) < MIN_PAIRS_FOR_INTERVALS:
        return None

    def replicate(drawn: FloatArray) -> FloatArray:
        weights = drawn[:, owner]
        pair = (_weighted_ranks(first, weights), _weighted_ranks(second, weights)) if by_rank else (first, second)
        return _weighted_correlation(*pair, weights)

    return bootstrap_ci95(replicate, len(names), num_bootstrap=num_bootstrap, seed=seed)


def simulate_counts(
    true: ArrayLike, area_mm2: ArrayLike, *, recall: float, false_per_mm2: float, num_simulated: int, seed: int = 0
) -> NDArray[np.int64]:
    """Draw counts: true finds are ``Binomial(true, recall)``, false ones ``Poisson(false_per_mm2 * area_mm2)``.

    Args:
        true: ``(N,)`` whole numbers of figures.
        area_mm2: ``(N,)``.
        recall: Share of the figures that are found.
        false_per_mm2: Rate of the false finds.
        num_simulated: Number R of draws.
        seed: Seed of the draws.

    Returns:
        ``(R, N)`` counts.

    Raises:
        ValueError: The lengths differ, or the recall is no share, or the rate is negative.
    """
    numbers, areas = np.asarray(true, dtype=np.int64), np.asarray(area_mm2, dtype=np.float64)
    if numbers.ndim != 1 or numbers.shape != areas.shape:
        raise ValueError(f'expected as many areas as numbers, found shapes {areas.shape} and {numbers.shape}')
    if not 0 <= recall <= 1 or not false_per_mm2 >= 0:
        raise ValueError(f'expected a recall in [0, 1] and a rate from 0, found {recall} and {false_per_mm2}')
    generator = np.random.default_rng(seed)
    found = generator.binomial(numbers, recall, size=(num_simulated, len(numbers)))
    return found + generator.poisson(false_per_mm2 * areas, size=found.shape)


def count_ceiling(
    true: ArrayLike,
    area_mm2: ArrayLike,
    *,
    recall: float,
    false_per_mm2: float,
    num_simulated: int = NUM_SIMULATED,
    seed: int = 0,
) -> Ceiling:
    """Simulate what a detector reaches that is equally good everywhere; the arguments are :func:`simulate_counts`'s."""
    numbers = np.asarray(true, dtype=np.float64)
    counts = simulate_counts(
        true, area_mm2, recall=recall, false_per_mm2=false_per_mm2, num_simulated=num_simulated, seed=seed
    ).astype(np.float64)
    errors = np.abs(relative_errors(numbers, counts))[:, numbers > 0]
    medians = np.median(errors, axis=1) if errors.shape[1] else np.full(len(counts), np.nan)
    same = np.broadcast_to(numbers, counts.shape)
    ranks = np.broadcast_to(rankdata(numbers), counts.shape)
    return Ceiling(
        recall=recall,
        false_per_mm2=false_per_mm2,
        num_simulated=num_simulated,
        pearson=_simulated(correlation_of_rows(same, counts)),
        spearman=_simulated(correlation_of_rows(ranks, rankdata(counts, axis=1))),
        median_relative_error=_simulated(medians),
    )


def _simulated(values: FloatArray) -> Simulated:
    interval = percentile_ci95(values)
    return Simulated(None if interval is None else float(np.nanmean(values)), interval)


def _weighted_ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Rank values ``(N,)`` that are there ``weights`` ``(B, N)`` times; equal values share their mean rank."""
    is_less = (values[None, :] < values[:, None]).astype(np.float64)
    is_equal = (values[None, :] == values[:, None]).astype(np.float64)
    return weights @ is_less.T + (weights @ is_equal.T + 1) / 2


def _weighted_correlation(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    """Compute Pearson's r for each row of weights ``(B, N)``; NaN where a column is constant."""
    total = weights.sum(axis=1, keepdims=True)

    def centred(values: FloatArray) -> FloatArray:
        return values - (weights * values).sum(axis=1, keepdims=True) / total

    first, second = centred(x), centred(y)
    variances = [(weights * values**2).sum(axis=1) for values in (first, second)]
    sizes = [(weights * values**2).sum(axis=1) for values in (x, y)]
    is_defined = (variances[0] > _CONSTANT * sizes[0]) & (variances[1] > _CONSTANT * sizes[1])
    product = np.sqrt(np.where(is_defined, variances[0] * variances[1], 1))
    return np.where(is_defined, (weights * first * second).sum(axis=1) / product, np.nan)
