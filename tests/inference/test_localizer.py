from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from tiny_experiment import tiny_config

from mitouts.checkpoint import publish, read_checkpoint, write_checkpoint
from mitouts.engine import runs
from mitouts.errors import CheckpointError, ConfigError, ImageError
from mitouts.imaging.image import read_rgb
from mitouts.inference import Localizer
from mitouts.inference.dense import DenseModel
from mitouts.models import PointDataPreprocessor


class Fixed(BaseModel):
    """Finds the same points in every image, without a map."""

    geometry = None

    def __init__(self) -> None:
        super().__init__(data_preprocessor=PointDataPreprocessor())
        self.calibration = {'image_threshold': 0.5, 'map_threshold': 0.3, 'mpp': 0.25}

    def forward(self, inputs, data_samples=None, mode='tensor'):
        for sample in data_samples:
            sample.pred_points = torch.tensor([[10.0, 5.0, 0.75], [30.0, 8.0, 0.4], [2.0, 2.0, 0.2], [9.0, 9.0, 0.001]])
            sample.pred_score = 0.75
        return data_samples


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    config = tiny_config(folder, train_cfg__max_epochs=2)
    return config, runs.train(config, folder / 'run').checkpoint, folder


def test_prediction_equals_the_test_run(trained) -> None:
    config, checkpoint, folder = trained
    tested = runs.evaluate(config, checkpoint, folder / 'test')
    localizer = Localizer.from_checkpoint(checkpoint)
    for record in tested.records:
        prediction = localizer.predict(read_rgb(record.truth.path), mpp=0.25)
        assert prediction.score == pytest.approx(record.prediction.score, abs=1e-5)
        np.testing.assert_allclose(prediction.points, record.prediction.points, atol=1e-3)


def test_a_model_without_a_map_predicts_its_points() -> None:
    prediction = Localizer(Fixed()).predict(np.zeros((20, 40, 3), np.uint8))
    assert (prediction.score, prediction.is_positive) == (0.75, True)
    np.testing.assert_allclose(prediction.points, [[10, 5, 0.75], [30, 8, 0.4], [2, 2, 0.2]], atol=1e-7)
    np.testing.assert_array_equal(prediction.figures, prediction.points[:2])
    # At half the micrometres a pixel, the image is halved for the model and the points come back.
    finer = Localizer(Fixed()).predict(np.zeros((40, 80, 3), np.uint8), mpp=0.125)
    np.testing.assert_allclose(finer.points[:, :2], prediction.points[:, :2] * 2 + 0.5)


def test_a_model_without_a_map_counts_on_no_slide() -> None:
    with pytest.raises(ConfigError, match='a Fixed finds points without a score map, so slides cannot be tiled for it'):
        DenseModel(Fixed())


def test_a_published_checkpoint_predicts_the_same(trained, tmp_path) -> None:
    _, _, folder = trained
    write_checkpoint(tmp_path / 'p.pth', publish(read_checkpoint(folder / 'run' / 'epoch_2.pth')))
    torch.load(tmp_path / 'p.pth', weights_only=True)
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    a, b = (
        Localizer.from_checkpoint(path).predict(image) for path in (folder / 'run' / 'epoch_2.pth', tmp_path / 'p.pth')
    )
    np.testing.assert_array_equal(a.points, b.points)


def test_another_resolution_is_resampled_and_points_come_back(trained) -> None:
    _, checkpoint, _ = trained
    localizer = Localizer.from_checkpoint(checkpoint)
    image = np.full((96, 120, 3), 220, np.uint8)
    image[40:50, 60:70] = (90, 30, 110)
    fine = image.repeat(2, axis=0).repeat(2, axis=1)
    coarse_points = localizer.predict(image, mpp=0.25).points
    fine_points = localizer.predict(fine, mpp=0.125).points
    assert len(coarse_points) == len(fine_points) > 0
    np.testing.assert_allclose(fine_points[:, :2], coarse_points[:, :2] * 2 + 0.5, atol=1e-6)


def test_too_coarse_an_image_is_refused(trained) -> None:
    localizer = Localizer.from_checkpoint(trained[1])
    with pytest.raises(ImageError, match=r'0\.5 um/px and the model needs 0\.25'):
        localizer.predict(np.zeros((64, 64, 3), np.uint8), mpp=0.5)


@pytest.mark.parametrize('shape', [(64, 64), (64, 64, 4)])
def test_other_arrays_are_refused(trained, shape) -> None:
    with pytest.raises(ImageError, match='expected an RGB uint8 image'):
        Localizer.from_checkpoint(trained[1]).predict(np.zeros(shape, np.uint8))


def test_a_checkpoint_without_meta_is_refused(trained, tmp_path) -> None:
    state = read_checkpoint(trained[1])['state_dict']
    write_checkpoint(tmp_path / 'bare.pth', {'state_dict': state})
    with pytest.raises(CheckpointError, match='carries no config'):
        Localizer.from_checkpoint(tmp_path / 'bare.pth')
    meta = {**read_checkpoint(trained[1])['meta'], 'mitouts': {}}
    write_checkpoint(tmp_path / 'blind.pth', {'state_dict': state, 'meta': meta})
    with pytest.raises(CheckpointError, match='carries no thresholds'):
        Localizer.from_checkpoint(tmp_path / 'blind.pth')


def test_a_config_in_a_checkpoint_is_data_not_code(trained, tmp_path) -> None:
    checkpoint = read_checkpoint(trained[1])
    target = tmp_path / 'owned'
    checkpoint['meta']['cfg'] = f'import pathlib\npathlib.Path({str(target)!r}).touch()\nmodel = dict()'
    write_checkpoint(tmp_path / 'evil.pth', checkpoint)
    with pytest.raises(CheckpointError, match='config'):
        Localizer.from_checkpoint(tmp_path / 'evil.pth')
    assert not target.exists()


@pytest.mark.parametrize('mpp', [0.0, -1.0, float('nan')])
def test_an_impossible_resolution_is_refused(trained, mpp: float) -> None:
    with pytest.raises(ImageError, match='mpp must be'):
        Localizer.from_checkpoint(trained[1]).predict(np.zeros((64, 64, 3), np.uint8), mpp=mpp)


def test_too_small_an_image_is_refused(trained) -> None:
    with pytest.raises(ImageError, match=r'2 x 2 px, expected at least 4 px'):
        Localizer.from_checkpoint(trained[1]).predict(np.zeros((2, 2, 3), np.uint8))


def test_a_device_that_is_not_there(trained) -> None:
    with pytest.raises(ConfigError, match=r"device 'meta9' cannot be used"):
        Localizer.from_checkpoint(trained[1], device='meta9')
