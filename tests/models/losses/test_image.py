"""The image-level loss."""

from __future__ import annotations

import math

import pytest
import torch

from mitouts.errors import ConfigError
from mitouts.models.losses import ImageBCELoss


def test_loss_of_two_images_by_hand() -> None:
    loss = ImageBCELoss()(torch.tensor([0.0, 2.0]), torch.tensor([1, 0]))
    assert loss.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(2))) / 2)


def test_smoothing_moves_both_targets_towards_a_half() -> None:
    logit, smoothing = 1.5, 0.2
    score = 1 / (1 + math.exp(-logit))
    smoothed = ImageBCELoss(label_smoothing=smoothing)
    positive = -0.9 * math.log(score) - 0.1 * math.log(1 - score)
    negative = -0.1 * math.log(score) - 0.9 * math.log(1 - score)
    assert smoothed(torch.tensor([logit]), torch.tensor([1])).item() == pytest.approx(positive)
    assert smoothed(torch.tensor([logit]), torch.tensor([0])).item() == pytest.approx(negative)


def test_confident_and_wrong_is_finite() -> None:
    logits = torch.tensor([-80.0, 80.0], requires_grad=True)
    loss = ImageBCELoss()(logits, torch.tensor([1, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(80)
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([-0.5, 0.5])


@pytest.mark.parametrize('smoothing', [-0.1, 1.0, float('nan')])
def test_smoothing_out_of_range_is_refused(smoothing: float) -> None:
    with pytest.raises(ConfigError, match=r'loss\.label_smoothing must be in \[0, 1\)'):
        ImageBCELoss(label_smoothing=smoothing)
