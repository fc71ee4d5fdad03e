"""The concentric loss of a batch: which points are figures, which images take part, and where the cells lie."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from mitouts.errors import ConfigError
from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.models.heads.base import HeadOutput
from mitouts.models.losses import ConcentricLoss
from mitouts.registry import MODELS
from mitouts.structures import PointSample

GEOMETRY = FeatureGeometry(stride=8, center_offset_px=7.0)
SIZE_PX = (48, 72)


def _sample(points: list[tuple[float, float]], label: int | None = None) -> PointSample:
    sample = PointSample()
    sample.gt_points = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    sample.gt_label = int(bool(points)) if label is None else label
    return sample


def _logits(images: int = 1) -> Tensor:
    return torch.randn(images, 6, 9, generator=torch.Generator().manual_seed(0))


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
    loss = MODELS.build({'type': 'ConcentricLoss', **arguments})
    return loss(output, samples, weights=counts, geometry=geometry, size_px=SIZE_PX)


def _expected(logits: Tensor, positive: list[tuple[int, int]], ignored: list[tuple[int, int]]) -> Tensor:
    """Of one image, from its inner and its left-out cells ``(row, column)``."""
    inner = torch.stack([softplus(-logits[0, row, column]) for row, column in positive])
    is_outer = torch.ones(logits.shape[1:], dtype=torch.bool)
    for row, column in [*positive, *ignored]:
        is_outer[row, column] = False
    return inner.mean() + softplus(logits[0][is_outer]).mean()


def test_cells_lie_where_the_geometry_says() -> None:
    # The centres around (23, 15), which is the cell (row 1, column 2), are 8 px apart.
    cross = [(0, 2), (2, 2), (1, 1), (1, 3)]
    loss = _loss(_logits(), [_sample([(23.0, 15.0)])], inner_px=4.0, outer_px=8.0)
    torch.testing.assert_close(loss, _expected(_logits(), [(1, 2)], cross))
    loss = _loss(_logits(), [_sample([(23.0, 15.0)])], inner_px=8.0, outer_px=11.0)
    torch.testing.assert_close(loss, _expected(_logits(), [(1, 2), *cross], []))


def test_cells_of_a_stretched_map_lie_between_the_corners() -> None:
    # 71 px and 47 px are the last cells' centres.
    loss = _loss(
        _logits(), [_sample([(71.0, 47.0)])], inner_px=1.0, outer_px=8.9, geometry=AlignCornersGeometry(8, 7.0)
    )
    torch.testing.assert_close(loss, _expected(_logits(), [(5, 8)], [(5, 7)]))


def test_a_negative_image_has_no_figures_whatever_is_annotated() -> None:
    logits = _logits(2)
    corrected = _loss(logits, [_sample([(23.0, 15.0)]), _sample([(40.0, 20.0)], label=0)])
    torch.testing.assert_close(corrected, _loss(logits, [_sample([(23.0, 15.0)]), _sample([])]))


def test_a_positive_image_without_points_takes_no_part() -> None:
    logits = _logits(2).requires_grad_()
    loss = _loss(logits, [_sample([(23.0, 15.0)]), _sample([], label=1)])
    torch.testing.assert_close(loss, _loss(_logits(2)[:1], [_sample([(23.0, 15.0)])]))
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[1] == 0).all()


def test_an_image_of_weight_0_might_as_well_not_be_there() -> None:
    samples = [_sample([(23.0, 15.0)]), _sample([(60.0, 40.0)])]
    alone = _loss(_logits(2)[:1], samples[:1])
    torch.testing.assert_close(_loss(_logits(2), samples, weights=[0.7, 0.0]), alone)
    assert _loss(_logits(2), samples).item() != pytest.approx(alone.item())


def test_terms_are_weighted() -> None:
    samples = [_sample([(23.0, 15.0)])]
    plain = _loss(_logits(), samples)
    inner = _loss(_logits(), samples, inner_weight=2.0) - plain
    outer = _loss(_logits(), samples, outer_weight=2.0) - plain
    assert inner.item() != pytest.approx(outer.item())
    both = _loss(_logits(), samples, inner_weight=3.0, outer_weight=20.0)
    torch.testing.assert_close(both, 3 * inner + 20 * outer)


def test_descent_finds_the_figure_and_nothing_else() -> None:
    logits = torch.zeros(2, 6, 9, requires_grad=True)
    samples = [_sample([(47.0, 31.0)]), _sample([])]
    optimizer = torch.optim.Adam([logits], lr=0.2)
    for _ in range(60):
        optimizer.zero_grad()
        _loss(logits, samples).backward()
        optimizer.step()
    assert _loss(logits, samples).item() < 0.05 * 2 * math.log(2)
    found = torch.zeros(6, 9, dtype=torch.bool)
    found[2:5, 4:7] = True
    assert torch.equal(logits[0] > 0, found)
    # The ring stays as it was: 29 cells lie within 24 px, less those within 12 px and the one outside the image.
    assert (logits[0] == 0).sum() == 29 - 9 - 1
    assert logits[1].max() < -3


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'inner_px': 0.0}, '0 < inner_px <= outer_px, found 0.0 and 24.0'),
        ({'inner_px': 25.0}, '0 < inner_px <= outer_px, found 25.0 and 24.0'),
        ({'outer_px': float('nan')}, '0 < inner_px <= outer_px'),
        ({'inner_weight': 0.0}, 'weights must be above 0, found 0.0 and 1.0'),
        ({'outer_weight': float('inf')}, 'weights must be above 0, found 1.0 and inf'),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ConcentricLoss(**arguments)
