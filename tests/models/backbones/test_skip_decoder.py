"""The decoder: where its cells lie and how far they see, whatever the image's size, and how its maps go together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from untrained import smooth_tissue, spread_scores

from mitouts.errors import ConfigError
from mitouts.functional.geometry import FeatureGeometry, upsample_map
from mitouts.inference.dense import DenseModel
from mitouts.models.backbones.skip_decoder import SkipDecoder, upsample_cells
from mitouts.registry import MODELS

LITE: dict[str, Any] = {'type': 'EfficientNetLite', 'weights': None}
ENCODERS: dict[str, dict[str, Any]] = {
    'lite-8-16': {**LITE, 'stride': 16, 'num_blocks': 8, 'out_strides': (8, 16)},
    'lite-4-8-16': {**LITE, 'stride': 16, 'num_blocks': 8, 'out_strides': (4, 8, 16)},
    'lite-4-16': {**LITE, 'stride': 16, 'num_blocks': 6, 'out_strides': (4, 16)},
    'r18-4-8-16': {'type': 'ResNet', 'num_stages': 3, 'out_strides': (4, 8, 16)},
}


def _build(name: str, channels: int = 6) -> Any:
    torch.manual_seed(0)
    return MODELS.build({'type': 'SkipDecoder', 'encoder': ENCODERS[name], 'channels': channels}).eval()


def _stir(network: nn.Module) -> None:
    """Batch norms that do something."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.get_buffer('running_mean'), -0.3, 0.3)
            nn.init.uniform_(module.get_buffer('running_var'), 0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.3, 0.3)


def _see_through(backbone: Any) -> None:
    """Averages of positive numbers all the way, so that every pixel in the receptive field contributes."""
    backbone.double()
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    if hasattr(backbone.encoder, 'maxpool'):
        pool = backbone.encoder.maxpool
        backbone.encoder.maxpool = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)


def _seen(backbone: nn.Module, shape: tuple[int, int], cell: tuple[int, int], axis: int) -> NDArray[np.int64]:
    image = torch.full((1, 3, *shape), 1e-9, dtype=torch.float64, requires_grad=True)
    features: Tensor = backbone(image)
    features[0, :, cell[0], cell[1]].sum().backward()
    assert image.grad is not None
    return np.flatnonzero(image.grad.abs().sum(dim=(0, 1, 3 - axis)).numpy())


@pytest.mark.parametrize('axis', [0, 1], ids=['rows', 'columns'])
@pytest.mark.parametrize('name', ENCODERS)
def test_cells_see_the_pixels_around_their_declared_centres(name: str, axis: int) -> None:
    backbone = _build(name)
    _see_through(backbone)
    geometry, period = backbone.geometry, backbone.period_px // backbone.geometry.stride
    radius = geometry.receptive_radius_px
    first = math.ceil((radius - geometry.center_offset_px) / geometry.stride)
    # Cells differ in how far they see, since some lie between those of a coarser level: none sees farther than
    # declared, and those on the coarsest centres see that far to both sides.
    reaches = []
    for cell in range(first, first + period):
        center = float(geometry.cell_to_px(np.array(cell)))
        length = backbone.period_px * math.ceil((center + radius + 2) / backbone.period_px)
        shape, at = ((length, 32), (cell, 0)) if axis == 0 else ((32, length), (0, cell))
        seen = _seen(backbone, shape, at, axis)
        np.testing.assert_array_equal(seen, np.arange(seen[0], seen[-1] + 1))
        reaches.append((center - seen[0], seen[-1] - center))
    assert max(reaches) == (radius, radius)
    assert max(after for _, after in reaches) == radius


@pytest.mark.parametrize('name', ENCODERS)
@pytest.mark.parametrize('size', [(8, 11), (16, 40), (65, 71), (78, 95), (96, 64)])
def test_cells_are_those_whose_centres_lie_in_the_image(name: str, size: tuple[int, int]) -> None:
    backbone = _build(name)
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, *size))
    assert features.shape[:2] == (1, backbone.out_channels)
    for cells, size_px in zip(features.shape[2:], size):
        last_px = float(backbone.geometry.cell_to_px(np.array(cells - 1)))
        assert last_px <= size_px - 1 < last_px + backbone.geometry.stride


