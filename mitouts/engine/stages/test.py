"""Tests the model of an earlier stage on other images, as a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.engine.stages.base import Experiment, Stage, stage_checkpoint
from mitouts.engine.stages.tested import TestedStage
from mitouts.registry import STAGES


@STAGES.register_module(name='test')
@dataclass(eq=False)
class TestStage(TestedStage):
    """Tests a model on the test images of its config.

    Args:
        name: See :class:`Stage`.
        config: See :class:`Stage`.
        model_from: The earlier stage that left the model.
    """

    kind = 'test'

    model_from: str | None = None

    def check(self, earlier: Mapping[str, Stage]) -> None:
        self.need('model_from', self.model_from, earlier, lambda stage: stage.gives_model, 'training stage')

    def take_inputs(self, config: Config, run: Experiment) -> None:
        model = run.stage(self.model_from).model_config(run)
        if model is not None:
            config.model = model

    def input_files(self, config: Config, run: Experiment) -> dict[str, Any]:
        return {'model': str(stage_checkpoint(run, self.model_from))}

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        return self.score_model(config, stage_checkpoint(run, self.model_from), folder, run)
