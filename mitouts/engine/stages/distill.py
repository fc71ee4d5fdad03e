"""Distils training or validation images by a Teacher, or training images by a Teacher for each fold, as a stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.distillation import Control
from mitouts.engine import runs
from mitouts.engine.config import enable_amp
from mitouts.engine.cross_fit import merge_folds, write_folds
from mitouts.engine.distill import DISTILLED_NAME, HARD_SAMPLES_NAME, distill
from mitouts.engine.stages.base import Experiment, Stage, stage_checkpoint
from mitouts.engine.stages.fold_teacher import FoldTeacher
from mitouts.errors import ConfigError
from mitouts.registry import CRITERIA, STAGES
from mitouts.utils.defaults import SPLITS, Split
from mitouts.utils.ranks import on_main_process


@STAGES.register_module(name='distill')
@dataclass(eq=False)
class DistillStage(Stage):
    """Asks a criterion for a verdict on every image; writes the clean set and the hard samples.

    Args:
        name: See :class:`Stage`.
        config: See :class:`Stage`; its ``distillation.criterion`` judges.
        model_from: The training whose checkpoint predicts; a criterion that looks at no prediction has none.
        data_from: The distillation that the criterion is told to drop as many as (``RandomDrop``).
        split: ``train`` or ``val``: the images that are judged.
        folds: Judge every case by a Teacher that has not seen it: the cases are divided into this many folds, and for
            each the stage trains a Teacher on the others' cases by its config. It takes the place of ``model_from``.
    """

    kind = 'distill'
    labels_name = DISTILLED_NAME
    section = 'distillations'

    model_from: str | None = None
    data_from: str | None = None
    split: Split = 'train'
    folds: int | None = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ConfigError(f'stage {self.name}: split must be train or val, found {self.split!r}')
        if self.folds is not None and (not isinstance(self.folds, int) or self.folds < 2):
            raise ConfigError(f'stage {self.name}: folds must be a whole number of at least 2, found {self.folds!r}')

    def enable_amp(self) -> None:
        if self.folds is not None:
            enable_amp(self.config)

    def check(self, earlier: Mapping[str, Stage]) -> None:
        # A criterion that does not exist is told before anything is trained, whatever else is wrong.
        predicts = self._predicts()
        if self.folds is not None:
            self._check_folds(predicts)
        elif self.model_from is not None or predicts:
            self.need_localizer('model_from', self.model_from, earlier)
        if self.data_from is not None:
            self.need('data_from', self.data_from, earlier, lambda stage: stage.kind == 'distill', 'distill stage')

    def take_inputs(self, config: Config, run: Experiment) -> None:
        if self.data_from is not None:
            config.distillation.criterion.like = str(run.made_by(self, self.data_from, HARD_SAMPLES_NAME))

    def input_files(self, config: Config, run: Experiment) -> dict[str, Any]:
        files = {'like': ((config.get('distillation') or {}).get('criterion') or {}).get('like')}
        return files if self.model_from is None else {**files, 'model': str(stage_checkpoint(run, self.model_from))}

    def name_places(self, content: dict[str, Any]) -> None:
        if self.data_from is not None:
            content['distillation']['criterion']['like'] = self.data_from

    def fingerprint(self, config: Config, run: Experiment) -> dict[str, str]:
        hashes = super().fingerprint(config, run)
        return hashes if self.folds is None else {**hashes, 'folds': str(self.folds)}

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        if self.folds is not None:
            return self._cross_fit(config, folder, run, self.folds, go_on=go_on)
        begin = time.monotonic()
        model = None if self.model_from is None else stage_checkpoint(run, self.model_from)
        result = distill(config, model, folder, launcher=run.launcher, split=self.split)
        return {'kind': self.kind, 'minutes': (time.monotonic() - begin) / 60, **result.summary}

    def _cross_fit(self, config: Config, folder: Path, run: Experiment, folds: int, *, go_on: bool) -> dict[str, Any]:
        """Train and ask a Teacher for each fold; one whose run was finished before an interruption is not run again."""
        with runs.located(config):
            divided = on_main_process(lambda: write_folds(config, folds, folder))
        teachers = Experiment([FoldTeacher(fold.folder.name, config, fold) for fold in divided], folder, run.launcher)
        for teacher in teachers.stages:
            teachers.run_stage(teacher, resume=go_on)
        # Every rank needs the summary, and rank 0 alone writes.
        result = merge_folds(config, divided, folder)
        minutes = sum(teacher['minutes'] for teacher in teachers.results.values())
        return {'kind': self.kind, 'minutes': minutes, **result.summary}

    def _check_folds(self, predicts: bool) -> None:
        wrong = {
            'model_from names a Teacher, which folds train themselves': self.model_from is not None,
            'a criterion that looks at no prediction needs no folds': not predicts,
            'folds judge the training images, not those of split=val': self.split != 'train',
            'folds need the config of the training of a localizer': self.uses_crops
            or not self.finds_points
            or self.config.get('train_cfg') is None,
        }
        for message, applies in wrong.items():
            if applies:
                raise ConfigError(f'stage {self.name}: folds={self.folds}: {message}')

    def _predicts(self) -> bool:
        """Whether the criterion judges by predictions; an unknown criterion is reported when the stage runs."""
        settings = (self.config.get('distillation') or {}).get('criterion') or {}
        if not isinstance(settings, dict):
            raise ConfigError(
                f'stage {self.name}: distillation.criterion must be a dict with a type, found {settings!r}'
            )
        with runs.located(self.config):
            return not CRITERIA.is_kind(settings, Control)
