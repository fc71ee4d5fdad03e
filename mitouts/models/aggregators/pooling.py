"""Pools values by a fixed formula, without learnt weights."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from mitouts.errors import ConfigError
from mitouts.functional import aggregation
from mitouts.models.aggregators.base import Aggregator, Domain, Pooled
from mitouts.registry import AGGREGATORS

RANGE = (0.01, 1000.0)
"""Powers and sharpnesses of smooth maxima that float32 can work with."""


@AGGREGATORS.register_module()
class MaxAggregator(Aggregator):
    """Takes the highest value (the paper's choice)."""

    is_maximum = True

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.max_pool(values))


@AGGREGATORS.register_module()
class MeanAggregator(Aggregator):
    """Takes the mean value."""

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.mean_pool(values))


@AGGREGATORS.register_module()
class LogSumExpAggregator(Aggregator):
    """Takes a smooth maximum.

    Args:
        sharpness: ``r`` of ``log(mean(exp(r x))) / r``, from 0.01 to 1000; higher is closer to the maximum.
    """

    domains: ClassVar[tuple[Domain, ...]] = ('logit', 'feature', 'probability')

    def __init__(self, sharpness: float = 4.0, domain: Domain | None = None) -> None:
        super().__init__(domain)
        self.sharpness = _in_range('sharpness', sharpness)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.log_sum_exp_pool(values, self.sharpness))


@AGGREGATORS.register_module()
class AnnealedMaxAggregator(Aggregator):
    """Takes a smooth maximum that sharpens during training until it is the maximum itself.

    The gradient of the maximum flows through one position of an image, which in an untrained network is hardly ever a
    figure. That of the smooth maximum flows through all of them, in proportion to ``exp(r x)``; ``r`` grows
    geometrically over the first steps of a training. Outside of training the maximum is taken.

    Args:
        steps: Training steps after which the maximum is taken.
        start: The sharpness ``r`` at the first step, see :func:`mitouts.functional.aggregation.log_sum_exp_pool`.
        end: The sharpness that ``r`` reaches at the last of them.
    """

    domains: ClassVar[tuple[Domain, ...]] = ('logit', 'feature', 'probability')
    is_maximum = True

    def __init__(self, steps: int = 100, start: float = 0.5, end: float = 20.0, domain: Domain | None = None) -> None:
        super().__init__(domain)
        if steps < 1 or steps != int(steps):
            raise ConfigError(f'aggregator.steps must be a whole number above 0, found {steps}')
        self.steps = int(steps)
        self.start = _in_range('start', start)
        self.end = _in_range('end', end)
        # In the checkpoint, so that a resumed training goes on where it was.
        self.register_buffer('steps_done', torch.zeros((), dtype=torch.long))

    def sharpness(self) -> float:
        """Return the sharpness for the next training step."""
        share = min(int(self.steps_done) / self.steps, 1.0)
        return self.start * (self.end / self.start) ** share

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        if not self.training or int(self.steps_done) >= self.steps:
            return Pooled(aggregation.max_pool(values))
        sharpness = self.sharpness()
        self.steps_done += 1
        return Pooled(aggregation.log_sum_exp_pool(values, sharpness))


@AGGREGATORS.register_module()
class TopKMeanAggregator(Aggregator):
    """Takes the mean of the k highest values.

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
    """Takes the generalized mean; logits can be negative, so it pools probabilities or (clamped) features.

    Args:
        power: ``p``, from 0.01 to 1000; 1 is the mean, higher is closer to the maximum.
        learn_power: Train ``p``. A step of the optimizer may take the parameter out of that range: it then counts as
            the nearest power in it, and has the gradient of that, so that it is led back.
    """

    domains: ClassVar[tuple[Domain, ...]] = ('probability', 'feature')

    def __init__(self, power: float = 3.0, learn_power: bool = False, domain: Domain | None = None) -> None:
        super().__init__(domain)
        self.power = nn.Parameter(torch.tensor(_in_range('power', power)), requires_grad=learn_power)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        # A clamp alone would have no gradient outside of its limits.
        inside = self.power.float().clamp(*RANGE).detach() + (self.power - self.power.detach())
        return Pooled(aggregation.generalized_mean(values, inside))


@AGGREGATORS.register_module()
class NoisyOrAggregator(Aggregator):
    """Computes the probability that at least one position is positive, as if positions were independent."""

    domains: ClassVar[tuple[Domain, ...]] = ('probability',)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(aggregation.noisy_or(values), logit=aggregation.noisy_or_logit(values))


def _in_range(name: str, value: float) -> float:
    if not RANGE[0] <= value <= RANGE[1]:
        raise ConfigError(f'aggregator.{name} must be a number from {RANGE[0]} to {RANGE[1]:g}, found {value}')
    return float(value)
