"""What every head promises to a localizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from outside import names_in
from torch import Tensor

from mitouts.functional.geometry import FeatureGeometry
from mitouts.models.heads import EmbeddingHead
from mitouts.models.heads.base import LocalizationHead
from mitouts.registry import MODELS
from mitouts.structures import PointSample

CHANNELS = 6
SIZE_PX = (80, 64)
GEOMETRY = FeatureGeometry(stride=16, center_offset_px=15.0, receptive_radius_px=73.0)
ARGUMENTS: dict[str, dict[str, Any]] = {'SegmentationHead': dict(extra_losses=[dict(type='ConcentricLoss')])}
NAMES = names_in(MODELS, LocalizationHead, 'DeepHead')


def build(name: str) -> Any:
    """A head with the first aggregator that suits it."""
    torch.manual_seed(0)
    domain = 'feature' if issubclass(MODELS.require(name), EmbeddingHead) else 'logit'
    aggregator = dict(type='MaxAggregator', domain=domain)
    head = MODELS.build({'type': name, 'in_channels': CHANNELS, 'aggregator': aggregator, **ARGUMENTS.get(name, {})})
    head.init_weights()
    return head


def features() -> Tensor:
    return torch.randn(3, CHANNELS, 5, 4, generator=torch.Generator().manual_seed(1))


def samples() -> list[PointSample]:
    """Three images, of which the second has a figure."""
    made = [PointSample() for _ in range(3)]
    for sample, label in zip(made, (0, 1, 0)):
        sample.gt_label = label
        sample.gt_points = torch.tensor([[20.0, 30.0]])[:label]
        sample.gt_counted = torch.ones(label, dtype=torch.bool)
        sample.gt_cut = torch.zeros(0, 2)
    return made


@pytest.mark.parametrize('name', NAMES)
def test_it_scores_each_image_by_itself_and_every_position(bring, name: str) -> None:
    bring(name)
    head = build(name).eval()
    output = head(features(), SIZE_PX)
    assert output.image_logit.shape == (3,)
    assert output.image_logit.dtype == output.score_map.dtype == torch.float32
    assert output.score_map.shape == (3, 5, 4)
    assert ((output.score_map >= 0) & (output.score_map <= 1)).all()
    if output.map_logit is not None:
        torch.testing.assert_close(torch.sigmoid(output.map_logit), output.score_map)
    again = head(features(), SIZE_PX)
    assert torch.equal(output.image_logit, again.image_logit)
    assert torch.equal(output.score_map, again.score_map)
    alone = head(features()[1:2], SIZE_PX)
    torch.testing.assert_close(alone.image_logit, output.image_logit[1:2])
    torch.testing.assert_close(alone.score_map, output.score_map[1:2])


@pytest.mark.parametrize('name', NAMES)
def test_its_losses_are_named_scalars_that_train_the_features(bring, name: str) -> None:
    bring(name)
    given = features().requires_grad_()
    losses = build(name).loss(given, samples(), GEOMETRY, SIZE_PX)
    assert losses
    assert all(key.startswith('loss_') for key in losses)
    assert all(value.shape == () and torch.isfinite(value) for value in losses.values())
    sum(losses.values()).backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0


@pytest.mark.parametrize('name', NAMES)
def test_an_image_that_weighs_nothing_has_no_part_in_the_losses(bring, name: str) -> None:
    bring(name)
    given, weighted = features().requires_grad_(), samples()
    for sample, weight in zip(weighted, (1.0, 0.5, 0.0)):
        sample.gt_weight = weight
    sum(build(name).loss(given, weighted, GEOMETRY, SIZE_PX).values()).backward()
    assert given.grad is not None
    assert given.grad[0].abs().sum() > 0
    assert not given.grad[2].any()


@pytest.mark.parametrize('name', NAMES)
def test_its_classifier_alone_makes_the_map(bring, name: str) -> None:
    """Slides are mapped by the classifier, tile by tile."""
    bring(name)
    head = build(name).eval()
    torch.testing.assert_close(torch.sigmoid(head.classifier(features()))[:, 0], head(features(), SIZE_PX).score_map)
