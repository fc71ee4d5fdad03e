"""Computes statistics of resampled cases, and their 95% percentile interval (bootstrap; Efron 1979).

Images, slides or items of one case are not independent, so whole cases are drawn, as many as there are, with
replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]

# Bounds the memory of a block: replicates x cases.
_MAX_DRAWS_AT_ONCE = 1_000_000


def bootstrap(
    statistic: Callable[[NDArray[Any]], FloatArray],
    num_cases: int,
    *,
    num_bootstrap: int,
    seed: int,
    one_by_one: bool = False,
) -> FloatArray:
    """Compute a statistic of resampled cases.

    Args:
        statistic: Function from ``(B, C)`` float64 weights (how often each of B replicates drew each case) to
            ``(..., B)``.
        num_cases: C, at least 1.
        num_bootstrap: Number of replicates R, at least 1.
        seed: Seed of the draws. The same seed draws the same cases, so that two statistics are paired.
        one_by_one: Give ``statistic`` the indices ``(B, C)`` of the drawn cases instead of weights, for statistics that
            weights cannot express, such as ranks.

    Returns:
        ``(..., R)``.
    """
    generator = np.random.default_rng(seed)
    shares = np.full(num_cases, 1.0 / num_cases)
    block = max(1, _MAX_DRAWS_AT_ONCE // num_cases)
    replicates = []
    for start in range(0, num_bootstrap, block):
        size = min(block, num_bootstrap - start)
        if one_by_one:
            drawn = generator.integers(num_cases, size=(size, num_cases))
        else:
            drawn = generator.multinomial(num_cases, shares, size=size).astype(np.float64)
        replicates.append(statistic(drawn))
    return np.concatenate(replicates, axis=-1)


def bootstrap_ci95(
    statistic: Callable[[NDArray[Any]], FloatArray],
    num_cases: int,
    *,
    num_bootstrap: int,
    seed: int,
    one_by_one: bool = False,
) -> Interval | None:
    """Compute the 95% percentile interval of a statistic; the arguments are those of :func:`bootstrap`.

    Returns:
        The 2.5th and the 97.5th percentile; None with fewer than two cases, without replicates, or where the statistic
        is NaN in more than half of them.
    """
    if num_cases < 2 or num_bootstrap < 1:
        return None
    return percentile_ci95(
        bootstrap(statistic, num_cases, num_bootstrap=num_bootstrap, seed=seed, one_by_one=one_by_one)
    )


def percentile_ci95(replicates: FloatArray) -> Interval | None:
    """Return the 2.5th and the 97.5th percentile of replicates ``(R,)``; None if more than half of them are NaN.

    Replicates for which the statistic is undefined (NaN) are left out.
    """
    known = replicates[~np.isnan(replicates)]
    if not len(known) or 2 * len(known) < len(replicates):
        return None
    low, high = np.percentile(known, [2.5, 97.5]).tolist()
    return low, high


def sum_by_case(values: NDArray[Any], cases: ArrayLike) -> tuple[NDArray[np.str_], NDArray[Any]]:
    """Sum the rows that belong to the same case.

    Args:
        values: ``(N, ...)``.
        cases: ``(N,)`` name of the case of each row.

    Returns:
        The C names in ascending order, and ``(C, ...)`` sums of the type of ``values``.
    """
    names, owner = np.unique(np.asarray(cases, dtype=str), return_inverse=True)
    sums = np.zeros((len(names), *values.shape[1:]), dtype=values.dtype)
    np.add.at(sums, owner, values)
    return names, sums
