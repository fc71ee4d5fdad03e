"""Aggregators: every one in every domain it allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional import aggregation
from mitouts.models.aggregators import Aggregator
from mitouts.registry import AGGREGATORS

DOMAINS = ('logit', 'probability', 'feature')
FUNCTIONS: dict[str, tuple[tuple[str, ...], dict[str, Any], Callable[[Tensor], Tensor]]] = {
    'MaxAggregator': (DOMAINS, {}, aggregation.max_pool),
    'MeanAggregator': (DOMAINS, {}, aggregation.mean_pool),
    'LogSumExpAggregator': (DOMAINS, {'sharpness': 2.0}, lambda x: aggregation.log_sum_exp_pool(x, 2.0)),
    'AnnealedMaxAggregator': (DOMAINS, {'start': 2.0}, lambda x: aggregation.log_sum_exp_pool(x, 2.0)),
    'TopKMeanAggregator': (DOMAINS, {'k': 3}, lambda x: aggregation.top_k_mean(x, 3)),
    'GeMAggregator': (('probability', 'feature'), {'power': 4.0}, lambda x: aggregation.generalized_mean(x, 4.0)),
    'NoisyOrAggregator': (('probability',), {}, aggregation.noisy_or),
    'AttentionAggregator': (DOMAINS, {'hidden_channels': 8}, lambda x: x),
}
ALLOWED = [(name, domain) for name, (domains, _, _) in FUNCTIONS.items() for domain in domains]
REFUSED = [(name, domain) for name, (domains, _, _) in FUNCTIONS.items() for domain in DOMAINS if domain not in domains]


def _values(domain: str, channels: int) -> Tensor:
    values = torch.randn(2, channels, 5, 4, generator=torch.Generator().manual_seed(0))
    return torch.sigmoid(values) if domain == 'probability' else values


def test_every_registered_aggregator_is_covered_here() -> None:
    assert {name for name in FUNCTIONS if name in AGGREGATORS} == set(FUNCTIONS)
    own = {name for name, kind in AGGREGATORS.module_dict.items() if kind.__module__.startswith('mitouts.')}
    assert own == set(FUNCTIONS)


@pytest.mark.parametrize(('name', 'domain'), [pair for pair in ALLOWED if pair[0] != 'AttentionAggregator'])
def test_value_is_that_of_the_pure_function(name: str, domain: str) -> None:
    _, arguments, function = FUNCTIONS[name]
    aggregator = AGGREGATORS.build({'type': name, 'domain': domain, **arguments})
    values = _values(domain, 3 if domain == 'feature' else 1)
    pooled = aggregator(values, values)
    assert pooled.value.shape == values.shape[:2]
    assert pooled.weights is None
    torch.testing.assert_close(pooled.value, function(values))


def test_noisy_or_knows_the_logit_of_its_probability() -> None:
    values = _values('probability', 1)
    pooled = AGGREGATORS.build({'type': 'NoisyOrAggregator'})(values[..., :2, :2], values)
    torch.testing.assert_close(torch.sigmoid(pooled.logit), pooled.value)


@pytest.mark.parametrize(('name', 'domain'), REFUSED)
def test_domain_that_makes_no_sense_is_refused_when_built(name: str, domain: str) -> None:
    with pytest.raises(ConfigError, match=rf'{name} pools .*, not {domain!r}.*aggregator\.domain'):
        AGGREGATORS.build({'type': name, 'domain': domain})


def test_unknown_domain_is_refused() -> None:
    with pytest.raises(ConfigError, match="not 'pixel'"):
        AGGREGATORS.build({'type': 'MaxAggregator', 'domain': 'pixel'})


@pytest.mark.parametrize(
    ('name', 'key', 'value'),
    [
        ('LogSumExpAggregator', 'sharpness', 0),
        ('LogSumExpAggregator', 'sharpness', float('nan')),
        ('LogSumExpAggregator', 'sharpness', float('inf')),
        ('LogSumExpAggregator', 'sharpness', 1e-5),
        ('GeMAggregator', 'power', -1.0),
        ('GeMAggregator', 'power', float('inf')),
        ('TopKMeanAggregator', 'k', 0),
        ('TopKMeanAggregator', 'k', 0.5),
        ('TopKMeanAggregator', 'k', 2.5),
    ],
)
def test_parameter_out_of_range_is_refused_by_name(name: str, key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf'aggregator\.{key} .* found {value}'):
        AGGREGATORS.build({'type': name, key: value})


@pytest.mark.parametrize('gated', [False, True])
@pytest.mark.parametrize('domain', DOMAINS)
def test_attention_is_the_formula_of_ilse(gated: bool, domain: str) -> None:
    torch.manual_seed(1)
    aggregator = AGGREGATORS.build(
        {'type': 'AttentionAggregator', 'hidden_channels': 8, 'gated': gated, 'domain': domain}
    )
    aggregator.prepare(6)
    features = _values('feature', 6)
    values = features if domain == 'feature' else _values(domain, 1)
    pooled = aggregator(values, features)

    def matrix(layer: Any, inputs: np.ndarray) -> np.ndarray:
        weight, bias = layer.weight.detach().numpy()[:, :, 0, 0], layer.bias.detach().numpy()[:, None]
        return weight @ inputs + bias

    for index in range(2):
        hidden = np.tanh(matrix(aggregator.value, features[index].flatten(1).numpy()))
        if gated:
            hidden = hidden / (1 + np.exp(-matrix(aggregator.gate, features[index].flatten(1).numpy())))
        score = np.exp(matrix(aggregator.score, hidden)[0])
        weights = score / score.sum()
        expected = values[index].flatten(1).numpy() @ weights
        np.testing.assert_allclose(pooled.weights[index].detach().numpy().ravel(), weights, rtol=1e-4)
        np.testing.assert_allclose(pooled.value[index].detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_attention_without_a_gate_has_no_gate_to_train() -> None:
    aggregator = AGGREGATORS.build({'type': 'AttentionAggregator', 'hidden_channels': 8})
    aggregator.prepare(6)
    assert {name.partition('.')[0] for name, _ in aggregator.named_parameters()} == {'value', 'score'}


@pytest.mark.parametrize('learn_power', [False, True])
def test_power_is_trained_only_when_asked_for(learn_power: bool) -> None:
    aggregator: Aggregator = AGGREGATORS.build({'type': 'GeMAggregator', 'learn_power': learn_power})
    values = _values('probability', 1).requires_grad_()
    aggregator(values, values).value.sum().backward()
    (power,) = aggregator.parameters()
    assert power.requires_grad is learn_power
    assert (power.grad is not None and bool(torch.isfinite(power.grad))) is learn_power


def _exact_power_mean(values: np.ndarray, power: float) -> float:
    """In float64, by way of scipy's logsumexp."""
    logs = np.log(np.clip(values.astype(np.float64).ravel(), 1e-6, None)) * power
    return float(np.exp((logsumexp(logs) - np.log(logs.size)) / power))


