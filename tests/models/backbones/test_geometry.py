"""Impulse tests: what a backbone declares about its cells is what its gradient says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mitouts.registry import MODELS

BACKBONES: list[dict[str, Any]] = [
    *({'type': 'ResNet', 'depth': 18, 'num_stages': stages} for stages in (1, 2, 3, 4)),
    {'type': 'ResNet', 'depth': 34, 'num_stages': 3},
    {'type': 'ResNet', 'depth': 50, 'num_stages': 3},
    *({'type': 'EfficientNetLite', 'stride': stride, 'weights': None} for stride in (4, 8, 16, 32)),
    {'type': 'EfficientNetLite', 'stride': 16, 'num_blocks': 8, 'weights': None},
    {'type': 'EfficientNetLite', 'variant': 1, 'stride': 8, 'weights': None},
]


def _name(config: dict[str, Any]) -> str:
    return '-'.join(str(value) for value in config.values() if value is not None)


def _see_through(backbone: Any) -> None:
    """Let every input pixel in the receptive field contribute: averages of positive numbers all the way.

    A maximum passes the gradient of one pixel only, so it becomes a mean with the same window.
    """
    backbone.double().eval()
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    if hasattr(backbone, 'maxpool'):
        pool = backbone.maxpool
        backbone.maxpool = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)


def _support(backbone: nn.Module, shape: tuple[int, int], cell: tuple[int, int], axis: int) -> NDArray[np.int64]:
    # Small enough to stay below the 6 of ReLU6 after every residual sum.
    image = torch.full((1, 3, *shape), 1e-9, dtype=torch.float64, requires_grad=True)
    features: Tensor = backbone(image)
    features[0, :, cell[0], cell[1]].sum().backward()
    assert image.grad is not None
    return np.flatnonzero(image.grad.abs().sum(dim=(0, 1, 3 - axis)).numpy())


@pytest.mark.parametrize('axis', [0, 1], ids=['rows', 'columns'])
@pytest.mark.parametrize('config', BACKBONES, ids=_name)
def test_a_cell_sees_the_pixels_around_its_declared_centre(config: dict[str, Any], axis: int) -> None:
    backbone = MODELS.build(config)
    _see_through(backbone)
    geometry = backbone.geometry
    radius = geometry.receptive_radius_px
    cell = math.ceil((radius - geometry.center_offset_px) / geometry.stride)
    center = float(geometry.cell_to_px(np.array(cell)))
    # The image is long along one axis and as thin as it may be along the other, where any cell will do.
    length = 32 * math.ceil((center + radius + 2) / 32)
    shape, at = ((length, 32), (cell, 0)) if axis == 0 else ((32, length), (0, cell))
    seen = _support(backbone, shape, at, axis)
    np.testing.assert_array_equal(seen, np.arange(center - radius, center + radius + 1))
    assert (seen[0] + seen[-1]) / 2 == center


@pytest.mark.parametrize('config', BACKBONES, ids=_name)
def test_stride_and_channels_are_those_of_the_output(config: dict[str, Any]) -> None:
    backbone = MODELS.build(config).eval()
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 64, 96))
    stride = backbone.geometry.stride
    assert features.shape == (1, backbone.out_channels, 64 // stride, 96 // stride)


@pytest.mark.parametrize('size_px', [64, 65, 71, 78, 95])
@pytest.mark.parametrize('kind', ['ResNet', 'EfficientNetLite'])
def test_cell_centres_lie_in_the_image_whatever_its_size(kind: str, size_px: int) -> None:
    backbone = MODELS.build({'type': kind, 'weights': None}).eval()
    with torch.no_grad():
        cells = backbone(torch.zeros(1, 3, size_px, size_px)).shape[-1]
    last_px = float(backbone.geometry.cell_to_px(np.array(cells - 1)))
    assert last_px <= size_px - 1
    assert last_px + backbone.geometry.stride > size_px - 1
