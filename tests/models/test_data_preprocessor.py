"""From the data loader's batch to the network's input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mitouts.errors import ConfigError
from mitouts.models import PointDataPreprocessor

MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)


def _images(count: int, height: int = 6, width: int = 8) -> list[torch.Tensor]:
    generator = np.random.default_rng(0)
    return [torch.from_numpy(generator.integers(0, 256, (3, height, width), dtype=np.uint8)) for _ in range(count)]


@pytest.mark.parametrize('stacked', [False, True])
@pytest.mark.parametrize('channels_last', [False, True])
def test_images_are_stacked_and_normalized(stacked: bool, channels_last: bool) -> None:
    images = _images(2)
    preprocessor = PointDataPreprocessor(MEAN, STD, channels_last)
    inputs = preprocessor({'inputs': torch.stack(images) if stacked else images})['inputs']
    raw = np.stack([image.numpy() for image in images]).astype(np.float64)
    expected = (raw - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    assert inputs.dtype == torch.float32
    np.testing.assert_allclose(inputs.numpy(), expected, rtol=1e-5, atol=1e-6)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert inputs.is_contiguous(memory_format=layout)


def test_samples_stay_beside_the_images() -> None:
    samples = [object(), object()]
    assert PointDataPreprocessor()({'inputs': _images(2), 'data_samples': samples})['data_samples'] is samples
    assert PointDataPreprocessor()({'inputs': _images(2)})['data_samples'] is None


def test_sizes_that_differ_are_refused_with_both_sizes() -> None:
    with pytest.raises(ConfigError, match=r'differ in size \(6 x 8, 8 x 6\): set the batch_size .* to 1'):
        PointDataPreprocessor()({'inputs': [*_images(2), *_images(1, 8, 6)]})


def test_constants_are_no_weights() -> None:
    assert PointDataPreprocessor().state_dict() == {}


def test_another_normalization_is_undone() -> None:
    images = _images(2)
    given = PointDataPreprocessor(MEAN, STD)
    wanted = PointDataPreprocessor()
    inputs = given({'inputs': images})['inputs']
    torch.testing.assert_close(wanted.renormalize(inputs, given), wanted({'inputs': images})['inputs'])
    assert given.renormalize(inputs, PointDataPreprocessor(MEAN, STD)) is inputs


def test_a_batch_that_no_step_packed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"gives no 'inputs': it must end with .*PackPointSample"):
        PointDataPreprocessor(MEAN, STD)({'img': _images(1)})
