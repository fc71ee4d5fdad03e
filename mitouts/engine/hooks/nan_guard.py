"""Stops at the first loss that is not finite."""

from __future__ import annotations

import math
from typing import Any

from mmengine.hooks import Hook

from mitouts.errors import TrainingError
from mitouts.registry import HOOKS
from mitouts.utils.ranks import share_failure


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Raises TrainingError naming the batch, in all processes; earlier checkpoints stay as they are."""

    priority = 'VERY_HIGH'

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        loss = (outputs or {}).get('loss')
        value = 0.0 if loss is None else loss.item()
        share_failure(None if math.isfinite(value) else self._failure(runner, batch_idx, data_batch, value))

    def _failure(self, runner: Any, batch_idx: int, data_batch: Any, loss: float) -> TrainingError:
        names = ', '.join(str(sample.img_path) for sample in data_batch['data_samples'])
        last = runner.message_hub.runtime_info.get('last_ckpt', 'none was written yet')
        return TrainingError(
            f'the loss is {loss} in epoch {runner.epoch + 1}, batch {batch_idx + 1}; its images: {names}. '
            f'Last good checkpoint: {last}. Lower the learning rate or clip gradients, then start again with --resume'
        )
