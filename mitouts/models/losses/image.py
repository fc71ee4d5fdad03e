"""Compares the image score with the image label."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mitouts.functional.weighting import weighted_mean
from mitouts.registry import MODELS


@MODELS.register_module()
class ImageBCELoss(nn.Module):
    """Binary cross entropy of the image logit, Eq. (1) of the UTS paper (with the minus sign it lacks)."""

    def forward(self, image_logit: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the mean loss.

        Args:
            image_logit: Tensor ``(N,)``.
            labels: Tensor ``(N,)`` in 0..1.
            weights: Tensor ``(N,)``, how much each image counts: ``sum(w l) / sum(w)``; None counts all alike.
        """
        if weights is None:
            return functional.binary_cross_entropy_with_logits(image_logit, labels.float())
        losses = functional.binary_cross_entropy_with_logits(image_logit, labels.float(), reduction='none')
        return weighted_mean(losses, weights)
