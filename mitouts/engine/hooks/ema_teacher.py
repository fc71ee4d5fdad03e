"""Trains Teacher and Student at once: a moving average of the Student judges its training images repeatedly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook

from mitouts.datasets.preparation import prepare_dataset, stain_of
from mitouts.distillation import Control, Criterion
from mitouts.errors import ConfigError
from mitouts.evaluation.predicting import predict_figures, training_images
from mitouts.formats.coco import read_coco, read_json, write_json
from mitouts.formats.hard_samples import sample_entry
from mitouts.registry import CRITERIA, HOOKS
from mitouts.structures import ImageTruth
from mitouts.utils.ranks import together

HARD_SAMPLES_NAME = 'hard_samples.json'


@HOOKS.register_module()
class EMATeacherHook(EMAHook):
    """Judges the positive training images repeatedly by an exponential moving average of the network.

    It does so before each epoch that follows a validation, with the thresholds just chosen. Images that it disagrees
    with are not drawn until the next judgement (weight 0), or weigh less, as the criterion says; an image that was
    dropped may come back. Validation, thresholds and checkpoints are those of the average, as with mmengine's
    ``EMAHook``; the verdicts of the last epoch are written to ``hard_samples.json``.

    The two-stage form trains twice; this one trains once, and each judgement adds a forward pass over the positives.

    Args:
        judge_from: Epochs that are trained on all images before the first judgement; at least 1, since the thresholds
            are those of the validation before.
        min_kept: The smallest share of the positives that is kept, by weight: a Teacher that agrees with fewer is not
            ready, and all are drawn.
        criterion: Config of the criterion; default ``distillation.criterion`` of the config.
        momentum: Weight of the new parameters in the average, at every iteration.
        gamma: At the beginning the weight is higher, ``gamma / (gamma + iterations)``, so that the first judgements do
            not hang on the initial weights.
        **kwargs: Of mmengine's ``EMAHook``.

    Raises:
        ConfigError: ``judge_from`` or ``min_kept`` is out of range, there is no criterion, or it looks at no
            prediction or gives new labels.
    """

    def __init__(
        self,
        judge_from: int = 2,
        min_kept: float = 0.1,
        criterion: dict[str, Any] | None = None,
        momentum: float = 0.1,
        gamma: int = 10,
        **kwargs: Any,
    ) -> None:
        if judge_from < 1:
            raise ConfigError(f'EMATeacherHook.judge_from must be at least 1, found {judge_from}')
        if not 0 <= min_kept <= 1:
            raise ConfigError(f'EMATeacherHook.min_kept must be a share from 0 to 1, found {min_kept}')
        settings = {'ema_type': 'MomentumAnnealingEMA', 'update_buffers': True, **kwargs}
        super().__init__(momentum=momentum, gamma=gamma, **settings)
        self.judge_from = judge_from
        self.min_kept = min_kept
        self.settings = criterion
        self.dataset: Any = None
        self.resumed = False

    def before_train(self, runner: Any) -> None:
        super().before_train(runner)
        settings = self.settings or (runner.cfg.get('distillation') or {}).get('criterion')
        if not settings:
            raise ConfigError(
                "EMATeacherHook has nothing to judge by: give it a criterion, or inherit '_base_/distillation.py'"
            )
        criterion = CRITERIA.build_kind(settings, Criterion, Control)
        if isinstance(criterion, Control):
            raise ConfigError(
                f'EMATeacherHook: {type(criterion).__name__} looks at no prediction, so it needs no Teacher: '
                'use it in a distill stage'
            )
        self.criterion = criterion
        # The folder of a new training may hold the verdicts of an older one.
        self.resumed = runner.epoch > 0
        self.dataset = training_images(runner.cfg)
        prepare_dataset(self.dataset, {'stain_reference': stain_of(runner.train_dataloader.dataset)})
        self.num_workers = runner.cfg.train_dataloader.get('num_workers', 0)
        self.positives = np.flatnonzero(self.dataset.labels() == 1)
        self.given = self.dataset.weights()
        infos = [self.dataset.get_data_info(int(index)) for index in self.positives]
        if self.criterion.compares_points and not any(len(info['gt_points']) for info in infos):
            runner.logger.warning(
                f'EMATeacherHook: nothing can be compared, none of the {len(infos)} positive images has an annotated '
                'point: all will be kept'
            )
        ann_file = getattr(self.dataset, 'ann_file', None)
        self.images = {image['id']: image for image in read_coco(ann_file)['images']} if ann_file else {}

    def before_train_epoch(self, runner: Any) -> None:
        calibration = runner.bare_model.calibration
        if runner.epoch < self.judge_from:
            return
        path = Path(runner.work_dir) / HARD_SAMPLES_NAME
        if calibration.get('epoch') == runner.epoch:
            samples = self._judge(calibration)
            thresholds = {key: calibration[key] for key in ('image_threshold', 'map_threshold')}
            with together():
                if is_main_process():
                    write_json(path, {'info': {'epoch': runner.epoch, **thresholds}, 'images': samples})
        elif self.resumed and path.is_file():
            samples = read_json(path)['images']
        else:
            return
        self.resumed = False
        self._apply(runner, samples)

    def _apply(self, runner: Any, samples: list[dict[str, Any]]) -> None:
        weights = self.given.copy()
        kept = sum(sample['weight'] for sample in samples)
        ready = kept >= self.min_kept * len(samples) and kept > 0
        if ready:
            weights[self.positives] *= [sample['weight'] for sample in samples]
        runner.train_dataloader.dataset.set_weights(weights)
        runner.logger.info(
            f'epoch {runner.epoch + 1}: the Teacher keeps {kept:g} of {len(samples)} positive images, by weight'
            + ('' if ready else '; it is not ready yet, all are drawn')
        )

    def _judge(self, calibration: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the verdicts on the positive images, in their order, the same on every rank."""
        records = predict_figures(
            self.ema_model.module, self.dataset, self.positives.tolist(), calibration, num_workers=self.num_workers
        )
        samples = []
        for record in records:
            image = self.images.get(record.truth.image_id) or _entry(record.truth)
            verdict = self.criterion.judge(image, record, image_threshold=calibration['image_threshold'])
            if verdict.new_label is not None:
                raise ConfigError(
                    f'EMATeacherHook: {type(self.criterion).__name__} gives new labels, and those of a training do not '
                    'change while it runs: use it in a distill stage'
                )
            samples.append(sample_entry(image, 1, verdict, record))
        return samples


def _entry(truth: ImageTruth) -> dict[str, Any]:
    """Make an image's entry as in an annotation file, for a data set that has no such file."""
    return {
        'id': truth.image_id,
        'file_name': truth.path,
        'case_id': truth.case_id,
        'width': truth.width,
        'height': truth.height,
    }
