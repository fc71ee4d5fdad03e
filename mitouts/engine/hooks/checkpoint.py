"""Decides when checkpoints are saved, and which are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from mitouts.checkpoint import publish
from mitouts.errors import ConfigError
from mitouts.registry import HOOKS
from mitouts.utils.ranks import together

BEST_NAME = 'best.pth'
POINTER_NAME = 'last_checkpoint'


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves ``epoch_N.pth`` (to resume from) and ``best.pth`` (to use).

    A checkpoint is saved after the epoch's validation where one is due, so that it carries that epoch's thresholds.
    Every file is written aside and renamed, and an older one is deleted only when the newer one is there.

    Args:
        save_best: Validation metric that decides, such as ``image/f1`` (the paper) or ``image/auc``.
        rule: ``greater`` or ``less``.
        interval: Epochs between checkpoints; the last epoch always has one.
        max_keep: Number of ``epoch_N.pth`` that are kept.
    """

    priority = 'VERY_LOW'

    def __init__(
        self, save_best: str | None = 'image/f1', rule: str = 'greater', interval: int = 1, max_keep: int = 1
    ) -> None:
        if rule not in ('greater', 'less'):
            raise ConfigError(f"default_hooks.checkpoint.rule must be 'greater' or 'less', found {rule!r}")
        if interval < 1 or max_keep < 1:
            raise ConfigError(
                f'default_hooks.checkpoint: interval and max_keep must be at least 1, found {interval} and {max_keep}'
            )
        self.save_best = save_best
        self.sign = 1 if rule == 'greater' else -1
        self.interval = interval
        self.max_keep = max_keep

    def after_train_epoch(self, runner: Any) -> None:
        if not self._validation_follows(runner):
            self._save_epoch(runner, runner.epoch + 1)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        if not hasattr(runner.train_loop, 'epoch'):
            return
        self._save_if_best(runner, metrics or {})
        self._save_epoch(runner, runner.epoch)

    def _validation_follows(self, runner: Any) -> bool:
        loop, done = runner.train_loop, runner.epoch + 1
        if runner.val_loop is None or done < loop.val_begin:
            return False
        return done % loop.val_interval == 0 or done == loop.max_epochs

    def _save_if_best(self, runner: Any, metrics: dict[str, float]) -> None:
        if self.save_best is None:
            return
        if self.save_best not in metrics:
            self._save_epoch(runner, runner.epoch)
            raise ConfigError(
                f'default_hooks.checkpoint.save_best={self.save_best!r} is not among the validation results: '
                f'{", ".join(sorted(metrics))}'
            )
        value = metrics[self.save_best]
        best = runner.message_hub.runtime_info.get('best_score')
        if best is not None and self.sign * value <= self.sign * best:
            return
        runner.message_hub.update_info('best_score', value)
        runner.message_hub.update_info('best_epoch', runner.epoch)
        with together():
            runner.save_checkpoint(
                runner.work_dir,
                BEST_NAME,
                save_optimizer=False,
                save_param_scheduler=False,
                meta={'epoch': runner.epoch, 'iter': runner.iter},
                transform=publish,
            )
        runner.logger.info(f'epoch {runner.epoch}: best {self.save_best} so far, {value:.4f}, saved to {BEST_NAME}')

    def _save_epoch(self, runner: Any, epoch: int) -> None:
        if epoch % self.interval and epoch != runner.max_epochs:
            return
        name = f'epoch_{epoch}.pth'
        runner.message_hub.update_info('last_ckpt', str(Path(runner.work_dir) / name))
        with together():
            iterations = epoch * len(runner.train_dataloader)
            runner.save_checkpoint(runner.work_dir, name, meta={'epoch': epoch, 'iter': iterations})
            if runner.rank == 0:
                pointer = Path(runner.work_dir) / POINTER_NAME
                aside = pointer.with_suffix('.tmp')
                aside.write_text(name)
                aside.replace(pointer)
                self._delete_old(Path(runner.work_dir), epoch)

    def _delete_old(self, folder: Path, newest: int) -> None:
        epochs = sorted(int(path.stem.split('_')[1]) for path in folder.glob('epoch_*.pth'))
        for epoch in [epoch for epoch in epochs if epoch <= newest][: -self.max_keep]:
            (folder / f'epoch_{epoch}.pth').unlink()
