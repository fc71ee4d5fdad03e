"""Computes the agreement of raters beyond chance: Cohen's kappa of two, Fleiss' of any number, with intervals.

Items of one case are not independent, so the bootstrap draws whole cases (Efron 1979). Where all ratings are of one
category, chance alone agrees perfectly and kappa is undefined: None.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.functional.bootstrap import Interval, bootstrap_ci95
from mitouts.functional.ratios import ratio
from mitouts.utils.defaults import NUM_BOOTSTRAP

FloatArray = NDArray[np.float64]


class Kappa(NamedTuple):
    """A coefficient of agreement; None is "not available".

    Attributes:
        kappa: ``(observed - expected) / (1 - expected)``.
        ci95: 95% percentile interval over resampled cases; None with fewer than two cases, without a kappa, and where
            it is undefined in more than half of the replicates.
        observed: Share of the pairs of ratings that agree.
        expected: The share expected by chance.
        num_items: Number of items rated by at least two raters.
        num_cases: Number of their cases.
    """

    kappa: float | None
    ci95: Interval | None
    observed: float | None
    expected: float | None
    num_items: int
    num_cases: int


def cohen_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    cases: Sequence[Hashable] | None = None,
    *,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Kappa:
    """Compute Cohen's kappa (Cohen 1960) of two raters on the items that both have rated.

    Args:
        first: ``(N,)`` categories that the first rater chose, of any hashable type.
        second: ``(N,)`` categories of the second rater, the items in the same order.
        cases: ``(N,)`` case of each item; None takes each item as a case of its own.
        num_bootstrap: Number of replicates; 0 leaves the interval out.
        seed: Seed of the replicates.

    Raises:
        ValueError: The lengths differ.

    >>> cohen_kappa('aabb', 'aaba').kappa
    0.5
    """
    if len(first) != len(second):
        raise ValueError(f'expected the ratings of the same items, found {len(first)} and {len(second)}')
    owner, num_cases = _owner(cases, len(first))
    codes = {category: code for code, category in enumerate(dict.fromkeys([*first, *second]))}
    rows, columns = (np.array([codes[rating] for rating in ratings], dtype=np.int64) for ratings in (first, second))
    tables = np.zeros((num_cases, len(codes), len(codes)))
    np.add.at(tables, (owner, rows, columns), 1)
    observed, expected = _cohen(tables.sum(axis=0)[None])
    interval = _bootstrap_ci95(tables, _cohen, num_bootstrap, seed)
    return _kappa(observed, expected, interval, len(first), num_cases)


def fleiss_kappa(
    counts: ArrayLike,
    cases: Sequence[Hashable] | None = None,
    *,
    num_bootstrap: int = NUM_BOOTSTRAP,
    seed: int = 0,
) -> Kappa:
    """Compute Fleiss' kappa (Fleiss 1971), also where items have different numbers of ratings.

    With ``n_ij`` ratings of item ``i`` for category ``j`` and ``n_i`` of them in all, the observed agreement is the
    mean of ``sum_j n_ij (n_ij - 1) / (n_i (n_i - 1))`` over the items with ``n_i >= 2``, the expected one
    ``sum_j p_j^2`` where ``p_j`` is the mean of ``n_ij / n_i`` over the items with ``n_i >= 1``. This is the form for
    missing ratings of Gwet (2014), Handbook of Inter-Rater Reliability, 4th ed., chapter 2; with as many ratings of
    every item it is that of Fleiss.

    Args:
        counts: ``(N, K)`` number of ratings of each item for each category.
        cases: As in :func:`cohen_kappa`.
        num_bootstrap: As there.
        seed: As there.

    Raises:
        ValueError: The array has another shape or holds a negative number.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or (table < 0).any():
        raise ValueError(f'expected counts of shape (items, categories), none negative; found shape {table.shape}')
    ratings = table.sum(axis=1)
    is_rated, is_paired = ratings >= 1, ratings >= 2
    owner, _ = _owner(cases, len(table))
    owner = owner[is_rated]
    table, ratings, is_paired = table[is_rated], ratings[is_rated], is_paired[is_rated]
    owner, num_cases = _owner(owner.tolist(), len(owner))
    pairs = np.where(is_paired, ratings * (ratings - 1), 1.0)
    agreeing = (table * (table - 1)).sum(axis=1) / pairs
    columns = np.column_stack([agreeing * is_paired, is_paired, np.ones(len(table)), table / ratings[:, None]])
    by_case = np.zeros((num_cases, columns.shape[1]))
    np.add.at(by_case, owner, columns)
    observed, expected = _fleiss(by_case.sum(axis=0)[None])
    interval = _bootstrap_ci95(by_case, _fleiss, num_bootstrap, seed)
    return _kappa(observed, expected, interval, int(is_paired.sum()), len(set(owner[is_paired].tolist())))


def _owner(cases: Sequence[Hashable] | None, num_items: int) -> tuple[NDArray[np.int64], int]:
    if cases is None:
        return np.arange(num_items), num_items
    if len(cases) != num_items:
        raise ValueError(f'expected a case for each of {num_items} items, found {len(cases)}')
    codes = {case: code for code, case in enumerate(dict.fromkeys(cases))}
    return np.array([codes[case] for case in cases], dtype=np.int64), len(codes)


def _cohen(tables: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the observed and expected agreement of confusion tables ``(R, K, K)``; NaN without items."""
    total = tables.sum(axis=(1, 2))
    agreeing = np.trace(tables, axis1=1, axis2=2)
    by_chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1)
    return ratio(agreeing, total, np.nan), ratio(by_chance, total**2, np.nan)


def _fleiss(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the observed and expected agreement from sums ``(R, 3 + K)``.

    The columns are agreement, paired items, rated items, and the shares of the categories.
    """
    observed = ratio(sums[:, 0], sums[:, 1], np.nan)
    expected = ratio((sums[:, 3:] ** 2).sum(axis=1), sums[:, 2] ** 2, np.nan)
    return observed, expected


def _coefficient(observed: FloatArray, expected: FloatArray) -> FloatArray:
    return ratio(observed - expected, 1 - expected, np.nan)


def _bootstrap_ci95(
    by_case: FloatArray,
    agreement: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    num_bootstrap: int,
    seed: int,
) -> Interval | None:
    return bootstrap_ci95(
        lambda weights: _coefficient(*agreement(np.tensordot(weights, by_case, axes=1))),
        len(by_case), num_bootstrap=num_bootstrap, seed=seed,
    )  # fmt: skip


def _kappa(
    observed: FloatArray, expected: FloatArray, interval: Interval | None, num_items: int, num_cases: int
) -> Kappa:
    value = _number(_coefficient(observed, expected))
    return Kappa(value, None if value is None else interval, _number(observed), _number(expected), num_items, num_cases)


def _number(values: FloatArray) -> float | None:
    value = float(values[0])
    return None if np.isnan(value) else value
