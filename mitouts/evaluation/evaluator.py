"""Gathers predictions once, chooses the thresholds, and runs the metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from mmengine import dist
from numpy.typing import NDArray

from mitouts.errors import AnnotationError, CheckpointError, ConfigError, TrainingError
from mitouts.evaluation.base import Metric, build_selector
from mitouts.evaluation.records import ImageRecord
from mitouts.functional.drift import remove_drift
from mitouts.functional.geometry import FeatureGeometry, map_maximum
from mitouts.functional.points import Centroid, read_map
from mitouts.registry import EVALUATOR, METRICS
from mitouts.structures import PointSample
from mitouts.utils.ranks import on_main_process

LOGGED_KEYS = ('auc', 'accuracy', 'precision', 'recall', 'f1', 'average_sensitivity')


@dataclass(frozen=True)
class RawPrediction:
    """What is gathered of one image: the map at network resolution, or the points of a model without one."""

    image_id: int
    case_id: str
    label: int
    score: float
    score_map: NDArray[np.float32] | None
    points: NDArray[np.float64] | None
    truth: NDArray[np.float64]
    counted: NDArray[np.bool_]
    cut: NDArray[np.float64]
    width: int
    height: int
    mpp: float | None

    @classmethod
    def of(cls, sample: PointSample) -> RawPrediction:
        """From a sample with a prediction."""
        height, width = sample.ori_shape
        return cls(
            image_id=sample.img_id,
            case_id=sample.case_id,
            label=sample.gt_label,
            score=float(sample.pred_score),
            score_map=sample.pred_map.numpy() if 'pred_map' in sample else None,
            points=sample.pred_points.numpy().astype(np.float64) if 'pred_points' in sample else None,
            truth=sample.gt_points.numpy().astype(np.float64),
            counted=sample.gt_counted.numpy(),
            cut=sample.gt_cut.numpy().astype(np.float64),
            width=width,
            height=height,
            mpp=sample.mpp,
        )


@EVALUATOR.register_module()
class LocalizationEvaluator:
    """Evaluator of localizers, whether they score a map or find points.

    Rank 0 evaluates the predictions of all ranks and hands them the outcome, errors included.

    Points of a model without a map are taken as they are, and the threshold is chosen on each image's highest score.
    The arguments on how a map is read do not concern them.

    Args:
        metrics: Configs of metrics, each called with all :class:`ImageRecord` and both thresholds.
        thresholds: ``select`` chooses them on the images at hand (validation); ``checkpoint`` takes those that the
            model was calibrated with (test).
        image_threshold: Config of the selector on image scores against image labels.
        map_threshold: Config of the selector on each image's map maximum (without a map, the highest score of a point)
            against image labels; default the same as
            ``image_threshold``.
        min_score: Weakest peak that is kept among the points.
        min_area_px: Components with fewer pixels are left out.
        centroid: ``geometric`` or ``score_weighted``.
        correct_drift: When thresholds are selected, also measure how far the points lie beside the figures (by turning
            images, without looking at annotations) and move them back; see :mod:`mitouts.functional.drift`.

    Attributes:
        results: Nested results of the last evaluation.
        records: One :class:`ImageRecord` an image, by ascending image id.
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
    ) -> None:
        if thresholds not in ('select', 'checkpoint'):
            raise ConfigError(f"evaluator.thresholds must be 'select' or 'checkpoint', found {thresholds!r}")
        self.metrics: list[Metric] = [METRICS.build_kind(metric, Metric) for metric in metrics]
        self.thresholds = thresholds
        image_threshold = image_threshold or dict(type='MaxF1Threshold')
        self.select_image_threshold = build_selector(image_threshold)
        self.select_map_threshold = build_selector(map_threshold or image_threshold)
        self.min_score = min_score
        self.min_area_px = min_area_px
        self.centroid = centroid
        self.correct_drift = correct_drift
        self.measure_drift: Callable[..., tuple[float, float]] | None = None
        self.dataset_meta: dict[str, Any] | None = None
        self.geometry: FeatureGeometry | None = None
        self.calibration: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.records: list[ImageRecord] = []
        self._raw: list[RawPrediction] = []

    def process(self, data_samples: Sequence[PointSample], data_batch: Any = None) -> None:
        """Take in the predictions of one batch."""
        self._raw.extend(RawPrediction.of(sample) for sample in data_samples)

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather over ranks, choose or take the thresholds, read points, run the metrics.

        Args:
            size: Number of images; distributed samplers may repeat some, which are merged by image id.

        Returns:
            Flat scalars such as ``image/f1`` and ``one_to_one/f1``, the same on every rank.
        """
        parts = dist.gather_object(self._raw)
        self._raw = []
        self.records, self.calibration, self.results = on_main_process(lambda: self._judge(merge_by_id(parts or [])))
        return scalars(self.results)

    def _judge(self, raw: list[RawPrediction]) -> tuple[list[ImageRecord], dict[str, Any], dict[str, Any]]:
        """Records, calibration and results of all ranks' predictions."""
        need_finite_scores(raw)
        if self.thresholds == 'checkpoint':
            self.min_area_px = self.calibration.get('min_area_px', self.min_area_px)
            self.centroid = self.calibration.get('centroid', self.centroid)
        image_threshold, map_threshold = self._thresholds(raw)
        records = [self._record(prediction, map_threshold) for prediction in raw]
        drift_px = self._drift(records, image_threshold, map_threshold)
        records = [_moved_back(record, drift_px) for record in records]
        calibration = {
            'image_threshold': image_threshold,
            'map_threshold': map_threshold,
            'drift_px': list(drift_px),
            'min_area_px': self.min_area_px,
            'centroid': self.centroid,
        }
        results: dict[str, Any] = {
            'images': len(raw),
            'image_threshold': image_threshold,
            'map_threshold': map_threshold,
            'drift_px': list(drift_px),
        }
        unlocated = sum(not record.is_located for record in records)
        if unlocated:
            results['images_without_points'] = unlocated
        for metric in self.metrics:
            results.update(metric(records, image_threshold=image_threshold, map_threshold=map_threshold))
        return records, calibration, results

    def _thresholds(self, raw: list[RawPrediction]) -> tuple[float, float]:
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
        labels = np.array([prediction.label for prediction in raw])
        scores = np.array([prediction.score for prediction in raw])
        maxima = np.array([self._map_max(prediction) for prediction in raw], dtype=np.float64)
        try:
            return self.select_image_threshold(scores, labels), self.select_map_threshold(maxima, labels)
        except ValueError as error:
            raise AnnotationError(
                f'thresholds cannot be chosen on these {len(raw)} images: {error}. Validate on images of both '
                "classes, or give the evaluator image_threshold=dict(type='FixedThreshold', value=...)"
            ) from error

    def _map_max(self, prediction: RawPrediction) -> float:
        if prediction.score_map is None:
            return float(_points(prediction)[:, 2].max(initial=0.0))
        return map_maximum(prediction.score_map, prediction.height, prediction.width, self._known_geometry())

    def _known_geometry(self) -> FeatureGeometry:
        if self.geometry is None:
            raise ConfigError(
                "a score map cannot be read without the model's geometry, which CalibrationHook hands over: the config "
                "needs dict(type='CalibrationHook') in custom_hooks, ValLoop in val_cfg and TestLoop in test_cfg"
            )
        return self.geometry

    def _drift(self, records: list[ImageRecord], image_threshold: float, map_threshold: float) -> tuple[float, float]:
        if self.thresholds == 'checkpoint':
            return tuple(self.calibration.get('drift_px', (0.0, 0.0)))
        if self.measure_drift is None or not self.correct_drift or self.geometry is None:
            return 0.0, 0.0
        found = [
            record
            for record in records
            if record.score > image_threshold and len(record.points) and record.points[0, 2] > map_threshold
        ]
        found.sort(key=lambda record: (-record.score, record.image_id))
        strongest = [(record.image_id, record.points[0, :2]) for record in found]
        return self.measure_drift(strongest, map_threshold, min_area_px=self.min_area_px, centroid=self.centroid)

    def _record(self, prediction: RawPrediction, map_threshold: float) -> ImageRecord:
        points, peaks = self._read(prediction, map_threshold)
        return ImageRecord(
            image_id=prediction.image_id,
            case_id=prediction.case_id,
            label=prediction.label,
            score=prediction.score,
            map_max=self._map_max(prediction),
            truth=prediction.truth,
            counted=prediction.counted,
            cut=prediction.cut,
            points=points,
            width=prediction.width,
            height=prediction.height,
            mpp=prediction.mpp,
            peaks=peaks,
        )

    def _read(
        self, prediction: RawPrediction, map_threshold: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        if prediction.score_map is None:
            points = _points(prediction)
            return points[points[:, 2] > self.min_score], None
        return read_map(
            prediction.score_map,
            prediction.height,
            prediction.width,
            self._known_geometry(),
            map_threshold=map_threshold,
            min_score=self.min_score,
            min_area_px=self.min_area_px,
            centroid=self.centroid,
        )


def _moved_back(record: ImageRecord, drift_px: tuple[float, float]) -> ImageRecord:
    points, peaks = (
        None if each is None else remove_drift(each, drift_px, record.width, record.height)
        for each in (record.points, record.peaks)
    )
    assert points is not None
    return replace(record, points=points, peaks=peaks)


def _points(prediction: RawPrediction) -> NDArray[np.float64]:
    assert prediction.points is not None, 'a model predicts pred_map or pred_points'
    return prediction.points


def need_finite_scores(raw: Sequence[RawPrediction]) -> None:
    """Raise TrainingError when the model predicts NaN or infinity."""
    broken = [prediction.image_id for prediction in raw if not np.isfinite(prediction.score)]
    if broken:
        raise TrainingError(
            f'the model predicts no finite score for {len(broken)} of {len(raw)} images, the first is {broken[0]}: '
            'its weights are broken. Go back to an earlier checkpoint, and lower the learning rate or clip gradients'
        )


def scalars(results: dict[str, Any]) -> dict[str, float]:
    """The numbers worth a line of the log: ``image/f1``, ``one_to_one/f1`` and so on, of the first radius."""
    chosen = {
        f'{group}/{key}': float(values[key])
        for group, values in results.items()
        if isinstance(values, dict) and '@' not in group
        for key in LOGGED_KEYS
        if values.get(key) is not None
    }
    return chosen | {key: float(results[key]) for key in ('image_threshold', 'map_threshold')}


def merge_by_id(parts: Sequence[Sequence[RawPrediction]]) -> list[RawPrediction]:
    """All ranks' predictions, one an image, by ascending image id."""
    merged = {prediction.image_id: prediction for part in parts for prediction in part}
    return [merged[image_id] for image_id in sorted(merged)]
