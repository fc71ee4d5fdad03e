"""Self-weighted softmax pooling (McFee et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.models.aggregators import Aggregator, Pooled
from mitouts.registry import AGGREGATORS


@AGGREGATORS.register_module()
class SoftmaxAggregator(Aggregator):
    """Mean of the values, weighted by the softmax of the values themselves.

    Args:
        temperature: Above 0; low is close to the maximum, high to the mean.
        domain: See :class:`~mitouts.models.aggregators.Aggregator`.

    Raises:
        ConfigError: The temperature is out of range.
    """

    # It gives no attention weights, so the score map is the classifier's. This is the default.
    map_is_attention = False

    def __init__(self, temperature: float = 1.0, domain: str | None = None) -> None:
        super().__init__(domain)
        if not 0.001 <= temperature <= 1000:
            raise ConfigError(f'aggregator.temperature must be from 0.001 to 1000, found {temperature}')
        self.temperature = temperature

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        flat = values.float().flatten(2)
        weights = torch.softmax(flat / self.temperature, dim=2)
        return Pooled((flat * weights).sum(dim=2))
