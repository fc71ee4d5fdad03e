"""Compares the image score with the image label."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mitouts.errors import ConfigError
from mitouts.functional.weighting import weighted_mean
from mitouts.registry import MODELS


@MODELS.register_module()
class ImageBCELoss(nn.Module):
    """Binary cross entropy of the image logit, Eq. (1) of the UTS paper (with the minus sign it lacks).

    Args:
        label_smoothing: Targets become ``y (1 - s) + s / 2``.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f'loss.label_smoothing must be in [0, 1), found {label_smoothing}')
        self.label_smoothing = label_smoothing

    def forward(self, image_logit: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean loss.

        Args:
            image_logit: Tensor ``(N,)``.
            labels: Tensor ``(N,)`` in 0..1.
            weights: Tensor ``(N,)``, how much each image counts: ``sum(w l) / sum(w)``; None counts all alike.
        """
        target = labels.float() * (1 - self.label_smoothing) + self.label_smoothing / 2
        if weights is None:
            return functional.binary_cross_entropy_with_logits(image_logit, target)
        losses = functional.binary_cross_entropy_with_logits(image_logit, target, reduction='none')
        return weighted_mean(losses, weights)
