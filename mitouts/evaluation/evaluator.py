"""Gathers predictions once, chooses the thresholds, and runs the metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from mmengine import dist

from mitouts.errors import AnnotationError, CheckpointError, ConfigError, TrainingError
from mitouts.evaluation.base import Metric, ThresholdSelector
from mitouts.functional.drift import remove_drift
from mitouts.functional.geometry import FeatureGeometry, map_maximum
from mitouts.functional.points import Centroid
from mitouts.models.reading import read_sample
from mitouts.registry import EVALUATOR, METRICS, THRESHOLD_SELECTORS
from mitouts.structures import EvaluatedImage, ImageTruth, PointSample
from mitouts.utils.defaults import ROTATIONS
from mitouts.utils.ranks import on_main_process

LOGGED_KEYS = ('auc', 'accuracy', 'precision', 'recall', 'f1', 'average_sensitivity')

Drift = tuple[float, float]
Gathered = tuple[ImageTruth, PointSample]
"""The annotations of an image, and the sample that the model predicted."""


@EVALUATOR.register_module()
class LocalizationEvaluator:
    """Evaluates localizers, whether they score a map or predict points.

    Rank 0 evaluates the predictions of all ranks and hands them the outcome, errors included.

    Points of a model without a map are used as they are, and the threshold is chosen on each image's highest score. The
    arguments for reading a map do not apply to them.

    Args:
        metrics: Configs of metrics, each called with one :class:`~mitouts.structures.EvaluatedImage` an image, and
            both thresholds.
        thresholds: ``select`` chooses them on the images at hand (validation); ``checkpoint`` takes those that the
            model was calibrated with (test).
        image_threshold: Config of the selector on image scores against image labels.
        map_threshold: Config of the selector on each image's map maximum (without a map, the highest score of a point)
            against image labels; default the same as ``image_threshold``.
        min_score: Weakest peak that is kept among the points.
        min_area_px: Components with fewer pixels are left out.
        centroid: ``geometric`` or ``score_weighted``.
        rotations: Average score maps over this many right-angle turns of an image, 1 or 4
            (:mod:`mitouts.models.rotations`). None takes 1 when thresholds are selected during a training, and in a
            test the number that the model's thresholds were chosen with.
        correct_drift: When thresholds are selected, also measure how far the points lie beside the figures (by turning
            images, without looking at annotations) and move them back; see :mod:`mitouts.functional.drift`.

    Attributes:
        results: Nested results of the last evaluation.
        records: One :class:`~mitouts.structures.EvaluatedImage` an image, by ascending image id.
        calibration: The thresholds and how points were read, for the checkpoint's meta.
    """

    def __init__(
        self,
        metrics: Sequence[dict[str, Any]],
        thresholds: Literal['select', 'checkpoint'] = 'select',
        image_threshold: dict[str, Any] | None = None,
        map_threshold: dict[str, Any] | None = None,
        min_score: float = 0.01,
        min_area_px: int = 1,
        centroid: Centroid = 'geometric',
        correct_drift: bool = True,
        rotations: int | None = None,
    ) -> None:
        if thresholds not in ('select', 'checkpoint'):
            raise ConfigError(f"evaluator.thresholds must be 'select' or 'checkpoint', found {thresholds!r}")
        self.metrics: list[Metric] = [METRICS.build_kind(metric, Metric) for metric in metrics]
        self.thresholds = thresholds
        image_threshold = image_threshold or dict(type='MaxF1Threshold')
        self.select_image_threshold, self.select_map_threshold = (
            THRESHOLD_SELECTORS.build_kind(selector, ThresholdSelector)
            for selector in (image_threshold, map_threshold or image_threshold)
        )
        self.min_score = min_score
        self.min_area_px = min_area_px
        self.centroid = centroid
        self.correct_drift = correct_drift
        if rotations is not None and rotations not in ROTATIONS:
            raise ConfigError(f'evaluator.rotations must be 1 or 4, found {rotations!r:.40}')
        self.rotations = rotations
        self.measure_drift: Callable[..., tuple[float, float]] | None = None
        self.dataset_meta: dict[str, Any] | None = None
        self.geometry: FeatureGeometry | None = None
        self.calibration: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.records: list[EvaluatedImage] = []
        self._gathered: list[Gathered] = []

    def process(self, data_samples: Sequence[PointSample], data_batch: Any = None) -> None:
        """Add the predictions of one batch."""
        self._gathered.extend((sample.truth(), sample.prediction()) for sample in data_samples)

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather over ranks, choose the thresholds or use the given ones, read points, run the metrics.

        Args:
            size: Number of images; distributed samplers may repeat some, which are merged by image id.

        Returns:
            Flat scalars such as ``image/f1`` and ``one_to_one/f1``, the same on every rank.
        """
        parts = dist.gather_object(self._gathered) or []
        self._gathered = []
        by_id = {truth.image_id: (truth, sample) for part in parts for truth, sample in part}
        gathered = [by_id[image_id] for image_id in sorted(by_id)]
        self.records, self.calibration, self.results = on_main_process(lambda: self._judge(gathered))
        return scalars(self.results)

    def _judge(self, gathered: list[Gathered]) -> tuple[list[EvaluatedImage], dict[str, Any], dict[str, Any]]:
        """Evaluate the predictions of all ranks; returns records, calibration and results."""
        need_finite_scores([sample for _, sample in gathered])
        if self.thresholds == 'checkpoint':
            self.min_area_px = self.calibration.get('min_area_px', self.min_area_px)
            self.centroid = self.calibration.get('centroid', self.centroid)
        maxima = [self._map_max(sample) for _, sample in gathered]
        image_threshold, map_threshold = self._thresholds(gathered, maxima)
        reading = {'map_threshold': map_threshold, 'min_area_px': self.min_area_px, 'centroid': self.centroid}
        records = [
            EvaluatedImage(truth, replace(read_sample(sample, self.geometry, reading, self.min_score), map_max=maximum))
            for (truth, sample), maximum in zip(gathered, maxima)
        ]
        drift_px = self._drift(records, image_threshold, reading)
        records = [_moved_back(record, drift_px) for record in records]
        chosen: dict[str, Any] = {
            'image_threshold': image_threshold,
            'map_threshold': map_threshold,
            'drift_px': list(drift_px),
        }
        calibration = {**chosen, 'min_area_px': self.min_area_px, 'centroid': self.centroid}
        results: dict[str, Any] = {'images': len(gathered), **chosen}
        unlocated = sum(not record.truth.is_located for record in records)
        if unlocated:
            results['images_without_points'] = unlocated
        for metric in self.metrics:
            results.update(metric(records, image_threshold=image_threshold, map_threshold=map_threshold))
        return records, calibration, results

    def _thresholds(self, gathered: list[Gathered], maxima: list[float]) -> tuple[float, float]:
        if self.thresholds == 'checkpoint':
            try:
                return self.calibration['image_threshold'], self.calibration['map_threshold']
            except KeyError:
                raise CheckpointError(
                    'the checkpoint carries no thresholds: it was saved before a validation, or by another program, '
                    'or the config lacks the CalibrationHook that reads them. '
                    "Train with a val_evaluator, or set test_evaluator.thresholds='select' to choose them on these "
                    'very images (and say so)'
                ) from None
        labels = np.array([truth.label for truth, _ in gathered])
        scores = np.array([float(sample.pred_score) for _, sample in gathered])
        try:
            return self.select_image_threshold(scores, labels), self.select_map_threshold(np.array(maxima), labels)
        except ValueError as error:
            raise AnnotationError(
                f'thresholds cannot be chosen on these {len(gathered)} images: {error}. Validate on images of both '
                "classes, or give the evaluator image_threshold=dict(type='FixedThreshold', value=...)"
            ) from error

    def _map_max(self, sample: PointSample) -> float:
        if 'pred_points' in sample:
            return float(sample.pred_points.numpy().astype(np.float64)[:, 2].max(initial=0.0))
        if self.geometry is None:
            raise ConfigError(
                "a score map cannot be read without the model's geometry, which CalibrationHook hands over: the config "
                "needs dict(type='CalibrationHook') in custom_hooks, ValLoop in val_cfg and TestLoop in test_cfg"
            )
        height, width = sample.ori_shape
        return map_maximum(sample.pred_map.numpy(), height, width, self.geometry)

    def _drift(self, records: list[EvaluatedImage], image_threshold: float, reading: dict[str, Any]) -> Drift:
        if self.thresholds == 'checkpoint':
            return tuple(self.calibration.get('drift_px', (0.0, 0.0)))
        if self.measure_drift is None or not self.correct_drift or self.geometry is None:
            return 0.0, 0.0
        predictions = [record.prediction for record in records if record.prediction.score > image_threshold]
        strongest = [
            (prediction.image_id, prediction.points[0, :2])
            for prediction in sorted(predictions, key=lambda prediction: (-prediction.score, prediction.image_id))
            if len(prediction.above(reading['map_threshold']))
        ]
        return self.measure_drift(strongest, reading)


