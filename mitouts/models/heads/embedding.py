"""Aggregates the features, then classifies once."""

from __future__ import annotations

import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.models.heads.base import HeadOutput, LocalizationHead, attention_map
from mitouts.registry import MODELS


@MODELS.register_module()
class EmbeddingHead(LocalizationHead):
    """Aggregates the features, then classifies the result.

    The score map is the classifier applied at every position (a class activation map, Zhou et al. 2016), or the
    attention weights where the aggregator has them. Features are aggregated as they are: ``upsample`` only says how
    the map is read.
    """

    def check_domain(self) -> None:
        if self.aggregator.domain != 'feature':
            raise ConfigError(
                f'EmbeddingHead aggregates features, but {type(self.aggregator).__name__} is set to pool '
                f"{self.aggregator.domain}: set head.aggregator.domain to 'feature', or use InstanceHead"
            )

    def forward(self, features: Tensor, size_px: tuple[int, int] | None = None) -> HeadOutput:
        features = self.dropout(features)
        pooled = self.pool(features, features)
        image_logit = self.classifier(pooled.value[:, :, None, None].to(features.dtype)).float().flatten()
        if pooled.weights is not None:
            return HeadOutput(image_logit, attention_map(pooled.weights, image_logit))
        logits = self.classifier(features).float()
        return HeadOutput(image_logit, torch.sigmoid(logits[:, 0]), self.upsampled(logits, size_px)[:, 0])
