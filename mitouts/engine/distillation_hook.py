"""Distils right after a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mitouts.engine.distill import distill
from mitouts.engine.hooks.training_only import TrainingOnlyHook
from mitouts.engine.runs import checkpoint_of
from mitouts.registry import HOOKS
from mitouts.utils.ranks import together
from mitouts.visualization.tables import comparison_note


@HOOKS.register_module()
class DistillationHook(TrainingOnlyHook):
    """When a training is over, distil its training set with its best checkpoint: the same step as ``mitouts distill``.

    Args:
        out_dir: Folder for ``distilled.json`` and ``hard_samples.json``; default ``distillation`` in the work dir.
    """

    priority = 'LOWEST'

    def __init__(self, out_dir: str | None = None) -> None:
        self.out_dir = out_dir

    def after_run(self, runner: Any) -> None:
        out_dir = self.out_dir or Path(runner.work_dir) / 'distillation'
        with together():
            checkpoint = checkpoint_of(runner.work_dir)
        result = distill(runner.cfg, checkpoint, out_dir, launcher=runner.launcher)
        note = comparison_note(result.summary)
        runner.logger.info(f'distillation: {result.summary}, written to {result.distilled}' + f'. {note}' * bool(note))
