"""Puts a trained proposer and a trained verifier together, as a stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.engine.cascade import combine, model_of
from mitouts.engine.stages.base import Experiment, Stage, stage_checkpoint
from mitouts.engine.stages.tested import TestedStage
from mitouts.errors import ConfigError
from mitouts.registry import STAGES


@STAGES.register_module(name='cascade')
@dataclass(eq=False)
class CascadeStage(TestedStage):
    """Combines two models, chooses the thresholds of the whole, and tests it.

    Args:
        name: See :class:`Stage`.
        config: See :class:`Stage`; its model is a ``CascadeLocalizer``.
        model_from: The training whose checkpoint proposes.
        verifier_from: The training on figure crops whose checkpoint verifies.
    """

    kind = 'cascade'
    gives_model = True

    model_from: str | None = None
    verifier_from: str | None = None

    def check(self, earlier: Mapping[str, Stage]) -> None:
        self.need_localizer('model_from', self.model_from, earlier)
        kind = 'training stage'
        verifier = self.need('verifier_from', self.verifier_from, earlier, lambda stage: stage.kind == 'train', kind)
        if not verifier.uses_crops:
            raise ConfigError(
                f'stage {self.name}: verifier_from must name the training of a patch classifier, trained on a '
                f'FigureCropDataset, which {self.verifier_from} is not'
            )

    def input_files(self, config: Config, run: Experiment) -> dict[str, Any]:
        return {
            'model': str(stage_checkpoint(run, self.model_from)),
            'verifier': str(stage_checkpoint(run, self.verifier_from)),
        }

    def model_config(self, run: Experiment) -> dict[str, Any]:
        return model_of(stage_checkpoint(run, self.name))

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        begin = time.monotonic()
        parts = stage_checkpoint(run, self.model_from), stage_checkpoint(run, self.verifier_from)
        checkpoint, config = combine(config, *parts, folder, launcher=run.launcher)
        return self.score_model(config, checkpoint, folder, run, minutes=(time.monotonic() - begin) / 60)
