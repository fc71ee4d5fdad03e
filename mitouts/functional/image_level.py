"""Scores how well image scores tell positive from negative images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score

from mitouts.functional.localization import precision_recall_f1
from mitouts.functional.ratios import ratio


@dataclass(frozen=True)
class ImageScores:
    """Image-level scores; a ratio without anything to divide by is 0.0.

    Attributes:
        auc: Area under the ROC curve; None with one class only.
        f1: ``2 tp / (2 tp + fp + fn)``.
        accuracy: ``(tp + tn) / N``.
        precision: ``tp / (tp + fp)``.
        recall: ``tp / (tp + fn)``.
        tp: Positive images with a score above the threshold.
        fp: Negative images with a score above the threshold.
        fn: The other positive images.
        tn: The other negative images.
    """

    auc: float | None
    f1: float
    accuracy: float
    precision: float
    recall: float
    tp: int
    fp: int
    fn: int
    tn: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def image_scores(scores: ArrayLike, labels: ArrayLike, threshold: float) -> ImageScores:
    """Score images against their labels; an image counts as positive when its score is > the threshold.

    Args:
        scores: ``(N,)`` float.
        labels: ``(N,)`` 0 or 1.
        threshold: On the scores.

    Raises:
        ValueError: The shapes differ, a score is not finite, or a label is neither 0 nor 1.
    """
    score, label = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if score.ndim != 1 or score.shape != label.shape:
        raise ValueError(f'expected one score and one label an image, found shapes {score.shape} and {label.shape}')
    if not np.isfinite(score).all():
        raise ValueError(f'expected finite scores, found {np.count_nonzero(~np.isfinite(score))} that are not')
    if not np.isin(label, (0, 1)).all():
        raise ValueError(f'expected labels 0 and 1, found {np.unique(label).tolist()}')
    positive, predicted = label.astype(bool), score > threshold
    tp = int(np.count_nonzero(positive & predicted))
    fp = int(np.count_nonzero(~positive & predicted))
    fn = int(np.count_nonzero(positive & ~predicted))
    tn = len(score) - tp - fp - fn
    precision, recall, f1 = (float(value) for value in precision_recall_f1(tp, fp, fn))
    return ImageScores(
        auc=float(roc_auc_score(positive, score)) if 0 < tp + fn < len(score) else None,
        f1=f1,
        accuracy=float(ratio(tp + tn, len(score))),
        precision=precision,
        recall=recall,
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
    )
