"""Trains a model and tests it, as a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.engine import runs
from mitouts.engine.config import enable_amp
from mitouts.engine.proposals import PROPOSED_NAMES
from mitouts.engine.stages.base import Experiment, Stage, stage_checkpoint, take_images
from mitouts.engine.stages.tested import TestedStage
from mitouts.errors import ConfigError
from mitouts.registry import STAGES


@STAGES.register_module(name='train')
@dataclass(eq=False)
class TrainStage(TestedStage):
    """Trains by its config, and tests the best checkpoint.

    Args:
        name: See :class:`Stage`.
        config: See :class:`Stage`.
        data_from: The stage whose annotation file has the training images (a distillation, a review); for a training
            on figure crops, the propose stage whose three files are used.
        val_from: The distillation stage whose file is validated on.
        weights_from: The training whose weights it starts from, in place of the config's ``load_from``.
    """

    kind = 'train'
    gives_model = True

    data_from: str | None = None
    val_from: str | None = None
    weights_from: str | None = None

    def enable_amp(self) -> None:
        enable_amp(self.config)

    def check(self, earlier: Mapping[str, Stage]) -> None:
        if self.weights_from is not None:
            self.need('weights_from', self.weights_from, earlier, lambda stage: stage.gives_model, 'training stage')
        if not self.uses_crops:
            self.need_labels('data_from', self.data_from, earlier, 'train')
            self.need_labels('val_from', self.val_from, earlier, 'val')
            return
        if self.val_from is not None:
            raise ConfigError(f'stage {self.name}: data_from gives figure crops of all splits, so leave val_from out')
        if self.data_from is not None:
            self.need('data_from', self.data_from, earlier, lambda stage: stage.kind == 'propose', 'propose stage')

    def take_inputs(self, config: Config, run: Experiment) -> None:
        if self.weights_from is not None:
            config.load_from = str(stage_checkpoint(run, self.weights_from))
        if self.uses_crops:
            for split, name in PROPOSED_NAMES.items() if self.data_from is not None else ():
                take_images(config, split, run.made_by(self, self.data_from, name))
            return
        for split, source in (('train', self.data_from), ('val', self.val_from)):
            if source is not None:
                take_images(config, split, run.labels_of(self, source))

    def name_places(self, content: dict[str, Any]) -> None:
        if self.weights_from is not None:
            content['load_from'] = self.weights_from
        if self.data_from is not None:
            for split in PROPOSED_NAMES if self.uses_crops else ('train',):
                content[f'{split}_dataloader']['dataset']['ann_file'] = self.data_from
        if self.val_from is not None:
            content['val_dataloader']['dataset']['ann_file'] = self.val_from

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        trained = runs.train(config, folder, resume=go_on, launcher=run.launcher)
        return self.score_model(config, trained.checkpoint, folder, run, minutes=trained.minutes, images=trained.images)
