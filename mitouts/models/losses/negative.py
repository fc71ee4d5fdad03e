"""Lets a negative image teach more than one of its positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from mitouts.errors import ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.weighting import weighted_mean
from mitouts.models.heads.base import HeadOutput
from mitouts.models.losses.base import MapLoss
from mitouts.registry import MODELS
from mitouts.structures import PointSample


@MODELS.register_module()
class NegativeInstanceLoss(MapLoss):
    """Cross entropy of the highest positions of negative images.

    An image without a figure has none at any position, so its label is that of all of its positions. With the maximum
    only one of them is trained in each step; here the k highest are, which are the look-alikes of the image. Positive
    images take no part, because their label does not say which position is positive. No point is used: a model that is
    trained with it is still uninformed.

    Args:
        k: Positions of each negative image; all of them if it has fewer.
        weight: Factor of the loss, the mean over these positions and over the negative images of a batch.

    Raises:
        ConfigError: ``k`` is below 1, or ``weight`` negative.
    """

    name: ClassVar[str] = 'loss_negative'

    def __init__(self, k: int = 16, weight: float = 1.0) -> None:
        super().__init__()
        if k < 1 or not weight >= 0:
            raise ConfigError(
                f'NegativeInstanceLoss: k must be at least 1 and weight not negative, found {k} and {weight}'
            )
        self.k = k
        self.weight = weight

    def forward(
        self,
        output: HeadOutput,
        data_samples: Sequence[PointSample],
        *,
        weights: Tensor,
        geometry: FeatureGeometry,
        size_px: tuple[int, int],
    ) -> Tensor:
        logits = output.map_logit
        assert logits is not None, 'the head refuses to be built with a map that has no logits'
        flat = logits.flatten(1)
        highest = flat.topk(min(self.k, flat.shape[1]), dim=1).values
        # -log(1 - sigmoid(x)) = softplus(x)
        losses = functional.softplus(highest).mean(dim=1)
        is_negative = torch.tensor([sample.gt_label == 0 for sample in data_samples], device=weights.device)
        return self.weight * weighted_mean(losses, weights * is_negative)
