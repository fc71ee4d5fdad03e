"""Equations (1) to (5) of Fernandez-Martin et al. 2024, each pinned to a case that is computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mitouts.functional.centroid_constraint import centroid_penalty, soft_centroid
from mitouts.functional.distillation import judge_sample, least_distance_px
from mitouts.functional.points import mask_components
from mitouts.models.losses import ImageBCELoss


def test_eq_1_cross_entropy_has_the_minus_sign_that_print_lacks() -> None:
    # H = sigmoid(log 3) = 3/4. As printed, Y log H + (1 - Y) log(1 - H) is log(3/4) < 0 for Y = 1: minimizing that
    # would drive H to 0.
    logit = torch.tensor([math.log(3)], requires_grad=True)
    positive = ImageBCELoss()(logit, torch.tensor([1]))
    negative = ImageBCELoss()(logit, torch.tensor([0]))
    assert positive.item() == pytest.approx(math.log(4 / 3))
    assert negative.item() == pytest.approx(math.log(4))
    (slope,) = torch.autograd.grad(positive, logit)
    # d(-log H) / d logit = H - 1: descent raises the score of a positive image.
    assert slope.item() == pytest.approx(-1 / 4)


def test_eq_2_centroid_is_weighted_by_the_scores_of_each_object() -> None:
    scores = np.zeros((6, 9), dtype=np.float32)
    # One object: (1, 2), (2, 2) and (1, 3) with weights 1/2, 1 and 1/2; another: a single pixel at (7, 0).
    scores[2, 1], scores[2, 2], scores[3, 1], scores[0, 7] = 0.5, 1.0, 0.5, 0.75
    points = mask_components(scores, 0.25, centroid='score_weighted')
    x = (0.5 * 1 + 1.0 * 2 + 0.5 * 1) / 2
    y = (0.5 * 2 + 1.0 * 2 + 0.5 * 3) / 2
    np.testing.assert_allclose(points, [[x, y, 1.0], [7, 0, 0.75]])
    # The first pixel is at (0, 0), as in the paper.
    np.testing.assert_allclose(mask_components(np.eye(1, dtype=np.float32), 0.5), [[0, 0, 1]])


def test_eq_2_soft_centroid_over_the_whole_map() -> None:
    # sigmoid(log 3) = 3/4 and sigmoid(-log 3) = 1/4: weights 3, 1, 1, 1 at (0, 0), (16, 0), (0, 16), (16, 16).
    logits = math.log(3) * torch.tensor([[[1.0, -1.0], [-1.0, -1.0]]], dtype=torch.float64)
    places = torch.tensor([0.0, 16.0], dtype=torch.float64)
    assert soft_centroid(logits, places, places, sharpness=1.0)[0].tolist() == pytest.approx([2 * 16 / 6, 2 * 16 / 6])
    # The authors' code sharpens: sigmoid(10 log 3) = 3^10 / (3^10 + 1), and 1 / (3^10 + 1) elsewhere.
    share = 1 / (3**10 + 3)
    found = soft_centroid(logits, places, places, sharpness=10.0)[0].tolist()
    assert found == pytest.approx([2 * 16 * share, 2 * 16 * share])


def test_eq_3_constraint_is_the_distance_of_the_centroids_times_its_weight() -> None:
    predicted, annotated = torch.tensor([[103.0, 204.0]]), torch.tensor([[100.0, 200.0]])
    distance_px = torch.linalg.vector_norm(predicted - annotated, dim=1)
    cross_entropy = ImageBCELoss()(torch.tensor([0.0]), torch.tensor([1]))
    total = cross_entropy + 0.01 * centroid_penalty(distance_px, 'l2').mean()
    assert total.item() == pytest.approx(math.log(2) + 0.01 * 5)


def test_eq_4_distance_is_the_least_of_all_pairs() -> None:
    predicted, annotated = [[0.0, 0.0], [60.0, 80.0]], [[30.0, 40.0], [60.0, 92.0], [300.0, 0.0]]
    # The pairs are 50, 109.8..., 300 and 50, 12, 252.9... px apart.
    assert least_distance_px(predicted, annotated, diagonal_px=500.0) == 12


@pytest.mark.parametrize(
    ('distance_px', 'kept', 'kept_by_the_strict_equation'),
    [(np.nextafter(30.0, 0.0), True, True), (30.0, True, False), (np.nextafter(30.0, 31.0), False, False)],
    ids=['just below tau', 'exactly tau', 'just above tau'],
)
def test_eq_5_radius_is_inclusive_where_the_equation_is_strict(
    distance_px: float, kept: bool, kept_by_the_strict_equation: bool
) -> None:
    # The paper's metric counts a detection that is at most 30 px away, its Eq. (5) asks for less than tau = 30 px.
    # Both are inclusive here, so that what is a hit is a hit everywhere; they differ at exactly tau alone.
    verdict = judge_sample(
        [[distance_px, 0.0], [400.0, 400.0]],
        [[0.0, 0.0]],
        label=1,
        predicted_label=1,
        radius_px=30.0,
        diagonal_px=707.0,
    )
    assert (verdict.distance_px < 30.0) is kept_by_the_strict_equation
    assert verdict.keep is kept


def test_eq_5_keeps_a_positive_for_one_near_prediction_and_every_negative() -> None:
    figures, near, far = [[50.0, 50.0], [200.0, 200.0]], [60.0, 50.0], [400.0, 10.0]
    common = dict(predicted_label=1, radius_px=30.0, diagonal_px=707.0)
    assert judge_sample([far, near], figures, label=1, **common).keep
    assert not judge_sample([far], figures, label=1, **common).keep
    assert judge_sample([far], [], label=0, **common).keep