def _moved_back(record: EvaluatedImage, drift_px: Drift) -> EvaluatedImage:
    prediction, size_px = record.prediction, (record.truth.width, record.truth.height)
    peaks = None if prediction.peaks is None else remove_drift(prediction.peaks, drift_px, *size_px)
    points = remove_drift(prediction.points, drift_px, *size_px)
    return replace(record, prediction=replace(prediction, points=points, peaks=peaks))


def need_finite_scores(predictions: Sequence[PointSample]) -> None:
    """Raise TrainingError when the model predicts NaN or infinity."""
    broken = [prediction.img_id for prediction in predictions if not np.isfinite(float(prediction.pred_score))]
    if broken:
        raise TrainingError(
            f'the model predicts no finite score for {len(broken)} of {len(predictions)} images, the first is '
            f'{broken[0]}: its weights are broken. Go back to an earlier checkpoint, and lower the learning rate or '
            'clip gradients'
        )


def scalars(results: dict[str, Any]) -> dict[str, float]:
    """Return the results to log: ``image/f1``, ``one_to_one/f1`` and so on, of the first radius."""
    chosen = {
        f'{group}/{key}': float(values[key])
        for group, values in results.items()
        if isinstance(values, dict) and '@' not in group
        for key in LOGGED_KEYS
        if values.get(key) is not None
    }
    return chosen | {key: float(results[key]) for key in ('image_threshold', 'map_threshold')}
