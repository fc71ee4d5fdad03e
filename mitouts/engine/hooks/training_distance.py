"""Measures after each epoch how near a model's points are to the annotations that it is trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from mitouts.datasets.preparation import prepare_dataset, stain_of
from mitouts.engine.hooks.training_only import TrainingOnlyHook
from mitouts.errors import ConfigError
from mitouts.evaluation.evaluator import LocalizationEvaluator
from mitouts.evaluation.metrics import CentroidMetric
from mitouts.evaluation.predicting import predict_figures, training_images
from mitouts.functional.distillation import least_distance_px
from mitouts.registry import HOOKS

DISTANCE_KEY = 'val/train/distance_px'
F1_KEY = 'val/train/one_to_one_f1'


@HOOKS.register_module()
class TrainingDistanceHook(TrainingOnlyHook):
    """After a validation, localizes on the training images without augmentation, with the thresholds just chosen.

    Logs two values in the line of that validation: ``train/distance_px``, the mean over annotated positive images of
    the least distance between any prediction and any annotation (the image's diagonal if nothing is predicted), and
    ``train/one_to_one_f1``; see Figure 7 and Table 5 of Fernandez-Martin et al. 2024. They are measured on the
    validated model, which may be a moving average. The training itself is not changed, but its time includes that of
    the measurement.

    Args:
        interval: Epochs between measurements; the last epoch always has one. Epochs without a validation have none.
        radius_px: Radius of a hit; default the first one of the ``CentroidMetric`` in ``val_evaluator``.

    Raises:
        ConfigError: ``interval`` is below 1, the training has no validation that chooses thresholds, or no positive
            training image has an annotated point.
    """

    # Before the logger writes the line, and before a moving average gives the network its own weights back.
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 1, radius_px: float | None = None) -> None:
        if interval < 1:
            raise ConfigError(f'TrainingDistanceHook: interval must be at least 1, found {interval}')
        self.interval = interval
        self.radius_px = radius_px
        self.dataset: Any = None

    def before_train(self, runner: Any) -> None:
        if runner.val_loop is None or not isinstance(runner.val_evaluator, LocalizationEvaluator):
            raise ConfigError(
                'TrainingDistanceHook needs a validation with a LocalizationEvaluator, which chooses the threshold: '
                'set val_dataloader, val_cfg and val_evaluator, or remove the hook'
            )
        self.dataset = training_images(runner.cfg)
        prepare_dataset(self.dataset, {'stain_reference': stain_of(runner.train_dataloader.dataset)})
        infos = map(self.dataset.get_data_info, range(len(self.dataset)))
        if not any(info['gt_label'] == 1 and len(info['gt_points']) for info in infos):
            raise ConfigError(
                'TrainingDistanceHook: no positive training image has an annotated point, so there is no distance to '
                'measure: remove the hook'
            )
        self.num_workers = runner.cfg.train_dataloader.get('num_workers', 0)
        self.metric = _hit_metric(runner.val_evaluator, self.radius_px)

    def before_val_epoch(self, runner: Any) -> None:
        # The logger repeats the last value of a key in every line.
        for key in (DISTANCE_KEY, F1_KEY):
            runner.message_hub.log_scalars.pop(key, None)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        is_due = self.dataset is not None and (runner.epoch % self.interval == 0 or runner.epoch == runner.max_epochs)
        if not is_due:
            return
        calibration = runner.val_evaluator.calibration
        records = predict_figures(
            runner.bare_model, self.dataset, range(len(self.dataset)), calibration, num_workers=self.num_workers
        )
        records.sort(key=lambda record: record.truth.image_id)
        distances = [
            least_distance_px(prediction.points[:, :2], truth.points, diagonal_px=truth.diagonal_px)
            for truth, prediction in ((record.truth, record.prediction) for record in records)
            if truth.label == 1 and len(truth.points)
        ]
        thresholds = {key: calibration[key] for key in ('image_threshold', 'map_threshold')}
        runner.message_hub.update_scalar(DISTANCE_KEY, float(np.mean(distances)))
        f1 = self.metric(records, **thresholds)['one_to_one']['f1']
        # None where all figures are counted in other patches.
        if f1 is not None:
            runner.message_hub.update_scalar(F1_KEY, f1)


def _hit_metric(evaluator: LocalizationEvaluator, radius_px: float | None) -> CentroidMetric:
    """Build the metric that matches one to one at the given radius, or else at the validation's first one."""
    used = [metric for metric in evaluator.metrics if isinstance(metric, CentroidMetric)]
    radius: dict[str, Any] = {'radius_px': radius_px}
    if radius_px is None and used:
        radius = {f'radius_{used[0].unit}': used[0].radii[0]}
    return CentroidMetric(**radius, protocols=('one_to_one',), num_bootstrap=0)
