"""The segmentation head: it learns from its map losses alone and scores an image by its map."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.registry import MODELS
from mitouts.structures import PointSample

CHANNELS = 6
GEOMETRY = FeatureGeometry(stride=8, center_offset_px=7.0)
SIZE_PX = (40, 32)


def _head(**arguments: Any) -> Any:
    torch.manual_seed(0)
    head = MODELS.build(
        {
            'type': 'SegmentationHead',
            'in_channels': CHANNELS,
            'extra_losses': [{'type': 'ConcentricLoss'}],
            **arguments,
        }
    )
    head.init_weights()
    return head


def _features() -> Tensor:
    return torch.randn(2, CHANNELS, 5, 4, generator=torch.Generator().manual_seed(0)).relu()


def _samples(weights: tuple[float, float] | None = None) -> list[PointSample]:
    """A positive image with a figure at (15, 23), and a negative one."""
    samples = [PointSample(), PointSample()]
    for index, sample in enumerate(samples):
        sample.gt_label = 1 - index
        sample.gt_points = torch.tensor([[15.0, 23.0]])[: 1 - index]
        if weights is not None:
            sample.gt_weight = weights[index]
    return samples


def test_there_is_no_loss_on_the_image_score() -> None:
    head = _head()
    losses = head.loss(_features(), _samples(), GEOMETRY, SIZE_PX)
    assert set(losses) == {'loss_concentric'}
    output = head(_features(), SIZE_PX)
    direct = head.extra_losses[0](output, _samples(), weights=torch.ones(2), geometry=GEOMETRY, size_px=SIZE_PX)
    torch.testing.assert_close(losses['loss_concentric'], direct)


def test_weights_of_the_samples_reach_the_loss() -> None:
    head = _head()
    alone = head.loss(_features()[:1], _samples()[:1], GEOMETRY, SIZE_PX)
    weighted = head.loss(_features(), _samples((0.3, 0.0)), GEOMETRY, SIZE_PX)
    torch.testing.assert_close(weighted, alone)


def test_image_score_is_the_maximum_of_the_map() -> None:
    output = _head().eval()(_features())
    torch.testing.assert_close(torch.sigmoid(output.image_logit), output.score_map.amax(dim=(1, 2)))


def test_another_aggregator_scores_the_image() -> None:
    output = _head(aggregator={'type': 'MeanAggregator', 'domain': 'logit'}).eval()(_features())
    assert output.map_logit is not None
    torch.testing.assert_close(output.image_logit, output.map_logit.mean(dim=(1, 2)))


@pytest.mark.parametrize('prior', [0.01, 0.2])
def test_an_untrained_map_gives_the_prior(prior: float) -> None:
    score_map = _head(prior=prior).eval()(_features()).score_map
    torch.testing.assert_close(score_map, torch.full_like(score_map, prior), rtol=0.1, atol=0)


def test_descent_learns_to_find_the_figure() -> None:
    head = _head()
    features = _features()
    features[:, 0] = 0
    features[0, 0, 2, 1] = 5.0
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    before = head.loss(features, _samples(), GEOMETRY, SIZE_PX)['loss_concentric'].item()
    for _ in range(200):
        optimizer.zero_grad()
        loss = head.loss(features, _samples(), GEOMETRY, SIZE_PX)['loss_concentric']
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * before
    score_map = head.eval()(features).score_map
    assert divmod(int(score_map[0].argmax()), 4) == (2, 1)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'extra_losses': []}, r'head\.extra_losses is empty: nothing would be learned'),
        ({'prior': 0.0}, r'head\.prior must lie between 0 and 1, found 0\.0'),
        ({'prior': 1.0}, r'head\.prior must lie between 0 and 1'),
        ({'aggregator': {'type': 'AttentionAggregator', 'domain': 'logit'}}, 'AttentionAggregator is its attention'),
        ({'aggregator': {'type': 'MaxAggregator', 'domain': 'feature'}}, r'set head\.aggregator\.domain to'),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _head(**arguments)
