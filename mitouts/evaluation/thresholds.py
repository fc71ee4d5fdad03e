"""Registered threshold selectors: called with scores and labels, they return the threshold.

All but the fixed one raise ``ValueError`` where the labels hold one class only.
"""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from mitouts.errors import ConfigError
from mitouts.evaluation.base import ThresholdSelector
from mitouts.functional.thresholds import select_threshold
from mitouts.registry import THRESHOLD_SELECTORS


@THRESHOLD_SELECTORS.register_module()
class MaxF1Threshold(ThresholdSelector):
    """The threshold with the largest F1; what the authors' public code does.

    Args:
        prevalence: The share of positives at which the F1 shall be largest; None takes the validation images' own.
    """

    def __init__(self, prevalence: float | None = None) -> None:
        if prevalence is not None and not 0.0 < prevalence < 1.0:
            raise ConfigError(f'MaxF1Threshold: prevalence must lie between 0 and 1, both excluded, found {prevalence}')
        self.prevalence = prevalence

    def __call__(self, scores: ArrayLike, labels: ArrayLike) -> float:
        return select_threshold(scores, labels, 'max_f1', prevalence=self.prevalence)


@THRESHOLD_SELECTORS.register_module()
class YoudenThreshold(ThresholdSelector):
    """The threshold with the largest difference of true and false positive rate."""

    def __call__(self, scores: ArrayLike, labels: ArrayLike) -> float:
        return select_threshold(scores, labels, 'youden')


@THRESHOLD_SELECTORS.register_module()
class ClosestCornerThreshold(ThresholdSelector):
    """The threshold whose point on the ROC curve is closest to the corner of no error."""

    def __call__(self, scores: ArrayLike, labels: ArrayLike) -> float:
        return select_threshold(scores, labels, 'closest_corner')


@THRESHOLD_SELECTORS.register_module()
class FixedThreshold(ThresholdSelector):
    """A given threshold, whatever the scores are.

    Args:
        value: The threshold.
    """

    def __init__(self, value: float) -> None:
        if not math.isfinite(value):
            raise ConfigError(f'FixedThreshold: value must be finite, found {value}')
        self.value = value

    def __call__(self, scores: ArrayLike, labels: ArrayLike) -> float:
        return select_threshold(scores, labels, 'fixed', value=self.value)
