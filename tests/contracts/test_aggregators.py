"""What every aggregator promises to a head."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from outside import names_in
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.models.aggregators import Aggregator
from mitouts.models.aggregators.base import Domain
from mitouts.registry import AGGREGATORS

CHANNELS = 5
NAMES = names_in(AGGREGATORS, Aggregator, 'SoftmaxPooling', 'SoftmaxAggregator')


def values_of(domain: str) -> tuple[Tensor, Tensor]:
    """Values and features of three images."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, CHANNELS, 6, 4, generator=generator).relu()
    values = features if domain == 'feature' else torch.randn(3, 1, 6, 4, generator=generator)
    return (torch.sigmoid(values) if domain == 'probability' else values), features


@pytest.mark.parametrize('domain', get_args(Domain))
@pytest.mark.parametrize('name', NAMES)
def test_it_pools_each_image_by_itself_to_one_value_a_channel(bring, name: str, domain: str) -> None:
    bring(name)
    kind = AGGREGATORS.require(name)
    if domain not in kind.domains:
        with pytest.raises(ConfigError, match='pools'):
            AGGREGATORS.build(dict(type=name, domain=domain))
        return
    torch.manual_seed(0)
    aggregator = AGGREGATORS.build(dict(type=name, domain=domain))
    aggregator.prepare(CHANNELS)
    aggregator.eval()
    values, features = values_of(domain)
    values.requires_grad_()
    pooled = aggregator(values, features)
    assert pooled.value.shape == values.shape[:2]
    assert torch.isfinite(pooled.value).all()
    assert torch.equal(aggregator(values, features).value, pooled.value)
    alone = torch.cat([aggregator(values[index : index + 1], features[index : index + 1]).value for index in range(3)])
    torch.testing.assert_close(alone, pooled.value)
    pooled.value.sum().backward()
    assert values.grad is not None
    assert values.grad.abs().sum() > 0
    if pooled.logit is not None:
        torch.testing.assert_close(torch.sigmoid(pooled.logit), pooled.value)
    if domain == 'probability':
        assert ((pooled.value >= 0) & (pooled.value <= 1)).all()


@pytest.mark.parametrize('name', NAMES)
def test_it_gives_weights_where_it_says_so_and_nowhere_else(bring, name: str) -> None:
    bring(name)
    torch.manual_seed(0)
    aggregator = AGGREGATORS.build(dict(type=name))
    assert isinstance(aggregator, Aggregator)
    assert aggregator.domain == type(aggregator).domains[0]
    aggregator.prepare(CHANNELS)
    values, features = values_of(aggregator.domain)
    weights = aggregator.eval()(values, features).weights
    assert (weights is not None) is aggregator.map_is_attention
    if weights is not None:
        assert weights.shape == (3, 1, 6, 4)
        assert (weights >= 0).all()


@pytest.mark.parametrize('name', NAMES)
def test_a_map_of_one_cell_is_pooled(bring, name: str) -> None:
    bring(name)
    aggregator = AGGREGATORS.build(dict(type=name))
    aggregator.prepare(CHANNELS)
    values, features = values_of(aggregator.domain)
    assert torch.isfinite(aggregator.eval()(values[..., :1, :1], features[..., :1, :1]).value).all()
