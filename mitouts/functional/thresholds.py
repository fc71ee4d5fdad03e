"""Chooses the threshold above which a score counts as positive."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

METHODS = ('max_f1', 'youden', 'closest_corner', 'fixed')


def select_threshold(
    scores: ArrayLike,
    labels: ArrayLike,
    method: str = 'max_f1',
    *,
    value: float | None = None,
    prevalence: float | None = None,
) -> float:
    """Choose T such that ``score > T`` separates positives from negatives best.

    Candidates lie midway between consecutive distinct scores, and below the lowest and above the highest of them (for
    probabilities midway to 0 and to 1, otherwise 0.5 away), so no score equals T. Neighbouring candidates with the
    same, best criterion form a plateau; of several plateaus the widest is taken, and of its candidates the one nearest
    its middle.

    - ``max_f1``: the largest F1, ``2 TP / (2 TP + FP + FN)``.
    - ``youden``: the largest ``TPR - FPR`` (Youden 1950).
    - ``closest_corner``: the least ``FPR^2 + (1 - TPR)^2``, the point of the ROC curve closest to (0, 1).
    - ``fixed``: ``value``, whatever the scores are.

    Args:
        scores: ``(N,)`` float, higher is more positive.
        labels: ``(N,)`` 0 or 1.
        method: One of the above.
        value: The threshold of ``fixed``.
        prevalence: The share of positives that ``max_f1`` should hold for: positives weigh ``prevalence / #positives``
            and negatives ``(1 - prevalence) / #negatives``. None takes the sample's own. The ROC criteria do not depend
            on it.

    Raises:
        ValueError: An argument is invalid, a score is not finite, or the labels hold one class only.

    >>> select_threshold([0.1, 0.4, 0.6, 0.9], [0, 0, 1, 1])
    0.5
    """
    if method not in METHODS:
        raise ValueError(f'unknown method {method!r}; known are {", ".join(METHODS)}')
    if method == 'fixed':
        if value is None or not math.isfinite(value):
            raise ValueError(f"the method 'fixed' needs a finite value, found {value}")
        return float(value)
    score, positive = as_scores(scores, labels)
    num_positive = int(positive.sum())
    if num_positive in (0, len(positive)):
        raise ValueError(
            f'a threshold needs both classes, found {num_positive} positive and {len(positive) - num_positive} '
            "negative samples; add the missing class or use the method 'fixed'"
        )
    weight = class_weights(positive, prevalence)

    levels, position = np.unique(score, return_inverse=True)
    # Entry k holds what lies at or above level k: what counts when the threshold is just below that level.
    tp = _sum_from(np.bincount(position, weights=np.where(positive, weight, 0.0), minlength=len(levels)))
    fp = _sum_from(np.bincount(position, weights=np.where(positive, 0.0, weight), minlength=len(levels)))
    bounds = _with_bounds(levels)
    criterion = _criterion(method, tp, fp)
    return _middle_of_widest_plateau(bounds, criterion)


def class_weights(positive: NDArray[np.bool_], prevalence: float | None) -> NDArray[np.float64]:
    """Compute sample weights that give the positive samples a given share.

    Args:
        positive: ``(N,)``, of both classes.
        prevalence: The share, between 0 and 1; None weighs all alike, by 1.

    Raises:
        ValueError: The prevalence is 0, 1 or beyond.
    """
    if prevalence is None:
        return np.ones(len(positive))
    if not 0.0 < prevalence < 1.0:
        raise ValueError(f'prevalence must lie between 0 and 1, both excluded, found {prevalence}')
    num_positive = positive.sum()
    return np.where(positive, prevalence / num_positive, (1.0 - prevalence) / (len(positive) - num_positive))


def as_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Check scores and labels.

    Args:
        scores: ``(N,)`` float.
        labels: ``(N,)`` 0 or 1.

    Returns:
        The scores, and which samples are positive; both ``(N,)``.

    Raises:
        ValueError: The shapes differ, a score is not finite, or a label is neither 0 nor 1.
    """
    score, label = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if score.ndim != 1 or score.shape != label.shape:
        raise ValueError(f'expected one score and one label a sample, found shapes {score.shape} and {label.shape}')
    if not np.isfinite(score).all():
        raise ValueError(f'expected finite scores, found {np.count_nonzero(~np.isfinite(score))} that are not')
    if not np.isin(label, (0, 1)).all():
        raise ValueError(f'expected labels 0 and 1, found {np.unique(label).tolist()}')
    return score, label.astype(bool)


def _sum_from(values: NDArray) -> NDArray[np.float64]:
    """Sum the values from each position to the end; an extra last entry, 0, is for a threshold above all levels."""
    return np.append(np.cumsum(values[::-1])[::-1], 0.0)


def _with_bounds(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    low = 0.0 if levels[0] > 0.0 and levels[-1] <= 1.0 else levels[0] - 1.0
    high = 1.0 if levels[0] >= 0.0 and levels[-1] < 1.0 else levels[-1] + 1.0
    return np.concatenate([[low], levels, [high]])


def _criterion(method: str, tp: NDArray[np.float64], fp: NDArray[np.float64]) -> NDArray[np.float64]:
    if method == 'max_f1':
        return 2.0 * tp / (tp + fp + tp[0])
    tpr, fpr = tp / tp[0], fp / fp[0]
    return tpr - fpr if method == 'youden' else -(fpr**2 + (1.0 - tpr) ** 2)


def _middle_of_widest_plateau(bounds: NDArray[np.float64], criterion: NDArray[np.float64]) -> float:
    # Sums in another order may differ in the last bits.
    best = np.flatnonzero(np.isclose(criterion, criterion.max(), rtol=1e-12, atol=1e-12))
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    run = max(runs, key=lambda run: bounds[run[-1] + 1] - bounds[run[0]])
    candidates = bounds[run] + (bounds[run + 1] - bounds[run]) / 2.0
    # Between neighbouring floats the midpoint rounds to one of them, and only the lower one separates them.
    candidates = np.where(candidates < bounds[run + 1], candidates, bounds[run])
    middle = (bounds[run[0]] + bounds[run[-1] + 1]) / 2.0
    return float(candidates[np.argmin(np.abs(candidates - middle))])