@pytest.mark.parametrize(
    ('left', 'used'), [(-3.0, 0.01), (0.0, 0.01), (1e-9, 0.01), (0.5, 0.5), (1e30, 1000.0), (1500.0, 1000.0)]
)
@pytest.mark.parametrize('scale', [1e-9, 1.0, 1e4, 1e30])
def test_a_learnt_power_that_leaves_its_range_counts_as_the_nearest_in_it(left, used, scale) -> None:
    aggregator = AGGREGATORS.build({'type': 'GeMAggregator', 'learn_power': True, 'domain': 'feature'})
    aggregator.power.data.fill_(left)
    values = (_values('feature', 1).abs() * scale).requires_grad_()
    pooled = aggregator(values, values).value
    pooled.sum().backward()
    expected = [_exact_power_mean(each.detach().numpy(), used) for each in values]
    np.testing.assert_allclose(pooled[:, 0].detach().numpy(), expected, rtol=1e-4)
    assert torch.isfinite(values.grad).all()
    assert torch.isfinite(aggregator.power.grad)


@pytest.mark.parametrize(('left', 'inside'), [(-0.5, 0.01), (1200.0, 1000.0)])
def test_a_power_outside_of_its_range_has_the_gradient_of_the_nearest_inside(left, inside) -> None:
    gradients = []
    for power in (left, inside):
        aggregator = AGGREGATORS.build({'type': 'GeMAggregator', 'learn_power': True})
        aggregator.power.data.fill_(power)
        values = _values('probability', 1)
        aggregator(values, values).value.sum().backward()
        gradients.append(aggregator.power.grad.item())
    assert gradients[0] == gradients[1] != 0


