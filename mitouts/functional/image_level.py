"""Measures how well image scores separate positive from negative images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score

from mitouts.functional.localization import precision_recall_f1
from mitouts.functional.ratios import ratio
from mitouts.functional.thresholds import as_scores


@dataclass(frozen=True)
class ImageScores:
    """Image-level scores; a ratio whose denominator is 0 is 0.0.

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

    Scores and labels are those of :func:`~mitouts.functional.thresholds.as_scores`, which checks them.
    """
    score, positive = as_scores(scores, labels)
    predicted = score > threshold
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
