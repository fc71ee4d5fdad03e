"""A trained tissue model on images and tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_experiment import tiny_config
from tissue_experiment import COLOURS, tissue_config

from mitouts.checkpoint import publish, read_checkpoint, write_checkpoint
from mitouts.engine import runs
from mitouts.errors import CheckpointError, ConfigError, ImageError
from mitouts.wsi.tissue_segmenter import TissueSegmenter


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tissue')
    return runs.train(tissue_config(folder, train_cfg__max_epochs=3), folder / 'run').checkpoint


@pytest.fixture(scope='module')
def segmenter(checkpoint) -> TissueSegmenter:
    return TissueSegmenter.from_checkpoint(checkpoint)


def picture(height: int = 50, width: int = 71, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 255, (height, width, 3), dtype=np.uint8)


def test_it_knows_its_resolution_and_classes(segmenter) -> None:
    assert segmenter.mpp == 0.5
    assert segmenter.classes == ('tumour', 'other')
    assert segmenter.tile_px == 32


def test_probabilities_have_the_image_size_and_sum_to_one(segmenter) -> None:
    probabilities = segmenter.predict(picture())
    assert probabilities.shape == (2, 50, 71)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)


def test_tiles_know_nothing_of_each_other(segmenter) -> None:
    image = picture(64, 64)
    changed = image.copy()
    changed[:, 32:] = 0
    whole, other = segmenter.predict(image), segmenter.predict(changed)
    np.testing.assert_array_equal(whole[:, :, :32], other[:, :, :32])
    np.testing.assert_allclose(whole[:, :32, :32], segmenter.predict(image[:32, :32]), atol=1e-6)


def test_stride_averages_and_its_edges_hold_only_pixels_of_the_image(segmenter) -> None:
    image = picture(50, 71)
    fine, coarse = segmenter.predict(image), segmenter.predict(image, stride_px=8)
    assert coarse.shape == (2, 7, 9)
    for row, column in ((0, 0), (3, 5), (6, 8)):
        cell = fine[:, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
        np.testing.assert_allclose(coarse[:, row, column], cell.mean(axis=(1, 2)), atol=1e-5)


def test_tile_probability_is_the_mean_over_its_pixels(segmenter) -> None:
    tiles = np.stack([picture(32, 32, seed) for seed in range(5)])
    expected = [segmenter.predict(tile)[0].mean() for tile in tiles]
    found = segmenter.tile_tumour_probability(tiles)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(segmenter.tile_tumour_probability(tiles[2:3]), found[2:3], atol=1e-5)
    np.testing.assert_allclose(segmenter.tile_tumour_probability(list(tiles)), found, atol=1e-12)
    np.testing.assert_allclose(segmenter.tile_probabilities(tiles).sum(axis=1), 1, atol=1e-5)


def test_it_tells_the_colours_apart(segmenter) -> None:
    tiles = np.array([np.full((32, 32, 3), COLOURS[code], np.uint8) for code in (1, 2)])
    tumour, other = segmenter.tile_tumour_probability(tiles)
    assert tumour > 0.5 > other


def test_no_tiles_have_no_probabilities(segmenter) -> None:
    assert segmenter.tile_tumour_probability([]).shape == (0,)


def test_a_published_checkpoint_predicts_the_same(checkpoint, segmenter, tmp_path) -> None:
    write_checkpoint(tmp_path / 'p.pth', publish(read_checkpoint(checkpoint)))
    torch.load(tmp_path / 'p.pth', weights_only=True)
    again = TissueSegmenter.from_checkpoint(tmp_path / 'p.pth')
    np.testing.assert_array_equal(again.predict(picture()), segmenter.predict(picture()))


def test_bad_images_are_refused(segmenter) -> None:
    with pytest.raises(ImageError, match=r'RGB uint8 images \(H, W, 3\), found float64'):
        segmenter.predict(np.zeros((32, 32, 3)))
    with pytest.raises(ImageError, match='RGB uint8'):
        segmenter.predict(np.zeros((32, 32), np.uint8))
    with pytest.raises(ImageError, match='differ in size'):
        segmenter.tile_tumour_probability([picture(32, 32), picture(32, 48)])
    with pytest.raises(ValueError, match='stride_px'):
        segmenter.predict(picture(), stride_px=0)


def test_a_localizer_is_no_tissue_model(tmp_path) -> None:
    config = tiny_config(tmp_path, train_cfg__max_epochs=1)
    trained = runs.train(config, tmp_path / 'run')
    with pytest.raises(CheckpointError, match=r'is of a WSSLocalizer, expected a tissue model'):
        TissueSegmenter.from_checkpoint(trained.checkpoint)


def test_a_checkpoint_without_calibration_says_so(checkpoint, tmp_path) -> None:
    state = read_checkpoint(checkpoint)
    bare = {**state, 'meta': {**state['meta'], 'mitouts': {}}}
    write_checkpoint(tmp_path / 'bare.pth', bare)
    with pytest.raises(CheckpointError, match='carries no calibration'):
        TissueSegmenter.from_checkpoint(tmp_path / 'bare.pth')
    bare['meta']['mitouts'] = {'classes': ['tumour', 'other'], 'mpp': None}
    write_checkpoint(tmp_path / 'bare.pth', bare)
    with pytest.raises(CheckpointError, match='has no mpp'):
        TissueSegmenter.from_checkpoint(tmp_path / 'bare.pth')


def test_classes_without_tumour(segmenter, checkpoint) -> None:
    other = TissueSegmenter.from_checkpoint(checkpoint)
    other.model.calibration['classes'] = ['stroma', 'other']
    with pytest.raises(CheckpointError, match="no class 'tumour', only stroma, other"):
        other.tile_tumour_probability([picture(32, 32)])


def test_a_device_that_is_not_there(checkpoint) -> None:
    with pytest.raises(ConfigError, match="device 'nonsense' cannot be used"):
        TissueSegmenter.from_checkpoint(checkpoint, device='nonsense')
