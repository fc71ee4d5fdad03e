"""Averages batch norms over processes, so that all have the same, or freezes their statistics."""

from __future__ import annotations

from typing import Any

from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from torch.nn.modules.batchnorm import _NormBase

from mitouts.registry import HOOKS


@HOOKS.register_module()
class BatchNormMeanHook(Hook):
    """Before a validation, set the running statistics of batch norms to their mean over the processes.

    Each process has seen other images. Without this hook each would validate a different model, and thresholds would be
    chosen on all of them while the checkpoint holds that of the first; processes of an EMA Teacher would judge by
    different Teachers. Every training has this hook; with one process it does nothing.
    """

    # After a moving average has lent the network its weights: what is validated is what is made the same.
    priority = 'VERY_LOW'

    def before_val_epoch(self, runner: Any) -> None:
        norms = [module for module in runner.bare_model.modules() if isinstance(module, _NormBase)]
        statistics = [value for norm in norms for value in (norm.running_mean, norm.running_var) if value is not None]
        all_reduce_params(statistics, op='mean')


@HOOKS.register_module()
class FrozenBatchNormHook(Hook):
    """In training, let batch norms use and keep the running statistics that they start with.

    A fine-tuning on few images would replace the mean and variance of a whole data set by those of a handful; weights
    and biases of the norms are trained as before.

    Args:
        frozen: False lets the statistics follow the new images, as in any training.
    """

    def __init__(self, frozen: bool = True) -> None:
        self.frozen = frozen

    # The loop sets the model to training mode after before_train_epoch.
    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if self.frozen:
            for module in runner.bare_model.modules():
                if isinstance(module, _NormBase):
                    module.eval()
