"""The location constraint, against hand computation, numpy and numerical gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mitouts.functional.centroid_constraint import centroid_penalty, log_barrier_extension, soft_centroid

X_PX, Y_PX = torch.tensor([15.0, 31.0, 47.0, 63.0]), torch.tensor([0.0, 16.0, 32.0])


def _logits(scale: float = 1.0) -> Tensor:
    return scale * torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize('sharpness', [1.0, 10.0])
def test_centroid_is_the_mean_place_weighted_by_the_sigmoid(sharpness: float) -> None:
    found = soft_centroid(_logits(0.3), X_PX.double(), Y_PX.double(), sharpness)
    weights = 1 / (1 + np.exp(-sharpness * _logits(0.3).numpy()))
    x = (weights * X_PX.numpy()).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
    y = (weights * Y_PX.numpy()[:, None]).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
    np.testing.assert_allclose(found.numpy(), np.stack([x, y], axis=1))


def test_one_hot_cell_is_the_centroid() -> None:
    logits = torch.full((1, 3, 4), -2.0)
    logits[0, 2, 1] = 2.0
    assert soft_centroid(logits, X_PX, Y_PX)[0].tolist() == pytest.approx([31.0, 32.0], abs=1e-4)


def test_centroid_of_a_map_that_underflows_is_finite_and_has_a_gradient() -> None:
    logits = torch.full((1, 3, 4), -90.0)
    logits[0, 0, 3] = -80.0
    logits.requires_grad_()
    centroid = soft_centroid(logits, X_PX, Y_PX)
    assert centroid[0].tolist() == pytest.approx([63.0, 0.0], abs=1e-4)
    centroid.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ('excess', 't', 'penalty'),
    [
        (-40.0, 50.0, -math.log(40) / 50),
        (-1.0, 5.0, 0.0),
        (-0.5, 5.0, math.log(2) / 5),
        (-1 / 25, 5.0, math.log(25) / 5),
        (0.0, 5.0, math.log(25) / 5 + 0.2),
        (3.0, 5.0, 15 + math.log(25) / 5 + 0.2),
        (1.0, 50.0, 50 + math.log(2500) / 50 + 0.02),
    ],
)
def test_log_barrier_by_hand(excess: float, t: float, penalty: float) -> None:
    found = log_barrier_extension(torch.tensor(excess, dtype=torch.float64), t)
    assert found.item() == pytest.approx(penalty, abs=1e-12)


@pytest.mark.parametrize('t', [1.0, 5.0, 50.0])
def test_log_barrier_has_neither_a_step_nor_a_kink(t: float) -> None:
    knee = -1 / t**2
    excess = torch.tensor([knee * (1 + 1e-7), knee * (1 - 1e-7)], dtype=torch.float64, requires_grad=True)
    penalty = log_barrier_extension(excess, t)
    (slope,) = torch.autograd.grad(penalty.sum(), excess)
    assert penalty[0].item() == pytest.approx(penalty[1].item(), abs=1e-6)
    assert slope.tolist() == pytest.approx([t, t], rel=1e-6)


@pytest.mark.parametrize(('kind', 'margin_px'), [('l2', 40.0), ('log_barrier', 40.0), ('log_barrier', 2.0)])
def test_gradient_of_the_whole_constraint_is_the_numerical_one(kind: str, margin_px: float) -> None:
    target = torch.tensor([[20.0, 9.0], [60.0, 30.0]], dtype=torch.float64)

    def constraint(logits: Tensor) -> Tensor:
        offsets = soft_centroid(logits, X_PX.double(), Y_PX.double(), 3.0) - target
        return centroid_penalty(torch.linalg.vector_norm(offsets, dim=1), kind, margin_px=margin_px, t=5.0)

    distances = torch.linalg.vector_norm(soft_centroid(_logits(), X_PX.double(), Y_PX.double(), 3.0) - target, dim=1)
    assert (distances < 40).all()
    assert (distances > 2).all()
    assert torch.autograd.gradcheck(constraint, (_logits().requires_grad_(),))


def test_l2_is_the_distance_itself() -> None:
    distances = torch.tensor([0.0, 12.5, 300.0])
    assert centroid_penalty(distances, 'l2') is distances


def test_within_the_margin_the_log_barrier_costs_next_to_nothing_and_beyond_it_t_a_pixel() -> None:
    distances = torch.tensor([0.0, 20.0, 39.0, 45.0, 46.0], dtype=torch.float64)
    penalties = centroid_penalty(distances, 'log_barrier')
    assert penalties[:3].abs().max() < 0.1
    assert (penalties[4] - penalties[3]).item() == pytest.approx(50)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown constraint 'lp'; known are l2, log_barrier"):
        centroid_penalty(torch.zeros(1), 'lp')  # type: ignore[arg-type]
