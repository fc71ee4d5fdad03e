"""Shows a progress bar with the time left."""

from __future__ import annotations

import sys
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mitouts.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows epochs, loss and time left on a terminal; without one, the lines of the log show the estimate."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def before_train(self, runner: Any) -> None:
        if not (is_main_process() and sys.stderr.isatty()):
            return
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._bar.start()
        self._task = self._bar.add_task('training', total=runner.max_iters, completed=runner.iter)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        if self._bar is not None:
            text = f'epoch {runner.epoch + 1}/{runner.max_epochs}'
            if outputs and 'loss' in outputs:
                text += f'  loss {outputs["loss"].item():.3f}'
            self._bar.update(self._task, completed=runner.iter + 1, description=text)

    def after_train(self, runner: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
