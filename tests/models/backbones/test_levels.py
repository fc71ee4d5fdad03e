"""Backbones that give several levels: each is the map of the network truncated there."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mitouts.errors import ConfigError
from mitouts.registry import MODELS

PYRAMIDS: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    (
        {'type': 'EfficientNetLite', 'stride': 16, 'num_blocks': 8, 'weights': 'imagenet', 'out_strides': (4, 8, 16)},
        [
            {'type': 'EfficientNetLite', 'stride': 4, 'weights': 'imagenet'},
            {'type': 'EfficientNetLite', 'stride': 8, 'weights': 'imagenet'},
            {'type': 'EfficientNetLite', 'stride': 16, 'num_blocks': 8, 'weights': 'imagenet'},
        ],
    ),
    (
        {'type': 'ResNet', 'depth': 18, 'num_stages': 4, 'out_strides': (8, 32)},
        [{'type': 'ResNet', 'depth': 18, 'num_stages': stages} for stages in (2, 4)],
    ),
    ({'type': 'ResNet', 'depth': 50, 'out_strides': (16,)}, [{'type': 'ResNet', 'depth': 50}]),
]


@pytest.mark.parametrize(('pyramid', 'truncated'), PYRAMIDS, ids=['lite0', 'r18', 'r50'])
@torch.no_grad()
def test_levels_are_the_maps_of_truncated_networks(pyramid: dict[str, Any], truncated: list[dict[str, Any]]) -> None:
    torch.manual_seed(0)
    backbone = MODELS.build(pyramid)
    backbone.init_weights()
    backbone.eval()
    images = torch.randn(1, 3, 70, 96)
    levels = backbone(images)
    assert isinstance(levels, tuple)
    assert len(levels) == len(truncated) == len(backbone.level_channels) == len(backbone.level_geometries)
    for level, channels, geometry, config in zip(
        levels, backbone.level_channels, backbone.level_geometries, truncated, strict=True
    ):
        alone = MODELS.build(config).eval()
        alone.load_state_dict({key: backbone.state_dict()[key] for key in alone.state_dict()})
        torch.testing.assert_close(level, alone(images))
        assert channels == alone.out_channels == level.shape[1]
        assert geometry == alone.geometry
    assert (backbone.out_channels, backbone.geometry) == (backbone.level_channels[-1], backbone.level_geometries[-1])


@torch.no_grad()
def test_frozen_stages_in_bfloat16_give_levels_in_float32() -> None:
    arguments = {'type': 'EfficientNetLite', 'weights': None, 'stride': 16, 'num_blocks': 8, 'out_strides': (8, 16)}
    torch.manual_seed(0)
    exact = MODELS.build({**arguments, 'frozen_stages': 3})
    fast = MODELS.build({**arguments, 'frozen_stages': 3, 'frozen_dtype': 'bfloat16'})
    exact.init_weights()
    fast.load_state_dict(exact.state_dict())
    images = torch.randn(1, 3, 64, 64)
    for expected, found in zip(exact.eval()(images), fast.eval()(images), strict=True):
        assert found.dtype == torch.float32
        assert (found - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize('out_strides', [(), (16, 8), (8, 8), (1, 8), (64,)])
@pytest.mark.parametrize('kind', ['EfficientNetLite', 'ResNet'])
def test_strides_that_the_network_does_not_have_are_refused(kind: str, out_strides: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match='out_strides must be ascending and out of'):
        MODELS.build({'type': kind, 'weights': None, 'out_strides': out_strides})
