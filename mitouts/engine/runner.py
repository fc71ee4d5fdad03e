"""Runs mmengine's loops with checkpoints that are written whole and never unpickled, and with quieter logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner as EngineRunner
from mmengine.runner.checkpoint import weights_to_cpu
from mmengine.utils import apply_to

import mitouts
from mitouts.checkpoint import (
    load_weights,
    need_finite,
    need_training_state,
    read_checkpoint,
    write_checkpoint,
)
from mitouts.engine.config import config_to_json, explained
from mitouts.engine.environment import collect_environment
from mitouts.engine.hooks.batch_norm import BatchNormMeanHook
from mitouts.registry import OPTIMIZERS
from mitouts.utils.ranks import peers_explained, together


class Runner(EngineRunner):
    """The runner of every training and test of the package."""

    @property
    def bare_model(self) -> Any:
        """Return the model without its distributed wrapper."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    def register_hooks(self, default_hooks: Any = None, custom_hooks: Any = None) -> None:
        super().register_hooks(default_hooks, custom_hooks)
        self.register_hook(BatchNormMeanHook())

    def train(self) -> Any:
        with peers_explained():
            return super().train()

    def test(self) -> Any:
        with peers_explained():
            return super().test()

    def build_train_loop(self, loop: Any) -> Any:
        with explained(self.cfg, 'train_cfg or train_dataloader'):
            return super().build_train_loop(loop)

    def build_val_loop(self, loop: Any) -> Any:
        with explained(self.cfg, 'val_cfg, val_dataloader or val_evaluator'):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: Any) -> Any:
        with explained(self.cfg, 'test_cfg, test_dataloader or test_evaluator'):
            return super().build_test_loop(loop)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        with explained(self.cfg, 'optim_wrapper'):
            if isinstance(optim_wrapper, Mapping):
                # mmengine would call what it does not find.
                OPTIMIZERS.class_of(optim_wrapper.get('optimizer') or {})
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        with explained(self.cfg, 'param_scheduler'):
            return super().build_param_scheduler(scheduler)

    @master_only
    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict[str, Any] | None = None,
        transform: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        """Save the training state.

        Args:
            out_dir: Folder.
            filename: Name in it.
            save_optimizer: Needed to resume.
            save_param_scheduler: Needed to resume.
            meta: Epoch and iteration that are finished.
            transform: Called on the checkpoint before it is written.

        Raises:
            TrainingError: It cannot be written; earlier files are untouched.
        """
        checkpoint: dict[str, Any] = {
            'meta': {
                **(meta or {}),
                'cfg': config_to_json(self.cfg),
                'seed': self.seed,
                'experiment_name': self.experiment_name,
                'time': time.strftime('%Y%m%d_%H%M%S'),
                'version': mitouts.__version__,
            },
            'state_dict': weights_to_cpu(self.bare_model.state_dict()),
            'message_hub': _to_cpu(self.message_hub.state_dict()),
        }
        if save_optimizer:
            checkpoint['optimizer'] = _to_cpu(self.optim_wrapper.state_dict())
        if save_param_scheduler:
            checkpoint['param_schedulers'] = [scheduler.state_dict() for scheduler in self.param_schedulers or []]
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        need_finite(checkpoint['state_dict'], f'{filename} of epoch {checkpoint["meta"].get("epoch")}')
        write_checkpoint(Path(out_dir) / filename, transform(checkpoint) if transform else checkpoint)

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load weights and calibration.

        Raises:
            CheckpointError: Missing, broken, or of another network.
        """
        with together():
            checkpoint = read_checkpoint(filename)
            if self._resume:
                need_training_state(checkpoint, filename)
        # Resuming reads this key to compare data sets; ours are compared by their files' hashes, stage by stage.
        metainfo = getattr(getattr(self._train_loop, 'dataloader', None), 'dataset', None)
        checkpoint.setdefault('meta', {}).setdefault('dataset_meta', getattr(metainfo, 'metainfo', None))
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        with together():
            load_weights(self.bare_model, checkpoint['state_dict'], filename)
        self._has_loaded = True
        self.logger.info(f'weights from {filename}')
        return checkpoint

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        environment = collect_environment()
        self.logger.info('  '.join(f'{key}={value}' for key, value in environment.items()) + f'  seed={self.seed}')

    def get_hooks_info(self) -> str:
        return 'hooks: ' + ', '.join(type(hook).__name__ for hook in self.hooks)


def _to_cpu(state: Any) -> Any:
    return apply_to(state, lambda value: hasattr(value, 'cpu'), lambda value: value.cpu())
