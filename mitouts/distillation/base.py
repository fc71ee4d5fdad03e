"""Defines the base classes of criteria and controls, the two ways to judge the images of a distillation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from mitouts.functional.distillation import Verdict
from mitouts.structures import EvaluatedImage

ThresholdSplit = Literal['val', 'train']


class Criterion(ABC):
    """Judges images one by one by a Teacher's predictions.

    Registered in :data:`mitouts.registry.CRITERIA`. Several processes may use one criterion, each for its own images,
    and it may judge an image again in a later epoch; so a verdict must depend on the arguments of :meth:`judge` alone.

    Attributes:
        compares_points: It compares predicted with annotated points, so that a positive image without annotated points
            is one that it cannot judge; the summary counts those, and a warning says when there are no others.
        threshold_from: The images that the Teacher's thresholds are chosen on: ``val`` takes those in its checkpoint,
            ``train`` chooses them on the images to be judged.
    """

    compares_points: ClassVar[bool] = True
    threshold_from: ThresholdSplit = 'val'

    @abstractmethod
    def judge(self, image: Mapping[str, Any], record: EvaluatedImage, *, image_threshold: float) -> Verdict:
        """Judge one image.

        Args:
            image: Its entry in the annotation file, with whatever else that knows of it, such as ``scanner``.
            record: Its label and its annotated points of the positive categories, beside what the Teacher predicts: the
                image score, and the points above the map threshold.
            image_threshold: The Teacher calls an image positive when its score is > this.

        Returns:
            The verdict, with a reason in the criterion's own words.
        """


class Control(ABC):
    """Judges all images at once without predictions, so that it needs no Teacher.

    Also registered in :data:`mitouts.registry.CRITERIA`. A distillation is compared with controls.
    """

    @abstractmethod
    def judge_all(self, images: Mapping[int, Mapping[str, Any]], labels: Mapping[int, int]) -> dict[int, Verdict]:
        """Judge all images.

        Args:
            images: Image id -> its entry in the annotation file.
            labels: Image id -> label, 0 or 1.

        Returns:
            Image id -> verdict, for every image; ``distance_px`` is 0.
        """
