"""Lets a negative image teach more than one of its positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from mitouts.errors import ConfigError
from mitouts.functional.weighting import weighted_mean
from mitouts.models.losses.base import CellLoss
from mitouts.registry import MODELS
from mitouts.structures import PointSample


@MODELS.register_module()
class NegativeInstanceLoss(CellLoss):
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

    def takes_part(self, sample: PointSample) -> bool:
        return sample.gt_label == 0

    def compare(
        self, logits: Tensor, places: tuple[Tensor, Tensor], data_samples: Sequence[PointSample], weights: Tensor
    ) -> Tensor:
        flat = logits.flatten(1)
        highest = flat.topk(min(self.k, flat.shape[1]), dim=1).values
        # -log(1 - sigmoid(x)) = softplus(x)
        return self.weight * weighted_mean(functional.softplus(highest).mean(dim=1), weights)
