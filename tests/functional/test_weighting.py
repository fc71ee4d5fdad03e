"""Weighted means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mitouts.functional.weighting import weighted_mean


def test_mean_is_numpys() -> None:
    generator = np.random.default_rng(0)
    values, weights = generator.normal(size=9), generator.random(9)
    mean = weighted_mean(torch.from_numpy(values), torch.from_numpy(weights))
    assert mean.item() == pytest.approx(np.average(values, weights=weights))


def test_no_weight_at_all_is_0_with_a_gradient_of_0() -> None:
    values = torch.tensor([5.0, -7.0], requires_grad=True)
    mean = weighted_mean(values, torch.zeros(2))
    mean.backward()
    assert mean.item() == 0
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0]


def test_weights_may_be_of_another_type() -> None:
    mean = weighted_mean(torch.tensor([1.0, 3.0, 100.0]), torch.tensor([True, True, False]))
    assert mean.dtype == torch.float32
    assert mean.item() == 2
