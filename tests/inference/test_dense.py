from __future__ import annotations

import numpy as np
import pytest
import torch
from untrained import BACKBONES, make_model, random_tile

from mitouts.errors import ConfigError
from mitouts.functional.points import FeatureGeometry
from mitouts.inference.dense import DenseModel, StripNetwork, fold_batch_norm
from mitouts.models.rotations import averaged_output


@pytest.mark.parametrize('backbone', BACKBONES)
def test_dense_map_is_the_score_map_of_the_model(backbone):
    model = make_model(backbone)
    tiles = np.stack([random_tile(192, 160, seed) for seed in (0, 1)])
    data = {'inputs': [torch.from_numpy(tile.transpose(2, 0, 1).copy()) for tile in tiles]}
    with torch.inference_mode():
        expected = model(model.data_preprocessor(data)['inputs']).score_map.numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(DenseModel(model)(tiles), expected, atol=1e-4)


@pytest.mark.parametrize('drift_px', [(0, 0), (4, -3)])
@pytest.mark.parametrize('backbone', BACKBONES)
def test_dense_map_of_turned_tiles_is_the_averaged_map_of_the_model(backbone, drift_px):
    model = make_model(backbone).double()
    model.calibration = {'rotations': 4, 'drift_px': drift_px}
    image = random_tile(448, 480)
    data = {'inputs': [torch.from_numpy(image.transpose(2, 0, 1).copy())]}
    with torch.inference_mode():
        expected = averaged_output(model, model.data_preprocessor(data)['inputs'].double()).score_map[0].numpy()
    dense = DenseModel(model.float())
    inner = slice(dense.margin.before, -dense.margin.after)
    assert expected[inner, inner].size > 20
    assert expected[inner, inner].std() > 1e-5
    np.testing.assert_allclose(dense(image[None])[0, inner, inner], expected[inner, inner], atol=2e-6)


@pytest.mark.parametrize('backbone', BACKBONES)
def test_margin_is_all_that_padding_reaches(backbone):
    dense = DenseModel(make_model(backbone))
    stride, margin = dense.geometry.stride, dense.margin
    cells = margin.both + 3
    row, column = 2 * dense.step, 3 * dense.step
    image = random_tile((row + cells + 2) * stride, (column + cells + 3) * stride)
    whole = dense(image[None])[0]
    part = dense(image[None, row * stride : (row + cells) * stride, column * stride : (column + cells) * stride])[0]
    inner = margin.inner(3)
    expected = whole[row + margin.before :, column + margin.before :][:3, :3]
    np.testing.assert_allclose(part[inner, inner], expected, atol=1e-5)


def test_every_batch_norm_is_folded():
    for backbone in BACKBONES:
        network = fold_batch_norm(make_model(backbone).backbone)
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('strip_px', [16, 48, 64, 1000])
def test_strips_are_the_same_as_the_whole(backbone, strip_px):
    tile = torch.from_numpy(random_tile(224, 96)).permute(2, 0, 1)[None]
    network = make_model(backbone).backbone
    mean, std = torch.full((1, 3, 1, 1), 120.0), torch.full((1, 3, 1, 1), 60.0)
    with torch.inference_mode():
        whole = network((tile - mean) / std)
        strips = StripNetwork(network, mean, std, strip_px=strip_px)(tile)
    torch.testing.assert_close(strips, whole, atol=1e-4, rtol=1e-4)


def test_tile_size_follows_the_memory():
    dense = DenseModel(make_model())
    small, large = dense.best_tile_px(10_000_000), dense.best_tile_px(100_000_000)
    assert 64 <= small < large <= 4096
    assert small % 16 == large % 16 == 0
    assert dense.best_tile_px(1) == 64


def test_model_itself_stays_as_it_was():
    model = make_model()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    DenseModel(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_map_that_depends_on_the_whole_image_is_refused():
    model = make_model(aggregator='AttentionAggregator', head='EmbeddingHead')
    with pytest.raises(ConfigError, match='AttentionAggregator is relative to the whole image'):
        DenseModel(model)
    assert isinstance(DenseModel(make_model(aggregator='NoisyOrAggregator')).geometry, FeatureGeometry)


def test_map_that_is_stretched_to_its_image_is_refused():
    model = make_model()
    model.head.upsample = 'align_corners'
    with pytest.raises(ConfigError, match=r"head\.upsample='align_corners' .*tiles cannot be put together"):
        DenseModel(model)
