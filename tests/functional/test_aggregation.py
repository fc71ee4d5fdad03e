"""Pooling, against plain float64 numpy and its limits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from mitouts.functional import aggregation

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))


def _logits(shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 3, shape)


def _probabilities(shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.01, 0.99, shape)


def _top_2_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sort(values, axis=-1)[..., -2:].mean(axis=-1)


NAIVE: dict[str, tuple[Callable[[Tensor], Tensor], Callable, Callable]] = {
    'max': (aggregation.max_pool, lambda x: x.max(-1), _logits),
    'mean': (aggregation.mean_pool, lambda x: x.mean(-1), _logits),
    'log_sum_exp': (
        lambda x: aggregation.log_sum_exp_pool(x, 2.5),
        lambda x: np.log(np.exp(2.5 * x).mean(-1)) / 2.5,
        _logits,
    ),
    'top_k_mean': (lambda x: aggregation.top_k_mean(x, 2), _top_2_mean, _logits),
    'generalized_mean': (
        lambda x: aggregation.generalized_mean(x, 3.0),
        lambda x: (x**3).mean(-1) ** (1 / 3),
        _probabilities,
    ),
    'noisy_or': (aggregation.noisy_or, lambda x: 1 - np.prod(1 - x, axis=-1), _probabilities),
}


@pytest.mark.parametrize('name', NAIVE)
@given(shape=SHAPES, seed=st.integers(0, 999))
def test_pooling_is_what_numpy_computes(name: str, shape: tuple[int, ...], seed: int) -> None:
    pool, naive, draw = NAIVE[name]
    values = draw(shape, seed)
    pooled = pool(torch.from_numpy(values.astype(np.float32)))
    expected = naive(values.astype(np.float32).astype(np.float64).reshape(*shape[:2], -1))
    assert pooled.shape == shape[:2]
    np.testing.assert_allclose(pooled.numpy(), expected, rtol=2e-5, atol=2e-5)


@given(shape=SHAPES, seed=st.integers(0, 999))
def test_attention_is_a_softmax_weighted_mean(shape: tuple[int, ...], seed: int) -> None:
    count, channels, height, width = shape
    values, logits = _logits(shape, seed), _logits((count, 1, height, width), seed + 1)
    pooled, weights = aggregation.attention_pool(torch.from_numpy(values), torch.from_numpy(logits))
    exponentials = np.exp(logits)
    expected = exponentials / exponentials.sum(axis=(2, 3), keepdims=True)
    assert pooled.shape == (count, channels)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(pooled.numpy(), (values * expected).sum(axis=(2, 3)), rtol=1e-4, atol=1e-5)


def test_log_sum_exp_goes_from_the_mean_to_the_maximum() -> None:
    values = torch.from_numpy(_logits((2, 1, 6, 5), 0)).float()
    blunt, sharp = aggregation.log_sum_exp_pool(values, 1e-3), aggregation.log_sum_exp_pool(values, 1e3)
    torch.testing.assert_close(blunt, aggregation.mean_pool(values), atol=1e-2, rtol=0)
    torch.testing.assert_close(sharp, aggregation.max_pool(values), atol=1e-2, rtol=0)


@given(seed=st.integers(0, 99), sharpness=st.floats(0.1, 10))
def test_log_sum_exp_stays_between_the_mean_and_the_maximum(seed: int, sharpness: float) -> None:
    values = torch.from_numpy(_logits((1, 1, 4, 4), seed)).float()
    pooled = aggregation.log_sum_exp_pool(values, sharpness).item()
    assert aggregation.mean_pool(values).item() - 1e-4 <= pooled <= aggregation.max_pool(values).item() + 1e-4


def test_generalized_mean_goes_from_the_mean_to_the_maximum() -> None:
    values = torch.from_numpy(_probabilities((2, 1, 6, 5), 0)).float()
    torch.testing.assert_close(aggregation.generalized_mean(values, 1.0), aggregation.mean_pool(values))
    torch.testing.assert_close(
        aggregation.generalized_mean(values, 200.0), aggregation.max_pool(values), atol=2e-2, rtol=0
    )


@pytest.mark.parametrize('power', [8.0, 30.0, 200.0])
@pytest.mark.parametrize('value', [0.0, 1e-3, 20.0])
def test_generalized_mean_with_a_high_power_stays_in_range(value: float, power: float) -> None:
    values = torch.full((1, 1, 2, 2), value, requires_grad=True)
    exponent = torch.tensor(power, requires_grad=True)
    pooled = aggregation.generalized_mean(values, exponent)
    pooled.sum().backward()
    assert pooled.item() == pytest.approx(max(value, 1e-6), rel=1e-4)
    assert values.grad is not None
    assert exponent.grad is not None
    assert torch.isfinite(values.grad).all()
    assert torch.isfinite(exponent.grad)


def test_top_k_of_a_smaller_map_takes_all_of_it() -> None:
    values = torch.from_numpy(_logits((1, 2, 2, 2), 0))
    torch.testing.assert_close(aggregation.top_k_mean(values, 99), aggregation.mean_pool(values))


def test_maximum_has_a_gradient_at_one_position_only() -> None:
    values = torch.zeros(1, 1, 3, 3, requires_grad=True)
    aggregation.max_pool(values).sum().backward()
    assert values.grad is not None
    assert np.count_nonzero(values.grad.numpy()) == 1


def test_noisy_or_keeps_the_faintest_evidence() -> None:
    faint = torch.full((1, 1, 2, 2), 1e-8)
    assert aggregation.noisy_or(faint).item() == pytest.approx(4e-8, rel=1e-4)


@given(shape=SHAPES, seed=st.integers(0, 999))
def test_noisy_or_logit_is_the_log_odds_of_the_product(shape: tuple[int, ...], seed: int) -> None:
    probabilities = _probabilities(shape, seed)
    absent = np.prod((1 - probabilities).reshape(*shape[:2], -1), axis=-1)
    logit = aggregation.noisy_or_logit(torch.from_numpy(probabilities))
    np.testing.assert_allclose(logit.numpy(), np.log((1 - absent) / absent), rtol=1e-4, atol=1e-4)


def test_noisy_or_of_an_untrained_map_can_be_trained() -> None:
    probabilities = torch.full((1, 1, 16, 16), 0.5, requires_grad=True)
    logit = aggregation.noisy_or_logit(probabilities)
    assert logit.item() == pytest.approx(256 * math.log(2))
    logit.sum().backward()
    assert probabilities.grad is not None
    np.testing.assert_allclose(probabilities.grad.numpy(), 2, rtol=1e-5)


def test_noisy_or_of_nothing_has_a_finite_logit() -> None:
    probabilities = torch.zeros((1, 1, 4, 4), requires_grad=True)
    logit = aggregation.noisy_or_logit(probabilities)
    logit.sum().backward()
    assert logit.item() < -80
    assert probabilities.grad is not None
    assert torch.isfinite(probabilities.grad).all()


POOLS_OF_LOGITS: dict[str, Callable[[Tensor], Tensor]] = {
    'max': aggregation.max_pool,
    'mean': aggregation.mean_pool,
    'log_sum_exp': lambda x: aggregation.log_sum_exp_pool(x, 4.0),
    'top_k_mean': lambda x: aggregation.top_k_mean(x, 2),
    'attention': lambda x: aggregation.attention_pool(x, x[:, :1])[0],
    'generalized_mean': lambda x: aggregation.generalized_mean(torch.sigmoid(x), 3.0),
    'noisy_or': lambda x: aggregation.noisy_or(torch.sigmoid(x)),
    'probability_to_logit': lambda x: aggregation.probability_to_logit(aggregation.max_pool(torch.sigmoid(x))),
    'noisy_or_logit': lambda x: aggregation.noisy_or_logit(torch.sigmoid(x)),
}


@pytest.mark.parametrize('name', POOLS_OF_LOGITS)
@pytest.mark.parametrize('logits', [[80, 80, 80, 80], [-80, -80, -80, -80], [80, -80, 0, 80]], ids=str)
def test_extreme_logits_give_finite_values_and_gradients(name: str, logits: list[float]) -> None:
    values = torch.tensor(logits, dtype=torch.float32).view(1, 1, 2, 2).requires_grad_()
    pooled = POOLS_OF_LOGITS[name](values)
    pooled.sum().backward()
    assert values.grad is not None
    assert torch.isfinite(pooled).all()
    assert torch.isfinite(values.grad).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', ['log_sum_exp', 'generalized_mean', 'noisy_or', 'attention', 'noisy_or_logit'])
def test_half_precision_is_pooled_in_float32(name: str, dtype: torch.dtype) -> None:
    """``exp(4 * 80)`` and a product of 10,000 factors are beyond float16."""
    values = torch.full((1, 1, 100, 100), 80.0, dtype=dtype)
    values[..., 0] = -80
    pooled = POOLS_OF_LOGITS[name](values)
    assert pooled.dtype == torch.float32
    assert torch.isfinite(pooled).all()


@given(probability=st.floats(1e-5, 1 - 1e-5))
def test_logit_of_a_probability_inverts_the_sigmoid(probability: float) -> None:
    logit = aggregation.probability_to_logit(torch.tensor(probability, dtype=torch.float64)).item()
    assert logit == pytest.approx(math.log(probability / (1 - probability)), abs=1e-2)


def test_certain_probabilities_have_a_finite_logit() -> None:
    logits = aggregation.probability_to_logit(torch.tensor([0.0, 1.0]))
    assert logits.tolist() == pytest.approx([-69.0776, 16.6], abs=0.1)


def test_a_hopeless_probability_still_has_a_gradient() -> None:
    logit = torch.tensor([-40.0, -15.0, 0.0, 14.0], requires_grad=True)
    aggregation.probability_to_logit(torch.sigmoid(logit)).sum().backward()
    assert logit.grad.tolist() == pytest.approx([1, 1, 1, 1], abs=0.2)
