"""Distils a Teacher's training or validation images, as a stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.distillation import Control
from mitouts.engine import runs
from mitouts.engine.distill import DISTILLED_NAME, HARD_SAMPLES_NAME, distill
from mitouts.engine.stages.base import Experiment, Stage, stage_checkpoint
from mitouts.errors import ConfigError
from mitouts.registry import CRITERIA, STAGES
from mitouts.utils.defaults import SPLITS, Split


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
    """

    kind = 'distill'
    labels_name = DISTILLED_NAME
    section = 'distillations'

    model_from: str | None = None
    data_from: str | None = None
    split: Split = 'train'

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ConfigError(f'stage {self.name}: split must be train or val, found {self.split!r}')

    def check(self, earlier: Mapping[str, Stage]) -> None:
        # A criterion that does not exist is told before anything is trained, whatever else is wrong.
        predicts = self._predicts()
        if self.model_from is not None or predicts:
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

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        begin = time.monotonic()
        model = None if self.model_from is None else stage_checkpoint(run, self.model_from)
        result = distill(config, model, folder, launcher=run.launcher, split=self.split)
        return {'kind': self.kind, 'minutes': (time.monotonic() - begin) / 60, **result.summary}

    def _predicts(self) -> bool:
        """Whether the criterion judges by predictions; an unknown criterion is reported when the stage runs."""
        settings = (self.config.get('distillation') or {}).get('criterion') or {}
        if not isinstance(settings, dict):
            raise ConfigError(
                f'stage {self.name}: distillation.criterion must be a dict with a type, found {settings!r}'
            )
        with runs.located(self.config):
            return not CRITERIA.is_kind(settings, Control)
