"""Measures how long a training takes, without interruptions."""

from __future__ import annotations

import time
from typing import Any

from mmengine.hooks import Hook

from mitouts.registry import HOOKS

KEY = 'train_seconds'


@HOOKS.register_module()
class TrainingClockHook(Hook):
    """Counts seconds of training and validation; a resumed training continues the count of its checkpoint."""

    priority = 'HIGH'

    def __init__(self) -> None:
        self._before = 0.0
        self._begin = 0.0

    def before_train(self, runner: Any) -> None:
        self._before = float(runner.message_hub.runtime_info.get(KEY, 0.0))
        self._begin = time.monotonic()

    def after_train_epoch(self, runner: Any) -> None:
        self._note(runner)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self._note(runner)

    def _note(self, runner: Any) -> None:
        runner.message_hub.update_info(KEY, self._before + time.monotonic() - self._begin)
