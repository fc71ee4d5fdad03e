"""Stores in checkpoints what a count needs beside the weights: thresholds, resolution, geometry, classes, version."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from mmengine.hooks import Hook

import mitouts
from mitouts.datasets.preparation import prepare_dataset, resolution_of, stain_of
from mitouts.errors import ConfigError
from mitouts.evaluation.drift import measure_drift
from mitouts.evaluation.slide_threshold import FIGURES_PER_MM2, choose_slide_threshold
from mitouts.models.rotations import rotations_of, set_rotations, threshold_doubt
from mitouts.registry import HOOKS

META_KEY = 'mitouts'


@HOOKS.register_module()
class CalibrationHook(Hook):
    """Passes the calibration between evaluator, model and checkpoint.

    After a validation the chosen thresholds are stored in ``model.calibration``. Saving a checkpoint writes this into
    its meta, loading one reads it back, and before a test it is passed to the evaluator.

    A model learns resolution and colours from its training images. Images for validation and test are brought to the
    same colours when they are read, or refused (:func:`~mitouts.datasets.preparation.prepare_dataset`). A fine-tuning
    (``load_from``) inherits only weights: thresholds, resolution and stain belong to the model that it starts from, and
    it has none of its own until its first validation. A resumed training keeps its calibration.

    Args:
        slide_figures_per_mm2: Figures per mm2 that a slide is assumed to hold when its threshold is chosen
            (:func:`~mitouts.evaluation.slide_threshold.choose_slide_threshold`).
        keep: A fine-tuning without a validation set keeps the calibration of the model that it starts from: with a few
            dozen images there are none to spare for choosing thresholds. Its images must have the resolution and the
            colours that this model was trained on; they are brought to its colours, or refused.
    """

    priority = 'NORMAL'

    def __init__(self, slide_figures_per_mm2: float = FIGURES_PER_MM2, keep: bool = False) -> None:
        if not 0 < slide_figures_per_mm2 < math.inf:
            raise ConfigError(
                f'CalibrationHook.slide_figures_per_mm2 must be a rate above 0, found {slide_figures_per_mm2}'
            )
        self.slide_figures_per_mm2 = slide_figures_per_mm2
        self.keep = keep
        self.learnt_stain: dict[str, Any] | None = None

    def before_train(self, runner: Any) -> None:
        dataset = runner.train_dataloader.dataset
        if self.keep:
            self._check_kept(runner)
            _prepare(runner, dataset, runner.bare_model.calibration, 'the training set')
        elif runner.iter == 0:
            forget_calibration(runner.bare_model)
        self.learnt_stain = stain_of(dataset)
        learnt = {'mpp': resolution_of(dataset), 'stain_reference': self.learnt_stain}
        if runner.val_loop is not None:
            _prepare(runner, runner.val_dataloader.dataset, learnt, 'the validation set')
        # Optional: localizers from outside derive from mmengine's BaseModel alone (docs/add_a_baseline.md).
        check = getattr(runner.bare_model, 'check_training_input', None)
        if check is not None:
            check(learnt)

    def _check_kept(self, runner: Any) -> None:
        if runner.val_loop is not None:
            raise ConfigError(
                'CalibrationHook.keep=True keeps the thresholds of load_from, and a validation set chooses new ones: '
                'leave out keep, or the validation set'
            )
        if not runner.bare_model.calibration:
            raise ConfigError(
                f'CalibrationHook.keep=True: {runner._load_from or "the model"} has no thresholds to keep; start from '
                'a best.pth or a model of the zoo (load_from), or give a validation set and leave out keep'
            )

    def after_train_epoch(self, runner: Any) -> None:
        if self.keep:
            runner.bare_model.calibration['epoch'] = runner.epoch + 1

    def before_val(self, runner: Any) -> None:
        model = runner.bare_model
        set_rotations(model, runner.val_evaluator.rotations or 1)
        runner.val_evaluator.geometry = model.geometry
        runner.val_evaluator.measure_drift = partial(measure_drift, model, runner.val_dataloader.dataset)

    def before_test(self, runner: Any) -> None:
        model = runner.bare_model
        _prepare(runner, runner.test_dataloader.dataset, model.calibration, 'the test set')
        if runner.test_evaluator.rotations is not None:
            set_rotations(model, runner.test_evaluator.rotations)
        doubt = threshold_doubt(model.calibration)
        if doubt is not None and runner.test_evaluator.thresholds == 'checkpoint':
            runner.logger.warning(doubt)
        runner.test_evaluator.geometry = model.geometry
        runner.test_evaluator.measure_drift = partial(measure_drift, model, runner.test_dataloader.dataset)
        runner.test_evaluator.calibration = dict(model.calibration)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        model = runner.bare_model
        meta = runner.val_dataloader.dataset.metainfo
        records = runner.val_evaluator.records
        slides = None if model.geometry is None else choose_slide_threshold(records, self.slide_figures_per_mm2)
        model.calibration = {
            **runner.val_evaluator.calibration,
            **({} if slides is None else slides.to_dict()),
            **({} if model.geometry is None else {'rotations': rotations_of(model.calibration)}),
            'mpp': resolution_of(runner.val_dataloader.dataset),
            'geometry': None if model.geometry is None else model.geometry.to_dict(),
            'classes': list(meta.get('classes', ())),
            'stain_reference': self.learnt_stain,
            'dataset': _training_data(runner),
            'version': mitouts.__version__,
            'epoch': runner.epoch,
        }

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        calibration = runner.bare_model.calibration
        # Weights of an epoch that was not validated have no thresholds of their own.
        current = calibration.get('epoch') == checkpoint['meta'].get('epoch')
        checkpoint['meta'][META_KEY] = dict(calibration) if current else {}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        runner.bare_model.calibration = dict(checkpoint.get('meta', {}).get(META_KEY, {}))


def _prepare(runner: Any, dataset: Any, calibration: dict[str, Any], name: str) -> None:
    done = prepare_dataset(dataset, calibration, getattr(dataset, 'ann_file', None) or name)
    if done is not None:
        runner.logger.info(done)


def forget_calibration(model: Any) -> None:
    """Delete the calibration of a model whose weights are about to change.

    Parts with a calibration of their own, such as a cascade's, keep it where all their parameters are frozen.
    """
    model.calibration = {}
    for part in model.children():
        if hasattr(part, 'calibration') and any(parameter.requires_grad for parameter in part.parameters()):
            part.calibration = {}


def _training_data(runner: Any) -> str | None:
    """Return the name of the training data set; None if it has none, or nothing is trained."""
    dataset = getattr(getattr(runner._train_loop, 'dataloader', None), 'dataset', None)
    return getattr(dataset, 'metainfo', {}).get('name')
