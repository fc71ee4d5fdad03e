"""Classifies every position, then aggregates."""

from __future__ import annotations

import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.aggregation import probability_to_logit
from mitouts.models.heads.base import HeadOutput, LocalizationHead, attention_map
from mitouts.registry import MODELS


@MODELS.register_module()
class InstanceHead(LocalizationHead):
    """Classifies every position by a 1 x 1 convolution, then aggregates over positions (Sec. 3.1 of the UTS paper)."""

    def check_domain(self) -> None:
        if self.aggregator.domain == 'feature':
            raise ConfigError(
                f"InstanceHead aggregates the classifier's outputs, but {type(self.aggregator).__name__} pools "
                "features: set head.aggregator.domain to 'logit' or 'probability', or use EmbeddingHead"
            )

    def score_is_maximum(self) -> bool:
        return self.aggregator.is_maximum

    def forward(self, features: Tensor, size_px: tuple[int, int] | None = None) -> HeadOutput:
        logits = self.classifier(self.dropout(features)).float()
        values = self.upsampled(logits, size_px)
        if self.aggregator.domain == 'probability':
            pooled = self.pool(torch.sigmoid(values), features)
            logit = probability_to_logit(pooled.value) if pooled.logit is None else pooled.logit
            image_logit = logit[:, 0]
        else:
            pooled = self.pool(values, features)
            image_logit = pooled.value[:, 0].float()
        if pooled.weights is not None:
            return HeadOutput(image_logit, attention_map(pooled.weights, image_logit))
        return HeadOutput(image_logit, torch.sigmoid(logits[:, 0]), values[:, 0])
