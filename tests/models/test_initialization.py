"""Every part of a model that initializes its weights is asked to, once, before a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn
from torch.nn import functional

from mitouts.models.aggregators import Aggregator, Pooled
from mitouts.models.heads.base import HeadOutput
from mitouts.models.losses import MapLoss
from mitouts.registry import AGGREGATORS, MODELS


class _Counted:
    """Has a parameter that is 0 until it is initialized, and one more each time."""

    def count(self) -> None:
        self.calls = nn.Parameter(torch.zeros(1))

    def init_weights(self) -> None:
        self.calls.data += 1


@AGGREGATORS.register_module(force=True)
class _CountedAggregator(_Counted, Aggregator):
    def __init__(self, domain: str | None = None) -> None:
        super().__init__(domain)
        self.count()

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(values.flatten(2).mean(2) * self.calls)


@AGGREGATORS.register_module(force=True)
class _ConfiguredAggregator(Aggregator):
    """Initialized the way of mmengine, by a config."""

    def prepare(self, feature_channels: int) -> None:
        self.layer = nn.Conv2d(feature_channels, 1, 1)
        self.init_cfg = dict(type='Constant', layer='Conv2d', val=0.25, bias=0.5)

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        return Pooled(values.flatten(2).mean(2))


@MODELS.register_module(force=True)
class _CountedImageLoss(_Counted, nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count()

    def forward(self, image_logit: Tensor, labels: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(image_logit * self.calls, labels.float())


@MODELS.register_module(force=True)
class _CountedMapLoss(_Counted, MapLoss):
    name: ClassVar[str] = 'loss_counted'

    def __init__(self) -> None:
        super().__init__()
        self.count()

    def forward(self, output: HeadOutput, data_samples: Any, **_: Any) -> Tensor:
        return output.score_map.mean() * self.calls


@MODELS.register_module(force=True)
class _CountedTissueLoss(_Counted, nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count()


def _localizer(aggregator: str) -> Any:
    head = {
        'type': 'InstanceHead',
        'aggregator': {'type': aggregator, 'domain': 'logit'},
        'loss': {'type': '_CountedImageLoss'},
        'extra_losses': [{'type': '_CountedMapLoss'}],
    }
    return MODELS.build({'type': 'WSSLocalizer', 'backbone': {'type': 'BlobFilter'}, 'head': head})


def test_aggregator_and_losses_of_a_localizer() -> None:
    model = _localizer('_CountedAggregator')
    model.init_weights()
    head = model.head
    parts = [head.aggregator, head.loss_function, *head.extra_losses]
    assert [part.calls.item() for part in parts] == [1.0, 1.0, 1.0]
    assert head.classifier.bias.item() == 0
    assert 0 < head.classifier.weight.abs().max() < 0.1


def test_a_part_that_is_initialized_by_a_config() -> None:
    model = _localizer('_ConfiguredAggregator')
    model.init_weights()
    assert model.head.aggregator.layer.weight.item() == 0.25
    assert model.head.aggregator.layer.bias.item() == 0.5


def test_the_loss_of_a_tissue_model() -> None:
    model = MODELS.build(
        {'type': 'TissueUNet', 'channels': (4, 8), 'tile_px': 32, 'loss': {'type': '_CountedTissueLoss'}}
    )
    network = {key: value.clone() for key, value in model.network.state_dict().items()}
    model.init_weights()
    assert model.loss.calls.item() == 1
    assert all(torch.equal(value, network[key]) for key, value in model.network.state_dict().items())


def test_no_line_of_the_log_for_every_parameter(tmp_path: Path) -> None:
    log = tmp_path / 'run.log'
    MMLogger.get_instance('initialization', log_file=str(log))
    _localizer('_ConfiguredAggregator').init_weights()
    assert 'initialization information' not in log.read_text().lower()


@pytest.mark.parametrize('aggregator', ['MaxAggregator', 'AttentionAggregator'])
def test_parts_that_come_with_the_package_draw_what_they_always_drew(aggregator: str) -> None:
    """PyTorch's own initialization of attention stays, and the classifier's draw is the first."""
    torch.manual_seed(0)
    head = MODELS.build(
        {'type': 'InstanceHead', 'aggregator': {'type': aggregator, 'domain': 'logit'}, 'in_channels': 3}
    )
    before = {key: value.clone() for key, value in head.aggregator.state_dict().items()}
    torch.manual_seed(1)
    head.init_weights()
    assert all(torch.equal(value, before[key]) for key, value in head.aggregator.state_dict().items())
    torch.manual_seed(1)
    torch.testing.assert_close(head.classifier.weight.data, torch.empty(1, 3, 1, 1).normal_(std=0.01))
