"""The location constraint as a loss: which images take part, and where their cells lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.models.heads.base import HeadOutput
from mitouts.models.losses import CentroidConstraintLoss
from mitouts.structures import PointSample

GEOMETRY = FeatureGeometry(stride=16, center_offset_px=15.0)
SIZE_PX = (64, 96)
ALONE = [(31.0, 20.0)]


def _sample(points: list[tuple[float, float]], label: int | None = None) -> PointSample:
    sample = PointSample()
    sample.gt_points = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    sample.gt_label = int(bool(points)) if label is None else label
    return sample


def _peaks(*cells: tuple[int, int]) -> Tensor:
    """A map of 4 x 6 cells an image, with one certain cell ``(column, row)`` each."""
    logits = torch.full((len(cells), 4, 6), -5.0)
    for index, (column, row) in enumerate(cells):
        logits[index, row, column] = 5.0
    return logits


def _loss(
    logits: Tensor,
    samples: list[PointSample],
    *,
    weights: list[float] | None = None,
    geometry: FeatureGeometry = GEOMETRY,
    **arguments: Any,
) -> Tensor:
    output = HeadOutput(logits.amax(dim=(1, 2)), torch.sigmoid(logits), logits)
    counts = torch.ones(len(samples)) if weights is None else torch.tensor(weights)
    loss = CentroidConstraintLoss(**{'weight': 1.0, **arguments})
    return loss(output, samples, weights=counts, geometry=geometry, size_px=SIZE_PX)


def test_distance_is_in_input_pixels_by_the_backbones_geometry() -> None:
    # The cell (2, 1) lies at (47, 31), 16 px right of and 11 px below the figure.
    loss = _loss(_peaks((2, 1)), [_sample(ALONE)])
    assert loss.item() == pytest.approx(np.hypot(16, 11), rel=1e-5)


def test_cells_of_a_stretched_map_lie_between_the_corners() -> None:
    loss = _loss(_peaks((2, 1)), [_sample(ALONE)], geometry=AlignCornersGeometry(16, 15.0))
    assert loss.item() == pytest.approx(np.hypot(2 * 95 / 5 - 31, 63 / 3 - 20), rel=1e-5)


def test_an_upsampled_map_has_a_cell_on_every_pixel() -> None:
    logits = torch.full((1, *SIZE_PX), -5.0)
    logits[0, 41, 77] = 5.0
    loss = _loss(logits, [_sample(ALONE)], geometry=AlignCornersGeometry(16, 15.0))
    assert loss.item() == pytest.approx(np.hypot(77 - 31, 41 - 20), rel=1e-5)


@pytest.mark.parametrize(
    'other',
    [_sample([]), _sample([], label=1), _sample([(3.0, 3.0), (50.0, 50.0)]), _sample([(3.0, 3.0)], label=0)],
    ids=['negative', 'no point', 'two figures', 'relabelled negative'],
)
def test_images_without_exactly_one_annotated_figure_take_no_part(other: PointSample) -> None:
    logits = _peaks((2, 1), (5, 3)).requires_grad_()
    loss = _loss(logits, [_sample(ALONE), other])
    torch.testing.assert_close(loss, _loss(_peaks((2, 1)), [_sample(ALONE)]))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().max() > 0
    assert logits.grad[1].abs().max() == 0


def test_a_batch_without_such_an_image_is_0_with_a_graph() -> None:
    logits = _peaks((2, 1)).requires_grad_()
    loss = _loss(logits, [_sample([])])
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_loss_is_the_weighted_mean_over_the_images() -> None:
    logits, samples = _peaks((2, 1), (0, 0)), [_sample(ALONE), _sample([(15.0, 45.0)])]
    first, second = np.hypot(16, 11), 30.0
    assert _loss(logits, samples).item() == pytest.approx((first + second) / 2, rel=1e-5)
    assert _loss(logits, samples, weights=[0.5, 0.25]).item() == pytest.approx((2 * first + second) / 3, rel=1e-5)
    assert _loss(logits, samples, weights=[0.0, 1.0]).item() == pytest.approx(second, rel=1e-5)
    assert _loss(logits, samples, weight=0.01).item() == pytest.approx((first + second) / 200, rel=1e-5)


def test_log_barrier_forgives_the_margin() -> None:
    near = _loss(_peaks((2, 1)), [_sample(ALONE)], kind='log_barrier')
    assert near.item() == pytest.approx(-np.log(40 - np.hypot(16, 11)) / 50, rel=1e-4)
    tight = _loss(_peaks((2, 1)), [_sample(ALONE)], kind='log_barrier', margin_px=10.0, t=5.0)
    assert tight.item() == pytest.approx(5 * (np.hypot(16, 11) - 10) + np.log(25) / 5 + 0.2, rel=1e-4)


def test_a_centroid_on_the_figure_has_no_gradient_that_is_not_a_number() -> None:
    logits = torch.zeros(1, 4, 6, requires_grad=True)
    loss = _loss(logits, [_sample([(15 + 16 * 2.5, 15 + 16 * 1.5)])])
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-4)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_descent_moves_the_centroid_to_the_figure() -> None:
    logits = torch.zeros(1, 4, 6, requires_grad=True)
    sample = [_sample([(79.0, 31.0)])]
    before = _loss(logits, sample).item()
    optimizer = torch.optim.SGD([logits], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        _loss(logits, sample).backward()
        optimizer.step()
    assert _loss(logits, sample).item() < 0.2 * before


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'kind': 'lp'}, r"kind must be one of \('l2', 'log_barrier'\), found 'lp'"),
        ({'weight': -0.01}, 'weight and margin_px must not be negative, found -0.01 and 40.0'),
        ({'margin_px': float('nan')}, 'weight and margin_px must not be negative'),
        ({'sharpness': 0.0}, 'sharpness and t must be above 0, found 0.0 and 50.0'),
        ({'t': -1.0}, 'sharpness and t must be above 0'),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CentroidConstraintLoss(**arguments)
