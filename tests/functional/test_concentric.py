"""The concentric loss, against loops over cells and hand computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mitouts.functional.concentric import concentric_loss, concentric_target
from mitouts.functional.segmentation import IGNORE_INDEX

X_PX, Y_PX = 7.0 + 8 * torch.arange(9), 7.0 + 8 * torch.arange(6)


def _target(points: list[tuple[float, float]], inner_px: float = 12.0, outer_px: float = 24.0) -> Tensor:
    figures = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    return concentric_target(figures, X_PX, Y_PX, inner_px=inner_px, outer_px=outer_px)


def _by_loops(
    points: list[tuple[float, float]], x_px: list[float], y_px: list[float], inner_px: float, outer_px: float
) -> list[list[int]]:
    labels = []
    for y in y_px:
        row = []
        for x in x_px:
            distance_px = min((math.dist(point, (x, y)) for point in points), default=math.inf)
            row.append(1 if distance_px <= inner_px else IGNORE_INDEX if distance_px <= outer_px else 0)
        labels.append(row)
    for point in points:
        cells = [(math.dist(point, (x, y)), i, j) for i, y in enumerate(y_px) for j, x in enumerate(x_px)]
        _, i, j = min(cells)
        labels[i][j] = 1
    return labels


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    points=st.lists(st.tuples(*[st.integers(-16, 400).map(lambda value: value / 4)] * 2), max_size=4),
    stride=st.sampled_from([4, 8, 16, 32]),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    radii=st.tuples(st.integers(0, 20), st.integers(0, 30)).map(sorted),
)
def test_target_is_that_of_a_loop_over_cells(
    points: list[tuple[float, float]], stride: int, shape: tuple[int, int], radii: list[int]
) -> None:
    y_px, x_px = ([stride * index + stride - 1.0 for index in range(length)] for length in shape)
    inner_px, outer_px = map(float, radii)
    found = concentric_target(
        torch.tensor(points).reshape(-1, 2),
        torch.tensor(x_px),
        torch.tensor(y_px),
        inner_px=inner_px,
        outer_px=outer_px,
    )
    assert found.tolist() == _by_loops(points, x_px, y_px, inner_px, outer_px)


def test_both_radii_are_inclusive() -> None:
    row = _target([(39.0, 23.0)], inner_px=8.0, outer_px=24.0)[2].tolist()
    # The centres lie 32, 24, 16, 8 and 0 px from the figure.
    assert row == [0, IGNORE_INDEX, IGNORE_INDEX, 1, 1, 1, IGNORE_INDEX, IGNORE_INDEX, 0]
    row = _target([(39.0, 23.0)], inner_px=7.99, outer_px=23.99)[2].tolist()
    assert row == [0, 0, IGNORE_INDEX, IGNORE_INDEX, 1, IGNORE_INDEX, IGNORE_INDEX, 0, 0]


def test_a_figure_between_the_cells_takes_the_nearest() -> None:
    target = _target([(18.0, 12.0)], inner_px=1.0, outer_px=1.0)
    assert torch.nonzero(target).tolist() == [[1, 1]]
    assert target[1, 1] == 1


def test_a_figure_in_the_ring_of_another_is_a_figure() -> None:
    target = _target([(23.0, 23.0), (39.0, 23.0)], inner_px=4.0, outer_px=20.0)
    assert target[2, :7].tolist() == [IGNORE_INDEX, IGNORE_INDEX, 1, IGNORE_INDEX, 1, IGNORE_INDEX, IGNORE_INDEX]


def test_an_image_without_figures_is_background() -> None:
    assert _target([]).tolist() == [[0] * 9] * 6


def test_circles_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r'0 <= inner_px <= outer_px, found 12\.0 and 8\.0'):
        _target([], inner_px=12.0, outer_px=8.0)


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(3, 6, 9, generator=generator, dtype=torch.float64)
    return logits, torch.stack([_target([(30.0, 20.0)]), _target([]), _target([(5.0, 5.0), (60.0, 33.0)])])


def _loss_by_loops(
    logits: Tensor, target: Tensor, weights: list[float], inner_weight: float, outer_weight: float
) -> float:
    total = {0: 0.0, 1: 0.0}
    count = {0: 0.0, 1: 0.0}
    for index, cell in np.ndenumerate(target.numpy()):
        if cell != IGNORE_INDEX:
            score = 1 / (1 + math.exp(-logits[index].item()))
            total[int(cell)] -= weights[index[0]] * math.log(score if cell else 1 - score)
            count[int(cell)] += weights[index[0]]
    return sum(
        factor * total[kind] / count[kind] for kind, factor in ((1, inner_weight), (0, outer_weight)) if count[kind]
    )


@pytest.mark.parametrize('weights', [[1.0, 1.0, 1.0], [0.5, 0.25, 1.0], [0.0, 1.0, 0.3], [0.0, 1.0, 0.0]])
@pytest.mark.parametrize('factors', [(1.0, 1.0), (2.0, 20.0)])
def test_loss_is_that_of_a_loop_over_cells(weights: list[float], factors: tuple[float, float]) -> None:
    logits, target = _batch()
    found = concentric_loss(logits, target, torch.tensor(weights), inner_weight=factors[0], outer_weight=factors[1])
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(_loss_by_loops(logits, target, weights, *factors), rel=1e-5)


def test_gradient_is_of_inner_and_outer_cells_alone() -> None:
    logits, target = _batch()
    logits.requires_grad_()
    concentric_loss(logits, target, torch.ones(3)).backward()
    assert logits.grad is not None
    assert (logits.grad[target == 1] < 0).all()
    assert (logits.grad[target == 0] > 0).all()
    assert (logits.grad[target == IGNORE_INDEX] == 0).all()


def test_a_batch_that_counts_for_nothing_is_0_with_a_graph() -> None:
    logits, target = _batch()
    logits.requires_grad_()
    loss = concentric_loss(logits, target, torch.zeros(3))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_confident_and_wrong_is_finite_in_half_precision() -> None:
    logits = torch.full((1, 6, 9), 200.0, dtype=torch.float16, requires_grad=True)
    loss = concentric_loss(logits, _target([])[None], torch.ones(1))
    loss.backward()
    assert loss.item() == pytest.approx(200)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
