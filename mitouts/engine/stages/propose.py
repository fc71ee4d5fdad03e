"""Collects a localizer's false proposals for the training of a verifier, as a stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.engine.proposals import propose
from mitouts.engine.stages.base import Experiment, Stage, stage_checkpoint, take_images
from mitouts.registry import STAGES


@STAGES.register_module(name='propose')
@dataclass(eq=False)
class ProposeStage(Stage):
    """Writes the annotations of all splits with the localizer's own false proposals as hard negatives.

    Args:
        name: See :class:`Stage`.
        config: See :class:`Stage`; its ``proposals`` say which.
        model_from: The training whose checkpoint proposes.
        data_from: The stage whose annotation file has the training images.
    """

    kind = 'propose'
    section = 'proposals'

    model_from: str | None = None
    data_from: str | None = None

    def check(self, earlier: Mapping[str, Stage]) -> None:
        self.need_localizer('model_from', self.model_from, earlier)
        self.need_labels('data_from', self.data_from, earlier, 'train')

    def take_inputs(self, config: Config, run: Experiment) -> None:
        if self.data_from is not None:
            take_images(config, 'train', run.labels_of(self, self.data_from))

    def input_files(self, config: Config, run: Experiment) -> dict[str, Any]:
        return {'model': str(stage_checkpoint(run, self.model_from))}

    def name_places(self, content: dict[str, Any]) -> None:
        if self.data_from is not None:
            content['train_dataloader']['dataset']['ann_file'] = self.data_from

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        begin = time.monotonic()
        splits = propose(config, stage_checkpoint(run, self.model_from), folder, launcher=run.launcher)
        return {'kind': self.kind, 'minutes': (time.monotonic() - begin) / 60, **splits}
