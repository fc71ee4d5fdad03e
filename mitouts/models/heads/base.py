"""What a head gives."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mitouts.models.aggregators.base import Aggregator
from mitouts.registry import AGGREGATORS, MODELS


class HeadOutput(NamedTuple):
    """Output of a head.

    Attributes:
        image_logit: Tensor ``(N,)``, float32.
        score_map: Tensor ``(N, h, w)``, float32, probabilities at network resolution.
    """

    image_logit: Tensor
    score_map: Tensor


class LocalizationHead(BaseModule):
    """A classifier and an aggregator over the last feature map.

    Args:
        aggregator: Config of the aggregator.
        in_channels: Feature channels; the localizer fills it in from the backbone.
        dropout: Channel dropout before the classifier.
        bias: Whether the classifier has a bias.
        loss: Config of the image-level loss.
    """

    def __init__(
        self,
        aggregator: dict[str, Any],
        in_channels: int,
        dropout: float = 0.0,
        bias: bool = True,
        loss: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.aggregator: Aggregator = AGGREGATORS.build(aggregator)
        self.check_domain()
        self.aggregator.prepare(in_channels)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(in_channels, 1, 1, bias=bias)
        self.loss_function = MODELS.build(loss or dict(type='ImageBCELoss'))

    def check_domain(self) -> None:
        """Raise ConfigError when the aggregator pools something this head does not give it."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> HeadOutput:
        raise NotImplementedError

    def init_weights(self) -> None:
        nn.init.normal_(self.classifier.weight, std=0.01)
        if self.classifier.bias is not None:
            nn.init.zeros_(self.classifier.bias)

    def loss(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            features: Tensor ``(N, D, h, w)``.
            labels: Tensor ``(N,)``, float, image labels.
        """
        return {'loss_image': self.loss_function(self(features).image_logit, labels)}


def attention_map(weights: Tensor, image_logit: Tensor) -> Tensor:
    """Attention weights ``(N, 1, h, w)`` as a score map: divided by their maximum, times the image probability.

    Softmax weights sum to 1, so a cut at a probability would never find anything in them.
    """
    scaled = weights[:, 0].float() / weights[:, 0].float().amax(dim=(1, 2), keepdim=True)
    return scaled * torch.sigmoid(image_logit)[:, None, None]
