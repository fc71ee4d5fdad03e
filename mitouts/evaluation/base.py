"""Defines the base classes of metrics and threshold selectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from mitouts.structures import EvaluatedImage


class Metric(ABC):
    """Scores a localizer's predictions over all images together.

    Registered in :data:`mitouts.registry.METRICS`; the evaluator calls it once per evaluation, on rank 0, with the
    images of all ranks.
    """

    @abstractmethod
    def __call__(
        self, records: Sequence[EvaluatedImage], *, image_threshold: float, map_threshold: float
    ) -> dict[str, dict[str, Any]]:
        """Score the images.

        Args:
            records: One per image, by ascending image id.
            image_threshold: An image counts as positive when its score is > this.
            map_threshold: A point counts when its score is > this.

        Returns:
            Block -> key -> value, ready for JSON, for ``results.json``; a value that is not defined is None. The
            numbers under one of :data:`mitouts.evaluation.evaluator.LOGGED_KEYS` are logged as ``block/key``, too.
        """


class ThresholdSelector(ABC):
    """Chooses the threshold above which a score counts as positive.

    Registered in :data:`mitouts.registry.THRESHOLD_SELECTORS`. Intervals are made by calling it again and again on
    resampled images, so its choice depends on its arguments alone.
    """

    @abstractmethod
    def __call__(self, scores: ArrayLike, labels: ArrayLike) -> float:
        """Choose T such that ``score > T`` separates positives from negatives.

        Args:
            scores: ``(N,)`` float, higher is more positive.
            labels: ``(N,)`` 0 or 1.

        Raises:
            ValueError: It cannot choose on these, such as on images of one class only.
        """
