"""Cross entropy of the highest positions of negative images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.models.heads.base import HeadOutput
from mitouts.models.losses import NegativeInstanceLoss
from mitouts.registry import MODELS
from mitouts.structures import PointSample

GEOMETRY = FeatureGeometry(stride=16, center_offset_px=15.0)


def _loss(logits: Tensor, labels: list[int], *, weights: list[float] | None = None, **arguments: Any) -> Tensor:
    samples = []
    for label in labels:
        sample = PointSample()
        sample.gt_points, sample.gt_label = torch.zeros((0, 2)), label
        samples.append(sample)
    output = HeadOutput(logits.amax(dim=(1, 2)), torch.sigmoid(logits), logits)
    counts = torch.ones(len(labels)) if weights is None else torch.tensor(weights)
    return NegativeInstanceLoss(**arguments)(output, samples, weights=counts, geometry=GEOMETRY, size_px=(64, 96))


def _by_hand(logits: NDArray[np.float64], k: int) -> float:
    highest = np.sort(logits.ravel())[::-1][:k]
    return float(log_loss(np.zeros(len(highest)), 1 / (1 + np.exp(-highest)), labels=[0, 1]))


@pytest.mark.parametrize('k', [1, 5, 24, 100])
def test_it_is_the_cross_entropy_of_the_k_highest_positions(k: int) -> None:
    logits = torch.randn((3, 4, 6), generator=torch.Generator().manual_seed(0))
    expected = np.mean([_by_hand(logits[index].double().numpy(), k) for index in (0, 2)])
    assert _loss(logits, [0, 1, 0], k=k).item() == pytest.approx(expected, rel=1e-5)
    assert _loss(logits, [0, 1, 0], k=k, weight=0.5).item() == pytest.approx(expected / 2, rel=1e-5)


def test_images_count_by_their_weights() -> None:
    logits = torch.randn((2, 4, 6), generator=torch.Generator().manual_seed(1))
    each = [_by_hand(logits[index].double().numpy(), 16) for index in (0, 1)]
    assert _loss(logits, [0, 0], weights=[1.0, 0.25]).item() == pytest.approx((each[0] + each[1] / 4) / 1.25, rel=1e-5)


def test_only_the_highest_positions_of_negatives_are_pushed_down() -> None:
    logits = torch.randn((2, 4, 6), generator=torch.Generator().manual_seed(2)).requires_grad_()
    _loss(logits, [0, 1], k=3).backward()
    assert logits.grad is not None
    pushed = logits.grad[0].flatten().nonzero().flatten().tolist()
    assert sorted(pushed) == sorted(logits[0].flatten().topk(3).indices.tolist())
    assert bool((logits.grad[0] >= 0).all())
    assert not logits.grad[1].any()


def test_a_batch_without_negatives_has_no_loss_but_a_graph() -> None:
    logits = torch.zeros((1, 4, 6)).requires_grad_()
    loss = _loss(logits, [1])
    loss.backward()
    assert loss.item() == 0


@pytest.mark.parametrize('arguments', [{'k': 0}, {'weight': -1.0}], ids=str)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match='NegativeInstanceLoss'):
        MODELS.build(dict(type='NegativeInstanceLoss', **arguments))
