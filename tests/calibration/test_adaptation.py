"""Batch-norm statistics against moments that numpy computes from all inputs at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from untrained import make_model, random_tile

from mitouts.calibration.adaptation import ImageBatches, adapt_batch_norm, adapt_to_images
from mitouts.errors import ConfigError, ImageError
from mitouts.inference import Localizer
from mitouts.inference.images import ImagePredictor, ImageSource

SIZES = [(48, 64)] * 5 + [(32, 96)] * 3


class TwoLayers(nn.Module):
    """Convolution, norm, rectifier, twice; images are taken as they are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)
        self.norm1, self.norm2 = nn.BatchNorm2d(4), nn.BatchNorm2d(5)
        for norm in (self.norm1, self.norm2):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.uniform_(0.5, 2)
            norm.bias.data.uniform_(-1, 1)

    def data_preprocessor(self, data):
        return {'inputs': torch.stack(data['inputs']).float() / 100}

    def forward(self, x):
        return self.norm2(self.second(torch.relu(self.norm1(self.first(x)))))


@pytest.fixture
def images() -> list[torch.Tensor]:
    return [torch.from_numpy(random_tile(*size, seed).transpose(2, 0, 1)) for seed, size in enumerate(SIZES)]


def statistics(model: nn.Module) -> list[np.ndarray]:
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    return [array.numpy().copy() for norm in norms for array in (norm.running_mean, norm.running_var)]


