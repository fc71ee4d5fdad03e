"""Aggregators that need nothing but the values."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from mitouts.errors import ConfigError
from mitouts.functional import aggregation
from mitouts.models.aggregators.base import Aggregator, Domain, Pooled
from mitouts.registry import AGGREGATORS


@AGGREGATORS.register_module()
class MaxAggregator(Aggregator):
    """The highest value (the paper's choice)."""

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.max_pool(values))


@AGGREGATORS.register_module()
class MeanAggregator(Aggregator):
    """The mean value."""

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.mean_pool(values))


@AGGREGATORS.register_module()
class LogSumExpAggregator(Aggregator):
    """Smooth maximum.

    Args:
        sharpness: ``r`` of ``log(mean(exp(r x))) / r``; higher is closer to the maximum.
    """

    domains: ClassVar[tuple[Domain, ...]] = ('logit', 'feature', 'probability')

    def __init__(self, sharpness: float = 4.0, domain: Domain | None = None) -> None:
        super().__init__(domain)
        self.sharpness = _positive('sharpness', sharpness)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.log_sum_exp_pool(values, self.sharpness))


@AGGREGATORS.register_module()
class TopKMeanAggregator(Aggregator):
    """Mean of the k highest values.

    Args:
        k: Number of positions.
    """

    def __init__(self, k: int = 4, domain: Domain | None = None) -> None:
        super().__init__(domain)
        if k < 1 or k != int(k):
            raise ConfigError(f'aggregator.k must be a whole number above 0, found {k}')
        self.k = int(k)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.top_k_mean(values, self.k))


@AGGREGATORS.register_module()
class GeMAggregator(Aggregator):
    """Generalized mean; logits can be negative, so it pools probabilities or (clamped) features.

    Args:
        power: ``p``; 1 is the mean, higher is closer to the maximum.
        learn_power: Train ``p``.
    """

    domains: ClassVar[tuple[Domain, ...]] = ('probability', 'feature')

    def __init__(self, power: float = 3.0, learn_power: bool = False, domain: Domain | None = None) -> None:
        super().__init__(domain)
        self.power = nn.Parameter(torch.tensor(_positive('power', power)), requires_grad=learn_power)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.generalized_mean(values, self.power))


@AGGREGATORS.register_module()
class NoisyOrAggregator(Aggregator):
    """Probability that at least one position is positive, if positions were independent."""

    domains: ClassVar[tuple[Domain, ...]] = ('probability',)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.noisy_or(values), logit=aggregation.noisy_or_logit(values))


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise ConfigError(f'aggregator.{name} must be above 0, found {value}')
    return float(value)
