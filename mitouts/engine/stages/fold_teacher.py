"""Trains the Teacher of one fold and lets it judge the cases that it has not seen, as a part of a distill stage."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.engine import runs
from mitouts.engine.cross_fit import JUDGED, TRAIN, VAL, Fold
from mitouts.engine.distill import distill
from mitouts.engine.stages.base import Experiment, Stage, take_images


@dataclass(eq=False)
class FoldTeacher(Stage):
    """One fold of a cross-fitted distillation; its work dir is a folder within that of the distill stage.

    Args:
        name: See :class:`Stage`.
        config: See :class:`Stage`; trains the Teacher, and its ``distillation.criterion`` judges.
        fold: The fold, whose files are written.
    """

    kind = 'fold_teacher'

    fold: Fold

    def take_inputs(self, config: Config, run: Experiment) -> None:
        for split in (TRAIN, VAL):
            if split in self.fold.files:
                take_images(config, split, self.fold.files[split])

    def input_files(self, config: Config, run: Experiment) -> dict[str, Any]:
        return {JUDGED: str(self.fold.files[JUDGED])}

    def name_places(self, content: dict[str, Any]) -> None:
        for split in (TRAIN, VAL):
            if split in self.fold.files:
                content[f'{split}_dataloader']['dataset']['ann_file'] = self.name

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        trained = runs.train(config, folder, resume=go_on, launcher=run.launcher)
        begin = time.monotonic()
        judging = Config(config._cfg_dict.to_dict(), filename=config.filename)
        take_images(judging, TRAIN, self.fold.files[JUDGED])
        result = distill(judging, trained.checkpoint, folder, launcher=run.launcher)
        minutes = trained.minutes + (time.monotonic() - begin) / 60
        return {'kind': self.kind, 'minutes': minutes, **result.summary}
