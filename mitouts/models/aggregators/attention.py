"""Pools by learnt weights: attention (Ilse et al. 2018)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from mitouts.functional import aggregation
from mitouts.models.aggregators.base import Aggregator, Domain, Pooled
from mitouts.registry import AGGREGATORS


@AGGREGATORS.register_module()
class AttentionAggregator(Aggregator):
    """Weighs by the features, ``w^T tanh(V h)``, or gated, ``w^T (tanh(V h) * sigmoid(U h))``; Eqs. (8), (9).

    Args:
        hidden_channels: Rows of ``V`` and ``U``.
        gated: Use the gate.
        domain: ``feature`` is Ilse's attention; ``logit`` weights the classifier's outputs instead.
    """

    map_is_attention = True
    domains: ClassVar[tuple[Domain, ...]] = ('feature', 'logit', 'probability')

    def __init__(self, hidden_channels: int = 128, gated: bool = False, domain: Domain | None = None) -> None:
        super().__init__(domain)
        self.hidden_channels = hidden_channels
        self.gated = gated

    def prepare(self, feature_channels: int) -> None:
        self.value = nn.Conv2d(feature_channels, self.hidden_channels, 1)
        self.gate = nn.Conv2d(feature_channels, self.hidden_channels, 1) if self.gated else None
        self.score = nn.Conv2d(self.hidden_channels, 1, 1)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        hidden = torch.tanh(self.value(features))
        if self.gate is not None:
            hidden = hidden * torch.sigmoid(self.gate(features))
        pooled, weights = aggregation.attention_pool(values, self.score(hidden))
        return Pooled(pooled, weights)
