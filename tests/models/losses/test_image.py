"""The image-level loss."""

from __future__ import annotations

import math

import pytest
import torch

from mitouts.models.losses import ImageBCELoss


def test_loss_of_two_images_by_hand() -> None:
    loss = ImageBCELoss()(torch.tensor([0.0, 2.0]), torch.tensor([1, 0]))
    assert loss.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(2))) / 2)


def test_confident_and_wrong_is_finite() -> None:
    logits = torch.tensor([-80.0, 80.0], requires_grad=True)
    loss = ImageBCELoss()(logits, torch.tensor([1, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(80)
    assert logits.grad is not None
    assert logits.grad.tolist() == pytest.approx([-0.5, 0.5])


def test_weighted_mean_by_hand() -> None:
    logits, labels = torch.tensor([0.0, 2.0, 5.0]), torch.tensor([1, 0, 1])
    loss = ImageBCELoss()(logits, labels, torch.tensor([1.0, 0.25, 0.0]))
    assert loss.item() == pytest.approx((math.log(2) + 0.25 * math.log(1 + math.exp(2))) / 1.25)


def test_weight_0_is_as_if_the_sample_were_left_out() -> None:
    logits, labels = torch.tensor([0.3, -1.5, 4.0]), torch.tensor([1, 1, 0])
    all_three, two = logits.clone().requires_grad_(), logits[:2].clone().requires_grad_()
    with_it = ImageBCELoss()(all_three, labels, torch.tensor([1.0, 0.4, 0.0]))
    without = ImageBCELoss()(two, labels[:2], torch.tensor([1.0, 0.4]))
    assert torch.equal(with_it, without)
    with_it.backward()
    without.backward()
    assert all_three.grad is not None
    assert two.grad is not None
    assert torch.equal(all_three.grad[:2], two.grad)
    assert all_three.grad[2] == 0


def test_a_batch_that_counts_for_nothing_is_0_and_can_be_sent_backwards() -> None:
    logits = torch.tensor([3.0, -3.0], requires_grad=True)
    loss = ImageBCELoss()(logits, torch.tensor([0, 1]), torch.zeros(2))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.tolist() == [0, 0]