def test_a_power_that_was_pushed_out_is_led_back() -> None:
    aggregator = AGGREGATORS.build({'type': 'GeMAggregator', 'power': 2.0, 'learn_power': True})
    values = _values('probability', 1)
    target = torch.tensor([[_exact_power_mean(each.numpy(), 2.0)] for each in values], dtype=torch.float32)
    aggregator.power.data.fill_(-1.0)
    optimizer = torch.optim.Adam(aggregator.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        (aggregator(values, values).value - target).square().sum().backward()
        optimizer.step()
    assert aggregator.power.item() == pytest.approx(2.0, abs=0.05)


def test_a_checkpoint_holds_the_power_under_its_old_name() -> None:
    aggregator = AGGREGATORS.build({'type': 'GeMAggregator'})
    assert list(aggregator.state_dict()) == ['power']
    aggregator.load_state_dict({'power': torch.tensor(4.0)})
    values = _values('probability', 1)
    torch.testing.assert_close(aggregator(values, values).value, aggregation.generalized_mean(values, 4.0))


@pytest.mark.parametrize('name', FUNCTIONS)
def test_what_a_class_says_of_its_weights_is_what_it_gives(name: str) -> None:
    for domain in FUNCTIONS[name][0]:
        aggregator = AGGREGATORS.build({'type': name, 'domain': domain, **FUNCTIONS[name][1]})
        aggregator.prepare(6)
        features = _values('feature', 6)
        pooled = aggregator(features if domain == 'feature' else _values(domain, 1), features)
        assert (pooled.weights is not None) is aggregator.map_is_attention is type(aggregator).map_is_attention


def test_the_annealed_maximum_sharpens_by_a_factor_a_step_and_ends_as_the_maximum() -> None:
    values = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    aggregator = AGGREGATORS.build(dict(type='AnnealedMaxAggregator', steps=2, start=1.0, end=16.0)).train()
    pooled = [aggregator(values, values).value for _ in range(3)]
    for value, sharpness in zip(pooled, (1.0, 4.0)):
        expected = (values.flatten(2) * sharpness).exp().mean(dim=2).log() / sharpness
        torch.testing.assert_close(value, expected)
    torch.testing.assert_close(pooled[2], values.amax(dim=(2, 3)))


def test_the_annealed_maximum_is_the_maximum_outside_of_training() -> None:
    values = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    aggregator = AGGREGATORS.build(dict(type='AnnealedMaxAggregator', steps=10)).eval()
    torch.testing.assert_close(aggregator(values, values).value, values.amax(dim=(2, 3)))
    assert aggregator.state_dict()['steps_done'] == 0


def test_a_loaded_annealed_maximum_goes_on_where_it_was() -> None:
    values = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    settings = dict(type='AnnealedMaxAggregator', steps=4)
    first, second = (AGGREGATORS.build(settings).train() for _ in range(2))
    first(values, values)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(values, values).value, first(values, values).value)


def test_the_annealed_maximum_has_a_gradient_everywhere_at_first() -> None:
    values = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    AGGREGATORS.build(dict(type='AnnealedMaxAggregator')).train()(values, values).value.sum().backward()
    assert values.grad is not None
    assert bool((values.grad > 0).all())


def test_the_annealed_maximum_needs_whole_steps() -> None:
    with pytest.raises(ConfigError, match=r'aggregator\.steps must be a whole number above 0, found 0'):
        AGGREGATORS.build(dict(type='AnnealedMaxAggregator', steps=0))