def moments(batch: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    flat = np.concatenate([array.astype(np.float64).reshape(len(array), -1) for array in batch], axis=1)
    return flat.mean(axis=1), flat.var(axis=1)


def one_by_one(model: TwoLayers, images: list[torch.Tensor], prior: float) -> list[np.ndarray]:
    """Each layer's statistics from all images, after those of the layer before are final."""
    share = len(images) / (len(images) + prior)
    inputs = [image[None].float() / 100 for image in images]
    found = []
    with torch.no_grad():
        for convolution, norm in ((model.first, model.norm1), (model.second, model.norm2)):
            inputs = [convolution(each) for each in inputs]
            target = moments([each[0].numpy() for each in inputs])
            source = norm.running_mean.numpy(), norm.running_var.numpy()
            mean, variance = (share * new + (1 - share) * old for new, old in zip(target, source))
            found += [mean, variance]
            inputs = [
                torch.relu(
                    nn.functional.batch_norm(
                        each,
                        torch.from_numpy(mean).float(),
                        torch.from_numpy(variance).float(),
                        norm.weight,
                        norm.bias,
                    )
                )
                for each in inputs
            ]
    return found


@pytest.mark.parametrize('prior', [0.0, 5.0])
def test_first_layer_has_the_moments_of_all_pixels_after_one_pass(images, prior) -> None:
    model = TwoLayers()
    expected = one_by_one(TwoLayers(), images, prior)
    adapted = adapt_batch_norm(model, [images[:3], images[3:5], images[5:]], prior=prior)
    for found, wanted in zip(statistics(model)[:2], expected[:2]):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert adapted.to_dict() == {'prior': prior, 'images': 8, 'layers': 2, 'passes': 1}


@pytest.mark.parametrize('prior', [0.0, 5.0])
@pytest.mark.parametrize('cut', [1, 4])
def test_as_many_passes_as_layers_are_exact_whatever_the_batches(images, prior, cut) -> None:
    model = TwoLayers()
    expected = one_by_one(TwoLayers(), images, prior)
    adapt_batch_norm(model, [images[:cut], images[cut:5], images[5:]], prior=prior, passes=2)
    for found, wanted in zip(statistics(model), expected):
        np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_one_batch_of_all_images_is_exact_in_one_pass(images) -> None:
    model = TwoLayers()
    adapt_batch_norm(model, [images[:5]], prior=3.0)
    for found, wanted in zip(statistics(model), one_by_one(TwoLayers(), images[:5], 3.0)):
        np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_the_source_comes_back_bit_for_bit_after_an_error(images) -> None:
    model = TwoLayers()
    before = {key: value.clone() for key, value in model.state_dict().items()}

    def broken():
        yield images[:5]
        raise OSError('the disk is gone')

    with pytest.raises(OSError, match='gone'):
        adapt_batch_norm(model, broken())
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_the_weights_of_the_model_its_mode_and_its_hooks_are_left_as_they_were(images) -> None:
    model = TwoLayers().train()
    weight = model.first.weight.clone()
    adapt_batch_norm(model, [images[:5]])
    assert torch.equal(model.first.weight, weight)
    assert model.training
    assert not model.norm1._forward_pre_hooks


def test_frozen_layers_are_adapted_too(images) -> None:
    model = TwoLayers()
    model.norm1.requires_grad_(False)
    before = statistics(model)
    assert adapt_batch_norm(model, [images[:5]]).layers == 2
    assert not np.array_equal(statistics(model)[0], before[0])


def test_what_cannot_be_adapted_is_refused(images) -> None:
    with pytest.raises(ConfigError, match='Conv2d has no batch norm'):
        adapt_batch_norm(nn.Conv2d(3, 4, 3), [images[:5]])
    with pytest.raises(ImageError, match='no image'):
        adapt_batch_norm(TwoLayers(), [])
    with pytest.raises(ConfigError, match='a number of images from 0, found -1'):
        adapt_batch_norm(TwoLayers(), [images[:5]], prior=-1)
    with pytest.raises(ConfigError, match='at least one pass'):
        adapt_batch_norm(TwoLayers(), [images[:5]], passes=0)
    broken = TwoLayers()
    broken.first.weight.data.fill_(float('nan'))
    with pytest.raises(ImageError, match='not finite'):
        adapt_batch_norm(broken, [images[:5]])


def test_batches_hold_images_of_one_size_and_each_image_once(images) -> None:
    batches = list(ImageBatches(lambda number: images[number], len(images), batch_px=2 * 48 * 64))
    assert all(len({image.shape for image in batch}) == 1 for batch in batches)
    assert max(len(batch) for batch in batches) == 2
    ids = [id(image) for batch in batches for image in batch]
    assert sorted(ids) == sorted(map(id, images))


def test_a_linear_change_of_intensities_is_taken_back(images) -> None:
    """An unpadded convolution turns it into a scale and an offset of each channel, which the statistics take up."""
    bright = [image.double() for image in images[:5]]
    dim = [0.4 * image + 30 for image in bright]
    model = TwoLayers().eval()

    def outputs(batch: list[torch.Tensor]) -> np.ndarray:
        with torch.no_grad():
            return model(model.data_preprocessor({'inputs': batch})['inputs']).numpy()

    unadapted = outputs(dim)
    adapt_batch_norm(model, [bright], prior=0)
    expected = outputs(bright)
    assert np.abs(unadapted - expected).max() > 0.5
    adapt_batch_norm(model, [dim], prior=0)
    np.testing.assert_allclose(outputs(dim), expected, atol=2e-3)


def test_files_are_seen_as_in_prediction_and_bad_ones_passed_over(tmp_path: Path) -> None:
    model = make_model()
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': 0.25}
    tiles = [random_tile(64, 64, seed) for seed in range(3)]
    paths = [tmp_path / f'{number}.png' for number in range(3)]
    for path, tile in zip(paths, tiles):
        cv2.imwrite(str(path), tile[..., ::-1])
    (tmp_path / 'broken.png').write_bytes(b'no image')
    sources = [ImageSource(path) for path in [*paths, tmp_path / 'broken.png']]
    adapted = adapt_to_images(ImagePredictor(Localizer(model), sources), prior=0)
    assert adapted.images == 3
    found = statistics(model)[0]
    other = make_model()
    adapt_batch_norm(other, [[torch.from_numpy(tile.transpose(2, 0, 1)) for tile in tiles]], prior=0)
    np.testing.assert_allclose(found, statistics(other)[0], rtol=1e-4, atol=1e-6)
    with pytest.raises(ImageError, match=r'no image to adapt the batch norms to: .*broken'):
        adapt_to_images(ImagePredictor(Localizer(model), sources[-1:]))


RANKS = """
import os, sys
import numpy as np, torch
from mmengine.dist import init_dist, get_rank
sys.path[:0] = {paths}
torch.distributed.init_process_group('gloo')
from test_adaptation import SIZES, TwoLayers, statistics
from untrained import random_tile
from mitouts.calibration.adaptation import ImageBatches, adapt_batch_norm
images = [torch.from_numpy(random_tile(*size, seed).transpose(2, 0, 1)) for seed, size in enumerate(SIZES)]
model = TwoLayers()
adapt_batch_norm(model, ImageBatches(lambda number: images[number], len(images)), prior=2, passes=2)
np.savez('{out}/%d.npz' % get_rank(), *statistics(model))
torch.distributed.destroy_process_group()
# A thread of gloo may abort a process that Python is tearing down.
os._exit(0)
"""


@pytest.mark.slow
def test_processes_end_with_the_same_statistics_as_one(images, tmp_path: Path) -> None:
    here = Path(__file__).resolve()
    script = tmp_path / 'ranks.py'
    script.write_text(RANKS.format(paths=[str(here.parent), str(here.parents[1])], out=tmp_path))
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=0']
    command += ['--rdzv_backend=c10d', '--rdzv_endpoint=localhost:0', str(script)]
    done = subprocess.run(
        command, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (list(np.load(tmp_path / f'{rank}.npz').values()) for rank in (0, 1))
    for one, other, alone in zip(first, second, one_by_one(TwoLayers(), images, 2.0)):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, alone, rtol=1e-4)
