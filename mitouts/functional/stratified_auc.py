"""Measures how well a score finds some items among others of the same case, combined over cases.

Where the share of positives differs between cases, a score that merely tells cases apart looks as if it found
positives. Comparing within cases alone rules that out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from mitouts.functional.bootstrap import bootstrap_ci95

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class CaseAuc:
    """The area under the ROC curve of one case; None where it has positives alone, or none."""

    case_id: str
    positives: int
    negatives: int
    auc: float | None


@dataclass(frozen=True)
class StratifiedAuc:
    """The area under the ROC curve within cases.

    Attributes:
        auc: Share of the pairs of a positive and a negative of one case in which the positive has the higher score, a
            tie counting one half: the mean of the cases' areas, weighted by positives x negatives. None without a pair.
        ci95: Its 95% percentile interval over resampled cases; None with one case, or where it is mostly undefined.
        pooled: The area over all items, whatever their case; None with one class alone.
        positives: Number of positives.
        negatives: Number of negatives.
        pairs: Number of pairs within cases.
        cases: Every case, by name.
    """

    auc: float | None
    ci95: tuple[float, float] | None
    pooled: float | None
    positives: int
    negatives: int
    pairs: int
    cases: list[CaseAuc]

    @property
    def mixed_cases(self) -> int:
        """Number of cases that have both positives and negatives, and so a part in the result."""
        return sum(case.auc is not None for case in self.cases)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {**asdict(self), 'mixed_cases': self.mixed_cases}


@dataclass(frozen=True)
class AucDifference:
    """How much larger the area within cases of one score is than that of another on the same items.

    Attributes:
        difference: First minus second; None without a pair.
        ci95: Its 95% percentile interval over resampled cases, the same cases for both scores.
    """

    difference: float | None
    ci95: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def stratified_auc(
    scores: ArrayLike, positive: ArrayLike, cases: ArrayLike, *, num_bootstrap: int = 2000, seed: int = 0
) -> StratifiedAuc:
    """Compute the area under the ROC curve within cases, with its interval over cases.

    Args:
        scores: ``(N,)`` finite; higher means more likely positive.
        positive: ``(N,)`` bool.
        cases: ``(N,)`` case of each item.
        num_bootstrap: Number of times that the cases are resampled; 0 for no interval.
        seed: Seed of the resampling.

    Raises:
        ValueError: The lengths differ, or a score is not finite.
    """
    score, truth, case = _checked(scores, positive, cases)
    names, concordant, pairs = concordance(score, truth, case)
    by_case = []
    for index, name in enumerate(names.tolist()):
        count = int(truth[case == name].sum())
        area = float(concordant[index] / pairs[index]) if pairs[index] else None
        by_case.append(CaseAuc(name, count, int((case == name).sum()) - count, area))
    _, pooled, all_pairs = concordance(score, truth, np.full(len(case), '', dtype=str))
    total = float(pairs.sum())
    return StratifiedAuc(
        auc=float(concordant.sum() / total) if total else None,
        ci95=_interval(concordant, pairs, num_bootstrap, seed),
        pooled=float(pooled.sum() / all_pairs.sum()) if all_pairs.sum() else None,
        positives=int(truth.sum()),
        negatives=int((~truth).sum()),
        pairs=int(total),
        cases=by_case,
    )


def auc_difference(
    first: ArrayLike,
    second: ArrayLike,
    positive: ArrayLike,
    cases: ArrayLike,
    *,
    num_bootstrap: int = 2000,
    seed: int = 0,
) -> AucDifference:
    """Compare two scores of the same items by their areas within cases.

    Args:
        first: ``(N,)`` finite; higher means more likely positive.
        second: ``(N,)`` as well.
        positive: ``(N,)`` bool.
        cases: ``(N,)`` case of each item.
        num_bootstrap: Number of times that the cases are resampled; 0 for no interval.
        seed: Seed of the resampling.

    Raises:
        ValueError: The lengths differ, or a score is not finite.
    """
    one, truth, case = _checked(first, positive, cases)
    other, _, _ = _checked(second, positive, cases)
    _, concordant, pairs = concordance(one, truth, case)
    _, less, _ = concordance(other, truth, case)
    total = pairs.sum()
    return AucDifference(
        float((concordant - less).sum() / total) if total else None,
        _interval(concordant - less, pairs, num_bootstrap, seed),
    )


def concordance(
    scores: FloatArray, positive: NDArray[np.bool_], cases: NDArray[np.str_]
) -> tuple[NDArray[np.str_], FloatArray, FloatArray]:
    """Count the pairs of a positive and a negative of one case, and those in which the positive has the higher score.

    Args:
        scores: ``(N,)``.
        positive: ``(N,)``.
        cases: ``(N,)``.

    Returns:
        The C names of the cases in ascending order; ``(C,)`` concordant pairs, a tie counting one half; ``(C,)`` pairs.
        The counts are those of Mann and Whitney (1947).
    """
    names, owner = np.unique(cases, return_inverse=True)
    concordant, pairs = np.zeros(len(names)), np.zeros(len(names))
    for index in range(len(names)):
        own, truth = scores[owner == index], positive[owner == index]
        count = int(truth.sum())
        pairs[index] = count * (len(own) - count)
        concordant[index] = rankdata(own)[truth].sum() - count * (count + 1) / 2
    return names, concordant, pairs


def _interval(concordant: FloatArray, pairs: FloatArray, num_bootstrap: int, seed: int) -> tuple[float, float] | None:
    def statistic(weights: NDArray[Any]) -> FloatArray:
        drawn = weights @ pairs
        result: FloatArray = np.divide(weights @ concordant, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
        return result

    return bootstrap_ci95(statistic, len(pairs), num_bootstrap=num_bootstrap, seed=seed)


def _checked(
    scores: ArrayLike, positive: ArrayLike, cases: ArrayLike
) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.str_]]:
    score, truth = np.asarray(scores, dtype=np.float64).ravel(), np.asarray(positive, dtype=bool).ravel()
    case = np.asarray(cases, dtype=str).ravel()
    if not len(score) == len(truth) == len(case):
        raise ValueError(f'expected as many scores as labels and cases, found {len(score)}, {len(truth)}, {len(case)}')
    if not np.isfinite(score).all():
        raise ValueError('expected finite scores')
    return score, truth, case