@pytest.mark.parametrize(
    ('fine', 'coarse'),
    [((8, 7.0), (16, 15.0)), ((4, 3.0), (8, 7.0)), ((4, 3.0), (16, 15.0)), ((4, 0.0), (8, 0.0)), ((8, 7.0), (8, 7.0))],
)
@pytest.mark.parametrize('size', [(4, 6), (5, 7), (1, 2)])
def test_upsampling_goes_by_where_the_cells_lie(
    fine: tuple[int, float], coarse: tuple[int, float], size: tuple[int, int]
) -> None:
    ratio = coarse[0] // fine[0]
    cells = [max(length // ratio, 1) for length in size]
    level = torch.randn(2, 3, *cells, generator=torch.Generator().manual_seed(0))
    shift = round((coarse[1] - fine[1]) / fine[0])
    found = upsample_cells(level, ratio, shift, size)
    # The same as if the fine cells were pixels.
    seen_from = FeatureGeometry(ratio, (coarse[1] - fine[1]) / fine[0])
    expected = [[upsample_map(channel, *size, seen_from) for channel in each] for each in level.numpy()]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


@torch.no_grad()
def test_levels_add_up_at_their_places() -> None:
    backbone = _build('lite-4-8-16')
    _stir(backbone)
    image = torch.randn(1, 3, 80, 96, generator=torch.Generator().manual_seed(0))
    # Directly from each level to the finest, by the level's own geometry.
    total = np.zeros(())
    for lateral, level, geometry in zip(backbone.laterals, backbone.encoder(image), backbone.encoder.level_geometries):
        seen_from = FeatureGeometry(geometry.stride // 4, (geometry.center_offset_px - 3) / 4)
        total = total + np.array([[upsample_map(channel, 20, 24, seen_from) for channel in lateral(level)[0].numpy()]])
    expected = backbone.fuse(torch.from_numpy(total).float())
    torch.testing.assert_close(backbone(image), expected, atol=1e-4, rtol=1e-4)


def _model(name: str) -> Any:
    torch.manual_seed(0)
    model = MODELS.build(
        {
            'type': 'WSSLocalizer',
            'backbone': {'type': 'SkipDecoder', 'encoder': ENCODERS[name], 'channels': 8},
            'head': {'type': 'SegmentationHead', 'extra_losses': [{'type': 'ConcentricLoss'}]},
        }
    ).eval()
    model.init_weights()
    _stir(model)
    model.head.classifier.weight.data.normal_()
    side = (DenseModel(model).margin.both + 6) * model.geometry.stride
    spread_scores(model, smooth_tissue(side, side))
    return model


def _tile(height: int, width: int) -> NDArray[np.uint8]:
    return smooth_tissue(width, height)[None]


@pytest.mark.parametrize('name', ENCODERS)
def test_folded_network_of_a_slide_gives_the_same_features(name: str) -> None:
    model, tile = _model(name), _tile(176, 104)
    dense = DenseModel(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in dense.network.modules())
    inputs = torch.from_numpy(tile).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = model.backbone(model.data_preprocessor({'inputs': [inputs[0]]})['inputs'])
        found = dense.network(inputs)
    assert found.shape == (1, 8, 176 // dense.geometry.stride, 104 // dense.geometry.stride)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize('name', ENCODERS)
def test_tiles_that_start_on_the_period_are_parts_of_the_whole(name: str) -> None:
    model = _model(name)
    dense = DenseModel(model)
    stride, period = dense.geometry.stride, model.backbone.period_px
    kept = 3 * period // stride
    cells = dense.margin.both + kept
    image = _tile((cells + 2) * stride + 2 * period, (cells + 1) * stride + period)
    whole = dense(image)[0]
    part = dense(image[:, 2 * period :, period:][:, : cells * stride, : cells * stride])[0]
    inner = dense.margin.inner(kept)
    row, column = (at * period // stride + dense.margin.before for at in (2, 1))
    expected = whole[row : row + kept, column : column + kept]
    assert expected.std() > 0.01
    np.testing.assert_allclose(part[inner, inner], expected, atol=1e-5)


def test_weights_are_the_encoders_own() -> None:
    config = {**ENCODERS['lite-8-16'], 'weights': 'imagenet', 'frozen_stages': 2}
    backbone = MODELS.build({'type': 'SkipDecoder', 'encoder': config, 'channels': 4})
    backbone.init_weights()
    alone = MODELS.build(config)
    alone.init_weights()
    for key, value in alone.state_dict().items():
        torch.testing.assert_close(backbone.encoder.state_dict()[key], value, rtol=0, atol=0)
    backbone.train()
    trained = {name for name, each in backbone.named_parameters() if each.requires_grad}
    assert 'encoder._conv_stem.weight' not in trained
    assert not backbone.encoder._bn0.training
    assert {'encoder._blocks.7._project_conv.weight', 'laterals.0.0.weight', 'fuse.1.weight'} <= trained


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'encoder': {**LITE, 'stride': 16}}, r'out_strides must name the levels .* found None'),
        ({'encoder': {**LITE, 'stride': 16, 'out_strides': (16,)}}, r'at least two, such as \(8, 16\); found \(16,\)'),
        ({'encoder': ENCODERS['lite-8-16'], 'channels': 0}, r'backbone\.channels must be at least 1, found 0'),
    ],
)
def test_what_cannot_be_fused_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MODELS.build({'type': 'SkipDecoder', **arguments})


def test_levels_that_do_not_lie_on_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = MODELS.build(ENCODERS['lite-8-16'])
    encoder.level_geometries = (FeatureGeometry(8, 7.0), FeatureGeometry(16, 12.0))
    monkeypatch.setattr('mitouts.models.backbones.skip_decoder.MODELS.build', lambda _: encoder)
    with pytest.raises(
        ConfigError, match=r'stride 16 that begin at 12\.0 px cannot be brought to stride 8 from 7\.0 px'
    ):
        SkipDecoder(ENCODERS['lite-8-16'])
