"""Evaluates label maps; only confusion matrices are gathered, never the maps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine import dist
from numpy.typing import NDArray

from mitouts.functional.segmentation import (
    bootstrap_mean_dice_ci95,
    confusion_matrix,
    dice_scores,
    mean_dice,
    pixel_accuracy,
)
from mitouts.registry import EVALUATOR, METRICS
from mitouts.structures import TissueSample
from mitouts.utils.ranks import on_main_process


@dataclass(frozen=True)
class TissueRecord:
    """The confusion matrix of one image, and which image it is.

    Attributes:
        image_id: Unique; results are keyed by it.
        case_id: The patient or slide.
        confusion: ``(C, C)`` int64, pixels by true (rows) and predicted class.
        mpp: Micrometres per pixel of the label map, or None where unknown.
    """

    image_id: int
    case_id: str
    confusion: NDArray[np.int64]
    mpp: float | None


class TissueMetric(ABC):
    """Scores the label maps of a tissue model, all images together.

    Registered in :data:`mitouts.registry.METRICS`, beside the metrics of localizers.
    """

    @abstractmethod
    def __call__(self, records: Sequence[TissueRecord], classes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Score the label maps.

        Args:
            records: One per image, by ascending image id.
            classes: Names of the classes, in the order of the confusion matrices.

        Returns:
            Block -> key -> value, ready for JSON, for ``results.json``; None for what is not defined.
        """


@METRICS.register_module()
class DiceMetric(TissueMetric):
    """Computes Dice of each class over all labelled pixels of all images, its mean, and the pixel accuracy.

    A class that is neither annotated nor predicted has no Dice and is left out of the mean.

    Args:
        num_bootstrap: Replicates of the mean's interval over cases; 0 leaves it out.
        seed: Seed of the replicates.
    """

    def __init__(self, num_bootstrap: int = 1000, seed: int = 0) -> None:
        self.num_bootstrap = num_bootstrap
        self.seed = seed

    def __call__(self, records: Sequence[TissueRecord], classes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Score the label maps.

        Returns:
            ``dice`` (``mean``, ``mean_ci95``, and each class by its name) and ``pixel`` (``accuracy``, ``count`` and
            the ``confusion`` matrix); None for what is not defined.
        """
        matrices = np.stack([record.confusion for record in records])
        total = matrices.sum(axis=0)
        interval = bootstrap_mean_dice_ci95(
            matrices, [record.case_id for record in records], num_bootstrap=self.num_bootstrap, seed=self.seed
        )
        return {
            'dice': {
                'mean': _known(float(mean_dice(total))),
                'mean_ci95': None if interval is None else list(interval),
                **{name: _known(value) for name, value in zip(classes, dice_scores(total).tolist(), strict=True)},
            },
            'pixel': {
                'accuracy': _known(pixel_accuracy(total)),
                'count': int(total.sum()),
                'confusion': total.tolist(),
            },
        }


@EVALUATOR.register_module()
class TissueEvaluator:
    """Evaluates label maps.

    Args:
        metrics: Configs of metrics, each called with all :class:`TissueRecord` and the names of the classes.

    Attributes:
        results: Nested results of the last evaluation.
        records: One :class:`TissueRecord` an image, by ascending image id.
    """

    def __init__(self, metrics: Sequence[dict[str, Any]]) -> None:
        self.metrics: list[TissueMetric] = [METRICS.build_kind(metric, TissueMetric) for metric in metrics]
        self.dataset_meta: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.records: list[TissueRecord] = []
        self._gathered: list[TissueRecord] = []

    def process(self, data_samples: Sequence[TissueSample], data_batch: Any = None) -> None:
        """Add the predictions of one batch."""
        for sample in data_samples:
            confusion = confusion_matrix(
                sample.gt_labels.cpu().numpy(), sample.pred_labels.cpu().numpy(), len(self.dataset_meta['classes'])
            )
            self._gathered.append(TissueRecord(sample.img_id, sample.case_id, confusion, sample.mpp))

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather records over ranks and run the metrics; rank 0 computes, all ranks get the results.

        Args:
            size: Number of images; distributed samplers may repeat some, which are merged by image id.

        Returns:
            Flat scalars such as ``dice/mean``, the same on every rank.
        """
        parts = dist.gather_object(self._gathered)
        self._gathered = []
        self.records, self.results = on_main_process(lambda: self._judge(parts or []))
        return {
            f'{group}/{key}': value
            for group, values in self.results.items()
            if isinstance(values, dict)
            for key, value in values.items()
            if isinstance(value, float)
        }

    def _judge(self, parts: Sequence[Sequence[TissueRecord]]) -> tuple[list[TissueRecord], dict[str, Any]]:
        """Merge the records of all ranks, one per image, and return them with the results."""
        merged = {record.image_id: record for part in parts for record in part}
        records = [merged[image_id] for image_id in sorted(merged)]
        results: dict[str, Any] = {'images': len(records)}
        for metric in self.metrics:
            results.update(metric(records, self.dataset_meta['classes']))
        return records, results


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
