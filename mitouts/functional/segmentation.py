"""Scores label maps, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.functional.bootstrap import bootstrap_ci95, sum_by_case
from mitouts.functional.ratios import ratio

IGNORE_INDEX = 255
"""Label of pixels that were not annotated: they are neither trained on nor scored."""
UNKNOWN_INDEX = 254
"""Entry of a code table for codes that are neither a class nor ignored."""


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, num_classes: int) -> NDArray[np.int64]:
    """Count pixels by true class (rows) and predicted class (columns).

    Args:
        truth: Integers of any shape, ``0 .. num_classes - 1``, or :data:`IGNORE_INDEX` for pixels to leave out.
        predicted: Integers of the same shape.
        num_classes: C.

    Returns:
        ``(C, C)`` int64.

    Raises:
        ValueError: The shapes differ, or a label is none of the classes.
    """
    true_labels, predictions = np.asarray(truth), np.asarray(predicted)
    if true_labels.shape != predictions.shape:
        raise ValueError(f'truth is {true_labels.shape} and the prediction is {predictions.shape}')
    judged = true_labels != IGNORE_INDEX
    rows, columns = true_labels[judged].astype(np.int64), predictions[judged].astype(np.int64)
    for labels, name in ((rows, 'truth'), (columns, 'prediction')):
        if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
            raise ValueError(f'the {name} runs from {labels.min()} to {labels.max()}, expected 0 to {num_classes - 1}')
    return np.bincount(rows * num_classes + columns, minlength=num_classes**2).reshape(num_classes, num_classes)


def dice_scores(confusion: ArrayLike) -> NDArray[np.float64]:
    """Compute the Dice score of each class, ``2 TP / (2 TP + FP + FN)``, over all pixels that were counted.

    Args:
        confusion: ``(..., C, C)``, true classes in rows.

    Returns:
        ``(..., C)`` float64 in [0, 1]; NaN for a class that is neither there nor predicted.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    both = counts.sum(axis=-1) + counts.sum(axis=-2)
    return ratio(2 * hits, both, np.nan)


def mean_dice(confusion: ArrayLike) -> NDArray[np.float64]:
    """Average :func:`dice_scores` over the classes that have one; NaN without any."""
    scores = dice_scores(confusion)
    known = ~np.isnan(scores)
    return ratio(np.where(known, scores, 0).sum(axis=-1), known.sum(axis=-1), np.nan)


def pixel_accuracy(confusion: ArrayLike) -> float:
    """Return the share of the counted pixels whose class is right; NaN without any."""
    counts = np.asarray(confusion, dtype=np.float64)
    return float(ratio(np.trace(counts), counts.sum(), np.nan))


def bootstrap_mean_dice_ci95(
    confusions: ArrayLike, cases: Sequence[str], *, num_bootstrap: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """Compute the 95% bootstrap interval of the mean Dice over cases, as pixels of one case are not independent.

    Args:
        confusions: ``(N, C, C)``, one matrix per image.
        cases: The case of each image.
        num_bootstrap: Replicates.
        seed: Seed of the replicates.

    Returns:
        Lower and upper end; None with fewer than two cases or without replicates.
    """
    _, by_case = sum_by_case(np.asarray(confusions, dtype=np.int64), cases)
    return bootstrap_ci95(
        lambda weights: mean_dice(np.tensordot(weights, by_case, axes=1)),
        len(by_case), num_bootstrap=num_bootstrap, seed=seed,
    )  # fmt: skip
