"""Stores in checkpoints what a tissue model needs beside its weights: resolution, classes, label map, version."""

from __future__ import annotations

from typing import Any

import mitouts
from mitouts.engine.hooks.calibration import CalibrationHook, forget_calibration
from mitouts.registry import HOOKS


@HOOKS.register_module()
class TissueCalibrationHook(CalibrationHook):
    """Stores the calibration of a model that has neither thresholds nor points, like :class:`CalibrationHook`.

    After a validation the resolution of its images and its data set's classes go into ``model.calibration``, and from
    there into the checkpoint's meta.
    """

    def before_train(self, runner: Any) -> None:
        # A tissue model takes colours as they are, and its data set brings images to one resolution.
        if runner.iter == 0:
            forget_calibration(runner.bare_model)

    def before_val(self, runner: Any) -> None:
        """Do nothing: the evaluator needs no calibration."""

    def before_test(self, runner: Any) -> None:
        """Do nothing: the evaluator needs no calibration."""

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        model = runner.bare_model
        meta = runner.val_dataloader.dataset.metainfo
        spacings = {record.mpp for record in runner.val_evaluator.records}
        model.calibration = {
            'mpp': spacings.pop() if len(spacings) == 1 else None,
            'classes': list(meta['classes']),
            'label_map': meta['label_map'],
            'ignore_codes': meta['ignore_codes'],
            'tile_px': model.tile_px,
            'version': mitouts.__version__,
            'epoch': runner.epoch,
        }
