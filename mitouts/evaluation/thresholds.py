"""Chooses thresholds on scores and labels.

All selectors but the fixed one raise ``ValueError`` where the labels hold one class only.
"""

from __future__ import annotations

import math
from typing import ClassVar

from numpy.typing import ArrayLike

from mitouts.errors import ConfigError
from mitouts.evaluation.base import ThresholdSelector
from mitouts.functional.thresholds import select_threshold
from mitouts.registry import THRESHOLD_SELECTORS


class MethodThreshold(ThresholdSelector):
    """Chooses by a method of :func:`mitouts.functional.thresholds.select_threshold`.

    Attributes:
        method: Its name; ``mitouts calibrate --selector`` takes it, too.
    """

    method: ClassVar[str]

    def __call__(self, scores: ArrayLike, labels: ArrayLike) -> float:
        return select_threshold(scores, labels, self.method)


@THRESHOLD_SELECTORS.register_module()
class MaxF1Threshold(MethodThreshold):
    """Chooses the threshold with the largest F1, as the authors' public code does.

    Args:
        prevalence: The share of positives at which F1 is to be largest; None takes that of the validation images.
    """

    method = 'max_f1'

    def __init__(self, prevalence: float | None = None) -> None:
        if prevalence is not None and not 0.0 < prevalence < 1.0:
            raise ConfigError(f'MaxF1Threshold: prevalence must lie between 0 and 1, both excluded, found {prevalence}')
        self.prevalence = prevalence

    def __call__(self, scores: ArrayLike, labels: ArrayLike) -> float:
        return select_threshold(scores, labels, self.method, prevalence=self.prevalence)


@THRESHOLD_SELECTORS.register_module()
class YoudenThreshold(MethodThreshold):
    """Chooses the threshold with the largest difference of true and false positive rate."""

    method = 'youden'


@THRESHOLD_SELECTORS.register_module()
class ClosestCornerThreshold(MethodThreshold):
    """Chooses the threshold whose point on the ROC curve is closest to the corner of no error."""

    method = 'closest_corner'


@THRESHOLD_SELECTORS.register_module()
class FixedThreshold(MethodThreshold):
    """Returns a given threshold, whatever the scores are.

    Args:
        value: The threshold.
    """

    method = 'fixed'

    def __init__(self, value: float) -> None:
        if not math.isfinite(value):
            raise ConfigError(f'FixedThreshold: value must be finite, found {value}')
        self.value = float(value)

    def __call__(self, scores: ArrayLike, labels: ArrayLike) -> float:
        return self.value


def find_selector(name: str) -> type[ThresholdSelector]:
    """Return the threshold selector of a name or of a method, such as ``max_f1``.

    Raises:
        UnknownComponentError: There is none.
    """
    selectors = THRESHOLD_SELECTORS.own_components().values()
    by_method = {selector.method: selector for selector in selectors if hasattr(selector, 'method')}
    return by_method.get(name) or THRESHOLD_SELECTORS.require(name)
