"""Keeps what a count needs beside the weights: thresholds, resolution, geometry, class names, version."""

from __future__ import annotations

from functools import partial
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

import mitouts
from mitouts.evaluation.drift import measure_drift
from mitouts.registry import HOOKS

META_KEY = 'mitouts'


@HOOKS.register_module()
class CalibrationHook(Hook):
    """Moves the calibration between evaluator, model and checkpoint.

    After a validation the chosen thresholds go into ``model.calibration``; before a checkpoint is saved that goes
    into its meta; after one is loaded it comes back; before a test it goes to the evaluator.

    A fine-tuning (``load_from``) inherits weights and nothing else: thresholds, resolution and stain belong to the
    model that it starts from, and until its own first validation it has none. A resumed training goes on with its own.
    """

    priority = 'NORMAL'

    def before_train(self, runner: Any) -> None:
        if runner.iter == 0:
            forget_calibration(_model(runner))

    def before_val(self, runner: Any) -> None:
        model = _model(runner)
        runner.val_evaluator.geometry = model.geometry
        runner.val_evaluator.measure_drift = partial(measure_drift, model, runner.val_dataloader.dataset)

    def before_test(self, runner: Any) -> None:
        model = _model(runner)
        runner.test_evaluator.geometry = model.geometry
        runner.test_evaluator.measure_drift = partial(measure_drift, model, runner.test_dataloader.dataset)
        runner.test_evaluator.calibration = dict(model.calibration)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        model = _model(runner)
        meta = runner.val_dataloader.dataset.metainfo
        spacings = {record.mpp for record in runner.val_evaluator.records}
        model.calibration = {
            **runner.val_evaluator.calibration,
            'mpp': spacings.pop() if len(spacings) == 1 else None,
            'geometry': None if model.geometry is None else model.geometry.to_dict(),
            'classes': list(meta.get('classes', ())),
            'stain_reference': meta.get('stain_reference'),
            'version': mitouts.__version__,
            'epoch': runner.epoch,
        }

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        calibration = _model(runner).calibration
        # Weights of an epoch that was not validated have no thresholds of their own.
        current = calibration.get('epoch') == checkpoint['meta'].get('epoch')
        checkpoint['meta'][META_KEY] = dict(calibration) if current else {}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        _model(runner).calibration = dict(checkpoint.get('meta', {}).get(META_KEY, {}))


def forget_calibration(model: Any) -> None:
    """Take away what was measured on weights that are going to change.

    Parts with a calibration of their own, such as a cascade's, keep it where all their parameters are frozen.
    """
    model.calibration = {}
    for part in model.children():
        if hasattr(part, 'calibration') and any(parameter.requires_grad for parameter in part.parameters()):
            part.calibration = {}


def _model(runner: Any) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
