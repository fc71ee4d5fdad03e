"""The cascade against its parts run one by one, on proposers with a map and without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fake_points import POINT_MODEL
from torch import Tensor

from mitouts.errors import ConfigError, ImageError
from mitouts.inference import Localizer
from mitouts.models import CascadeLocalizer
from mitouts.models import cascade as cascade_module
from mitouts.models.reading import read_prediction
from mitouts.registry import MODELS
from mitouts.structures import PointSample

CROP_PX = 16
HEIGHT, WIDTH = 40, 56
MAP_MODEL = dict(
    type='WSSLocalizer',
    backbone=dict(type='EfficientNetLite', stride=4, num_blocks=2, weights=None),
    head=dict(type='InstanceHead', aggregator=dict(type='MaxAggregator')),
)
VERIFIER = dict(
    type='WSSLocalizer',
    backbone=dict(type='EfficientNetLite', stride=8, num_blocks=4, weights=None),
    head=dict(type='EmbeddingHead', aggregator=dict(type='MeanAggregator', domain='feature')),
)
PROPOSER_CALIBRATION = {'image_threshold': 0.5, 'map_threshold': 0.6, 'drift_px': [1.5, -0.5], 'mpp': 0.25}


def make_cascade(proposer: dict[str, Any], verifier: dict[str, Any] = VERIFIER, **arguments: Any) -> CascadeLocalizer:
    torch.manual_seed(0)
    model = MODELS.build(
        dict(type='CascadeLocalizer', proposer=proposer, verifier=verifier, crop_px=CROP_PX, **arguments)
    )
    for part in (model.proposer, model.verifier):
        if hasattr(part, 'head'):
            part.init_weights()
            # Scores that differ, on both sides of any threshold.
            torch.nn.init.normal_(part.head.classifier.weight, std=3.0)
    model.proposer.calibration = dict(PROPOSER_CALIBRATION)
    return model.eval()


def images(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, HEIGHT, WIDTH), generator=generator).to(torch.uint8)


def predict(model: CascadeLocalizer, pixels: Tensor) -> list[PointSample]:
    samples = [PointSample(metainfo={'img_id': number}) for number in range(len(pixels))]
    return model(**model.data_preprocessor({'inputs': pixels, 'data_samples': samples}), mode='predict')


def one_by_one(model: CascadeLocalizer, pixels: Tensor) -> np.ndarray:
    """Points of one image ``(P, 3)``: every crop is cut from the padded image and scored by itself."""
    inputs = model.data_preprocessor({'inputs': pixels[None]})['inputs']
    (sample,) = model.proposer(inputs, [PointSample(metainfo={'ori_shape': (HEIGHT, WIDTH)})], mode='predict')
    proposals: list[tuple[float, float, float]] = []
    for x, y, score in read_prediction(model.proposer, sample, model.min_score).points.tolist():
        if all(np.hypot(x - other[0], y - other[1]) > model.suppression_px for other in proposals):
            proposals.append((x, y, score))
    padded = np.pad(pixels.numpy(), [(0, 0), (CROP_PX, CROP_PX), (CROP_PX, CROP_PX)], mode='reflect')
    scored = []
    for x, y, score in proposals[: model.max_proposals]:
        left, top = (int(np.floor(value + 0.5 - (CROP_PX - 1) / 2)) + CROP_PX for value in (x, y))
        crop = torch.from_numpy(padded[:, top : top + CROP_PX, left : left + CROP_PX].copy())
        given = model.verifier.data_preprocessor({'inputs': crop[None]})['inputs']
        verified = float(torch.sigmoid(model.verifier(given).image_logit))
        scored.append((x, y, {'product': score * verified, 'verifier': verified}[model.rule]))
    return np.array(sorted(scored, key=lambda each: -each[2])).reshape(-1, 3)


@torch.no_grad()
@pytest.mark.parametrize('proposer', [MAP_MODEL, POINT_MODEL], ids=['map', 'points'])
@pytest.mark.parametrize('arguments', [{}, dict(rule='verifier', max_proposals=5, suppression_px=3)], ids=str)
def test_points_are_those_of_the_parts_run_one_by_one(
    proposer: dict[str, Any], arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascade_module, 'CROPS_AT_ONCE', 4)
    model = make_cascade(proposer, **{'suppression_px': 8, **arguments})
    pixels = images()
    for sample, image in zip(predict(model, pixels), pixels):
        expected = one_by_one(model, image)
        assert len(expected) > 1
        np.testing.assert_allclose(sample.pred_points.numpy(), expected, rtol=1e-4, atol=1e-5)
        assert sample.pred_points.dtype == torch.float32
        assert sample.pred_score == float(sample.pred_points[0, 2])
        assert 'pred_map' not in sample


@torch.no_grad()
def test_an_image_is_predicted_alike_in_any_batch() -> None:
    model = make_cascade(MAP_MODEL, suppression_px=8)
    pixels = images(4)
    together = predict(model, pixels)
    for index in range(4):
        (alone,) = predict(model, pixels[index : index + 1])
        torch.testing.assert_close(alone.pred_points, together[index].pred_points)
    (other,) = predict(model, pixels[[3]])
    torch.testing.assert_close(predict(model, pixels[[3, 0]])[0].pred_points, other.pred_points)


@torch.no_grad()
def test_an_image_without_proposals_has_no_points() -> None:
    model = make_cascade(POINT_MODEL, min_score=0.9)
    pixels = images(3)
    pixels[1] = 0
    found = predict(model, pixels)
    assert [len(sample.pred_points) > 0 for sample in found] == [True, False, True]
    assert found[1].pred_points.shape == (0, 3)
    assert found[1].pred_score == 0.0
    (first, _, last) = model(model.data_preprocessor({'inputs': pixels})['inputs'])
    torch.testing.assert_close(first, found[0].pred_points)
    torch.testing.assert_close(last, found[2].pred_points)


@torch.no_grad()
@pytest.mark.parametrize('part', ['proposer', 'verifier'])
def test_broken_weights_are_not_taken_for_nothing_found(part: str) -> None:
    model = make_cascade(POINT_MODEL)
    for parameter in getattr(model, part).parameters():
        parameter.fill_(torch.nan)
    assert all(np.isnan(sample.pred_score) for sample in predict(model, images()))


@torch.no_grad()
@pytest.mark.parametrize('proposer', [MAP_MODEL, POINT_MODEL], ids=['map', 'points'])
def test_weights_and_calibrations_survive_saving(proposer: dict[str, Any]) -> None:
    model = make_cascade(proposer)
    model.calibration = {'image_threshold': 0.3, 'map_threshold': 0.2}
    model.verifier.calibration = {'image_threshold': 0.7}
    state, calibration = model.state_dict(), model.calibration
    assert calibration == {
        'image_threshold': 0.3,
        'map_threshold': 0.2,
        'proposer': PROPOSER_CALIBRATION,
        'verifier': {'image_threshold': 0.7},
    }
    torch.manual_seed(5)
    again = MODELS.build(dict(type='CascadeLocalizer', proposer=proposer, verifier=VERIFIER, crop_px=CROP_PX)).eval()
    again.load_state_dict(state)
    again.calibration = calibration
    assert again.calibration == calibration
    for first, second in zip(predict(model, images()), predict(again, images())):
        assert torch.equal(first.pred_points, second.pred_points)


def test_a_validation_leaves_the_calibrations_of_the_parts() -> None:
    model = make_cascade(POINT_MODEL)
    model.calibration = {'map_threshold': 0.2, 'epoch': 3}
    model.calibration = {'map_threshold': 0.4}
    assert model.calibration == {'map_threshold': 0.4, 'proposer': PROPOSER_CALIBRATION, 'verifier': {}}


def test_an_image_that_the_proposer_cannot_take_is_refused() -> None:
    model = make_cascade(MAP_MODEL)
    model.calibration = dict(PROPOSER_CALIBRATION)
    assert len(Localizer(model).predict(np.zeros((4, 4, 3), np.uint8)).points) >= 0
    with pytest.raises(ImageError, match='the image is 4 x 3 px, expected at least 4 px a side'):
        Localizer(model).predict(np.zeros((3, 4, 3), np.uint8))


def test_there_is_no_loss() -> None:
    with pytest.raises(ConfigError, match='has no loss: train its proposer and its verifier'):
        make_cascade(POINT_MODEL)(torch.zeros(1, 3, 32, 32), [], mode='loss')
    with pytest.raises(ValueError, match="mode must be 'predict' or 'tensor', found 'train'"):
        make_cascade(POINT_MODEL)(torch.zeros(1, 3, 32, 32), [], mode='train')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'rule': 'sum'}, "rule must be one of product, verifier, mean, found 'sum'"),
        ({'max_proposals': 0}, 'max_proposals must be at least 1'),
        ({'suppression_px': -1}, 'suppression_px at least 0, found 16, 20 and -1'),
        ({'verifier': POINT_MODEL}, 'verifier must be a WSSLocalizer, found a FakePointModel'),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_cascade(POINT_MODEL, **arguments)
