"""Compares methods by a bootstrap over cases: all of them on the same resampled cases, so that differences are paired.

A replicate draws as many cases as there are, with replacement, and pools their counts (Efron 1979). Images of one case
are not independent, so whole cases are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.functional.bootstrap import bootstrap, percentile_ci95
from mitouts.functional.localization import precision_recall_f1

FloatArray = NDArray[np.float64]


class PairedDifference(NamedTuple):
    """Difference between the pooled F1 of two methods, A and B.

    Attributes:
        difference: F1 of A minus F1 of B.
        ci95: 95% percentile interval, or None with fewer than two cases.
        p_one_sided: Share of the replicates whose difference is <= 0; None where there is no interval.
        num_cases: Number of cases.
    """

    difference: float
    ci95: tuple[float, float] | None
    p_one_sided: float | None
    num_cases: int


class RecoveredShare(NamedTuple):
    """Share of the F1 gap between a baseline B and an oracle O that a method A closes.

    Attributes:
        share: ``(F1(A) - F1(B)) / (F1(O) - F1(B))``; None where O and B have the same F1.
        ci95: 95% percentile interval; None where the share is not defined.
        distance: ``F1(O) - F1(B)``, with its interval.
        is_defined: Whether the interval of the distance lies above 0.
    """

    share: float | None
    ci95: tuple[float, float] | None
    distance: PairedDifference
    is_defined: bool


def bootstrap_f1(counts: Sequence[ArrayLike], *, num_bootstrap: int, seed: int = 0) -> FloatArray:
    """Compute the pooled F1 of every method in every replicate.

    Args:
        counts: ``(C, 3)`` ``tp, fp, fn`` of each case, an array for each method; row ``c`` is the same case in all.
        num_bootstrap: Number of replicates R.
        seed: Seed of the draws.

    Returns:
        ``(methods, R)``.

    Raises:
        ValueError: The arrays differ in shape or are not ``(C, 3)``, or there is no case.
    """
    stacked = _stack(counts)
    return bootstrap(
        lambda weights: precision_recall_f1(*np.moveaxis(weights @ stacked, -1, 0))[2],
        stacked.shape[1], num_bootstrap=num_bootstrap, seed=seed,
    )  # fmt: skip


def pooled_f1(counts: ArrayLike) -> float:
    """Compute the F1 of counts ``(C, 3)`` summed over cases.

    >>> pooled_f1([[3, 1, 0], [3, 1, 2]])
    0.75
    """
    return float(precision_recall_f1(*np.asarray(counts).sum(axis=0))[2])


def paired_difference(
    counts_a: ArrayLike, counts_b: ArrayLike, *, num_bootstrap: int = 10_000, seed: int = 0
) -> PairedDifference:
    """Compare the pooled F1 of two methods on the same cases.

    Args:
        counts_a: ``(C, 3)`` ``tp, fp, fn`` of each case under method A.
        counts_b: The same of method B, the cases in the same order.
        num_bootstrap: Number of replicates; 0 leaves interval and p out.
        seed: Seed of the draws.

    Raises:
        ValueError: The arrays differ in shape or are not ``(C, 3)``, or there is no case.
    """
    stacked = _stack([counts_a, counts_b])
    difference = pooled_f1(stacked[0]) - pooled_f1(stacked[1])
    num_cases = stacked.shape[1]
    if num_cases < 2 or num_bootstrap < 1:
        return PairedDifference(difference, None, None, num_cases)
    f1_a, f1_b = bootstrap_f1(list(stacked), num_bootstrap=num_bootstrap, seed=seed)
    return PairedDifference(difference, percentile_ci95(f1_a - f1_b), float(np.mean(f1_a <= f1_b)), num_cases)


def recovered_share(
    counts_a: ArrayLike,
    counts_b: ArrayLike,
    counts_oracle: ArrayLike,
    *,
    num_bootstrap: int = 10_000,
    seed: int = 0,
) -> RecoveredShare:
    """Compute the share of the F1 gap between a baseline B and an oracle O that a method A closes.

    Unless the interval of the gap lies above 0, the denominator may be zero or negative: the share is then returned,
    but ``is_defined`` is False and there is no interval. Replicates in which O and B are equal are left out.

    The counts of the method, the baseline and the oracle, and the rest, are as in :func:`paired_difference`.
    """
    stacked = list(_stack([counts_a, counts_b, counts_oracle]))
    distance = paired_difference(stacked[2], stacked[1], num_bootstrap=num_bootstrap, seed=seed)
    gain = pooled_f1(stacked[0]) - pooled_f1(stacked[1])
    share = gain / distance.difference if distance.difference else None
    if share is None or distance.ci95 is None or distance.ci95[0] <= 0:
        return RecoveredShare(share, None, distance, False)
    f1_a, f1_b, f1_oracle = bootstrap_f1(stacked, num_bootstrap=num_bootstrap, seed=seed)
    apart = f1_oracle != f1_b
    ratios = (f1_a - f1_b)[apart] / (f1_oracle - f1_b)[apart]
    return RecoveredShare(share, percentile_ci95(ratios), distance, True)


def _stack(counts: Sequence[ArrayLike]) -> FloatArray:
    arrays = [np.asarray(by_case, dtype=np.float64) for by_case in counts]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 2 or arrays[0].shape[1] != 3 or not len(arrays[0]):
        shapes_found = ', '.join(str(array.shape) for array in arrays)
        raise ValueError(f'expected counts tp, fp, fn of the same cases, shape (C, 3) with C > 0; found {shapes_found}')
    return np.stack(arrays)
