"""Self-weighted softmax pooling (McFee et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from mitouts.models.aggregators import Aggregator, Pooled
from mitouts.registry import AGGREGATORS


@AGGREGATORS.register_module()
class SoftmaxAggregator(Aggregator):
    """Mean of the values, weighted by the softmax of the values themselves.

    Args:
        temperature: Low is close to the maximum, high to the mean.
        domain: See :class:`~mitouts.models.aggregators.Aggregator`.
    """

    def __init__(self, temperature: float = 1.0, domain: str | None = None) -> None:
        super().__init__(domain)
        self.temperature = temperature

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        flat = values.float().flatten(2)
        weights = torch.softmax(flat / self.temperature, dim=2)
        return Pooled((flat * weights).sum(dim=2))
