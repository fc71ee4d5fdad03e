"""Maps averaged over right-angle turns: places, scores, and what a calibration says of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule
from untrained import BACKBONES, make_model, random_tile

from mitouts.errors import CheckpointError, ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.inference import Localizer
from mitouts.models import WSSLocalizer
from mitouts.models.rotations import averaged_output, rotations_of, set_rotations, threshold_doubt, with_rotations
from mitouts.registry import MODELS


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@MODELS.register_module()
class BesideTheFigure(BaseModule):
    """Sums darkness under a blob that lies beside the cell, so that its map points beside the figures."""

    out_channels = 1

    def __init__(self, drift_x: int = 0, drift_y: int = 0, stride: int = 4) -> None:
        super().__init__()
        radius = 14
        offsets = np.arange(-radius, radius + 1)
        rows, columns = (np.exp(-((offsets + drift) ** 2) / 50) for drift in (drift_y, drift_x))
        kernel = torch.from_numpy(np.outer(rows, columns)).float()
        self.register_buffer('kernel', (kernel / kernel.sum())[None, None])
        self.stride, self.radius = stride, radius
        self.geometry = FeatureGeometry().then(2 * radius + 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dark = -x.mean(dim=1, keepdim=True)
        return torch.nn.functional.conv2d(dark, self.kernel, stride=self.stride, padding=self.radius)


def beside(drift_px: tuple[int, int]) -> WSSLocalizer:
    model = WSSLocalizer(
        dict(type='BesideTheFigure', drift_x=drift_px[0], drift_y=drift_px[1]),
        dict(type='InstanceHead', aggregator=dict(type='MaxAggregator')),
        dict(type='PointDataPreprocessor', mean=[255.0] * 3, std=[1.0] * 3),
    ).eval()
    with torch.no_grad():
        model.head.classifier.weight.fill_(0.2)
        model.head.classifier.bias.fill_(-3)
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': 0.25, 'drift_px': list(drift_px)}
    return model


@pytest.mark.parametrize('size_px', [(96, 128), (97, 131), (94, 127)])
@pytest.mark.parametrize('drift_px', [(0, 0), (5, 3), (-4, 2)])
def test_figures_stay_where_they_are(size_px: tuple[int, int], drift_px: tuple[int, int]) -> None:
    image = np.full((*size_px, 3), 255, np.uint8)
    y, x = np.mgrid[: size_px[0], : size_px[1]]
    places = [(30.0, 25.0), (90.0, 61.0), (101.5, 22.0)]
    for left, top in places:
        image[(x - left) ** 2 + (y - top) ** 2 < 40] = 0
    plain = Localizer(beside(drift_px)).predict(image)
    averaged = Localizer(beside(drift_px), rotations=4).predict(image)
    for prediction in (plain, averaged):
        found = prediction.figures[np.argsort(prediction.figures[:, 0]), :2]
        np.testing.assert_allclose(found, places, atol=1.2)
    # A symmetrical filter sees the same from every side.
    assert averaged.score == pytest.approx(plain.score, abs=0.05)


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('size_px', [(256, 272), (267, 261)])
def test_each_cell_is_the_mean_of_the_four_networks_there(backbone: str, size_px: tuple[int, int]) -> None:
    """A turned network is run on a piece of the turned image that is cut so that a cell falls on the place."""
    model = make_model(backbone).double()
    image = torch.from_numpy(random_tile(*size_px)).permute(2, 0, 1)[None].double().sub(128).div(60)
    output = averaged_output(model, image)
    geometry, period = model.geometry, getattr(model.backbone, 'period_px', model.geometry.stride)
    stride, offset, step = geometry.stride, geometry.center_offset_px, period // geometry.stride

    def at(turned: torch.Tensor, x: float, y: float) -> float:
        cells = []
        for place in (y, x):
            # A coarse level inside counts from a place of its own.
            begin = (place - offset) % period
            cells.append((int(begin), int((place - offset - begin) // stride)))
        (top, row), (left, column) = cells
        return float(model(turned[:, :, top:, left:]).map_logit[0, row, column])

    # Nothing that these cells see is padding, neither here nor in a piece.
    first = math.ceil((geometry.receptive_radius_px - offset) / period) + 1
    for row, column in ((first * step, (first + 1) * step), ((first + 1) * step, first * step)):
        x, y = column * stride + offset, row * stride + offset
        width, height = size_px[1] - 1, size_px[0] - 1
        places = [(x, y), (y, width - x), (width - x, height - y), (height - y, x)]
        by_hand = [at(image.rot90(quarters, (2, 3)), *place) for quarters, place in enumerate(places)]
        assert float(output.map_logit[0, row, column]) == pytest.approx(np.mean(by_hand), abs=2e-6)
        assert np.std(by_hand) > 1e-4


@pytest.mark.parametrize('backbone', BACKBONES)
def test_turning_the_image_turns_the_map(backbone: str) -> None:
    model = make_model(backbone).double()
    period = getattr(model.backbone, 'period_px', model.geometry.stride)
    # Lattices of cells turn onto each other at these sizes alone.
    size = 16 * period + int(2 * model.geometry.center_offset_px + 1) % period
    image = torch.from_numpy(random_tile(size, size)).permute(2, 0, 1)[None].double().sub(128).div(60)
    plain, turned = (averaged_output(model, each).map_logit[0] for each in (image, image.rot90(1, (2, 3))))
    inner = 16 * period // model.geometry.stride
    last = round((size - 1 - 2 * model.geometry.center_offset_px) / model.geometry.stride)
    reach = int(model.geometry.receptive_radius_px // model.geometry.stride) + 1
    assert 2 * reach < inner
    for row in range(reach, last - reach + 1):
        for column in range(reach, last - reach + 1):
            # A place (x, y) is at (y, width - 1 - x) afterwards.
            assert float(turned[last - column, row]) == pytest.approx(float(plain[row, column]), abs=2e-6)


def test_image_score_is_the_maximum_of_the_averaged_map_or_the_mean() -> None:
    image = torch.from_numpy(random_tile(80, 96)).permute(2, 0, 1)[None].float().sub(128).div(60)
    by_maximum = averaged_output(make_model(), image)
    torch.testing.assert_close(by_maximum.image_logit, by_maximum.map_logit.flatten(1).amax(dim=1))
    torch.testing.assert_close(torch.sigmoid(by_maximum.map_logit), by_maximum.score_map)
    model = make_model(aggregator='MeanAggregator')
    logits = [
        # 80 and 96 px are multiples of the stride, so padding adds one row and one column of cells to the turned ones.
        model(torch.nn.functional.pad(image, padding).rot90(quarters, (2, 3))).image_logit
        for quarters, padding in enumerate([(0, 0, 0, 0), (1, 15, 0, 0), (1, 15, 1, 15), (0, 0, 1, 15)])
    ]
    torch.testing.assert_close(averaged_output(model, image).image_logit, torch.stack(logits).mean(dim=0))


@pytest.mark.parametrize('aggregator', ['AttentionAggregator', 'MaxAggregator'])
def test_attention_and_stretched_maps_are_averaged(aggregator: str) -> None:
    image = torch.from_numpy(random_tile(80, 96)).permute(2, 0, 1)[None].float().sub(128).div(60)
    model = make_model(aggregator=aggregator, head='EmbeddingHead' if 'Att' in aggregator else 'InstanceHead')
    if aggregator == 'MaxAggregator':
        model.head.upsample = 'align_corners'
    output = averaged_output(model, image)
    assert output.score_map.shape == model(image).score_map.shape
    if aggregator == 'MaxAggregator':
        turned = averaged_output(model, image.rot90(1, (2, 3)))
        torch.testing.assert_close(turned.map_logit, output.map_logit.rot90(1, (1, 2)), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(turned.image_logit, output.image_logit, atol=1e-4, rtol=1e-4)


def test_a_calibration_remembers_what_its_thresholds_were_chosen_with() -> None:
    calibration = {'map_threshold': 0.5}
    assert (rotations_of(calibration), threshold_doubt(calibration)) == (1, None)
    four = with_rotations(calibration, 4)
    assert rotations_of(four) == 4
    assert 'chosen with 1 rotation and are used with 4' in str(threshold_doubt(four))
    assert threshold_doubt(with_rotations(four, 1)) is None
    assert threshold_doubt(with_rotations(four, 4)) == threshold_doubt(four)
    chosen_with_four = {'map_threshold': 0.5, 'rotations': 4}
    assert threshold_doubt(chosen_with_four) is None
    assert 'chosen with 4 rotations' in str(threshold_doubt(with_rotations(chosen_with_four, 1)))
    with pytest.raises(ConfigError, match='rotations must be 1 or 4, found 2'):
        with_rotations(calibration, 2)


def test_impossible_rotations_are_refused() -> None:
    model = make_model()
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'rotations': 3}
    with pytest.raises(CheckpointError, match="'rotations'] must be 1 or 4, found 3"):
        Localizer(model)

    class Points:
        geometry = None

    with pytest.raises(ConfigError, match='a Points finds points without one'):
        set_rotations(Points(), 4)
    set_rotations(Points(), 1)
