"""Masks of a batch that is being trained on, from discs or from what a localizer shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from torch import Tensor
from untrained import make_model, save_checkpoint

from mitouts.errors import CheckpointError, ConfigError
from mitouts.functional.pseudo_masks import disc_masks
from mitouts.models import PointDataPreprocessor
from mitouts.models.detectors import DiscMasks, ScoreMapMasks
from mitouts.registry import MODELS
from mitouts.stain import build_normalizer
from mitouts.structures import PointSample

HEIGHT, WIDTH = 64, 96
DARK_BLOBS: dict[str, Any] = dict(
    type='WSSLocalizer',
    backbone=dict(type='BlobFilter', sigma_px=2.0, stride=4),
    head=dict(type='InstanceHead', aggregator=dict(type='MaxAggregator')),
    data_preprocessor=dict(type='PointDataPreprocessor', mean=(0, 0, 0), std=(1, 1, 1)),
)
Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def blob_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """A checkpoint of a localizer that shows what is dark."""

    def save(**calibration: Any) -> Path:
        model = MODELS.build(DARK_BLOBS)
        with torch.no_grad():
            model.head.classifier.weight.fill_(30.0)
            model.head.classifier.bias.fill_(-7.5)
        meta = {
            'cfg': json.dumps({'model': DARK_BLOBS, 'default_scope': 'mitouts'}),
            'mitouts': {'image_threshold': 0.5, 'map_threshold': 0.5, **calibration},
        }
        torch.save({'meta': meta, 'state_dict': model.state_dict()}, tmp_path / 'blobs.pth')
        return tmp_path / 'blobs.pth'

    return save


def sample_of(*points: tuple[float, float]) -> BaseDataElement:
    sample = PointSample()
    sample.gt_points = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    return sample


def batch_of(*images: NDArray[np.uint8]) -> Tensor:
    tensors = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images]
    return PointDataPreprocessor()({'inputs': tensors})['inputs']


def centre_of(mask: NDArray[np.bool_]) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.mean()), float(rows.mean())


def test_discs_lie_around_the_points_of_each_image() -> None:
    points = [(20.0, 30.5), (33.0, 30.0)]
    first, second = MODELS.build(dict(type='DiscMasks', radius_px=8))(
        torch.zeros(2, 3, HEIGHT, WIDTH), [sample_of(*points), sample_of()]
    )
    np.testing.assert_array_equal(first, disc_masks(points, HEIGHT, WIDTH, 8))
    assert second.shape == (0, HEIGHT, WIDTH)


def test_a_figure_that_the_map_shows_is_the_mask(field: Draw, blob_checkpoint: Callable[..., Path]) -> None:
    seen, beside = (30.0, 22.0), (70.0, 40.0)
    image = field(WIDTH, HEIGHT, [seen, beside], sigma_px=5.0)
    make = MODELS.build(
        dict(type='ScoreMapMasks', checkpoint=str(blob_checkpoint()), max_radius_px=20, fallback_radius_px=3)
    )
    annotated = [seen, (70.0, 46.0), (80.0, 8.0)]
    (masks,) = make(batch_of(image), [sample_of(*annotated)])
    assert masks.shape == (3, HEIGHT, WIDTH)
    assert centre_of(masks[0]) == pytest.approx(seen, abs=1.5)
    assert centre_of(masks[1]) == pytest.approx(beside, abs=1.5)
    assert all(20 < mask.sum() < 400 for mask in masks[:2])
    np.testing.assert_array_equal(masks[2], disc_masks(annotated, HEIGHT, WIDTH, 3)[2])


def test_the_masks_follow_the_batch_however_it_was_augmented(field: Draw, blob_checkpoint: Callable[..., Path]) -> None:
    x, y = 30.0, 22.0
    image = field(WIDTH, HEIGHT, [(x, y)], sigma_px=5.0)
    make = ScoreMapMasks(str(blob_checkpoint()))
    upright, flipped = make(batch_of(image, image[:, ::-1]), [sample_of((x, y)), sample_of((WIDTH - 1 - x, y))])
    assert centre_of(upright[0]) == pytest.approx((x, y), abs=1.5)
    assert centre_of(flipped[0]) == pytest.approx((WIDTH - 1 - x, y), abs=1.5)


def test_a_lower_threshold_gives_a_larger_mask(field: Draw, blob_checkpoint: Callable[..., Path]) -> None:
    batch, samples = batch_of(field(WIDTH, HEIGHT, [(40.0, 30.0)], sigma_px=5.0)), [sample_of((40.0, 30.0))]
    strict, calibrated, loose = (
        ScoreMapMasks(str(blob_checkpoint()), threshold=threshold)(batch, samples)[0][0]
        for threshold in (0.8, None, 0.2)
    )
    assert strict.sum() < calibrated.sum() < loose.sum()
    assert (strict <= calibrated).all()
    assert (calibrated <= loose).all()


def test_what_the_detector_normalizes_otherwise_is_put_right(field: Draw, blob_checkpoint: Callable[..., Path]) -> None:
    image = field(WIDTH, HEIGHT, [(40.0, 30.0)], sigma_px=5.0)
    settings = dict(type='PointDataPreprocessor', mean=(10, 20, 30), std=(2, 3, 4))
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())
    other = MODELS.build(settings)({'inputs': [tensor]})['inputs']
    samples = [sample_of((40.0, 30.0))]
    expected = ScoreMapMasks(str(blob_checkpoint()))(batch_of(image), samples)[0]
    found = ScoreMapMasks(str(blob_checkpoint()), data_preprocessor=settings)(other, samples)[0]
    # Rounding may decide a pixel whose score is that of the threshold.
    assert (found != expected).sum() <= 2


def test_a_map_that_lies_beside_its_figures_is_moved_back(field: Draw, blob_checkpoint: Callable[..., Path]) -> None:
    batch, samples = batch_of(field(WIDTH, HEIGHT, [(40.0, 30.0)], sigma_px=5.0)), [sample_of((36.0, 33.0))]
    straight = ScoreMapMasks(str(blob_checkpoint()))(batch, samples)[0][0]
    moved = ScoreMapMasks(str(blob_checkpoint(drift_px=[4.0, -3.0])))(batch, samples)[0][0]
    np.testing.assert_array_equal(moved, np.roll(straight, (3, -4), axis=(0, 1)))


def test_training_images_of_another_kind_than_the_localizers_are_refused(blob_checkpoint: Callable[..., Path]) -> None:
    make = ScoreMapMasks(str(blob_checkpoint(mpp=0.25, stain_reference=build_normalizer('macenko').describe())))
    make.check_training_input({'mpp': 0.25, 'stain_reference': build_normalizer('macenko').describe()})
    with pytest.raises(CheckpointError, match=r'takes images normalized by macenko .* images are as they were scanned'):
        make.check_training_input({'mpp': None, 'stain_reference': None})
    with pytest.raises(CheckpointError, match=r'takes 0.25 um/px, and the training images have 0.5'):
        make.check_training_input({'mpp': 0.5, 'stain_reference': None})


def test_the_localizer_is_frozen_and_read_once(
    field: Draw, blob_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = blob_checkpoint()
    make = ScoreMapMasks(str(checkpoint))
    batch, samples = batch_of(field(WIDTH, HEIGHT, [(40.0, 30.0)])).requires_grad_(), [sample_of((40.0, 30.0))]
    first = make(batch, samples)[0]
    checkpoint.unlink()
    np.testing.assert_array_equal(make(batch, samples)[0], first)
    localizer = make._localizer
    assert localizer is not None
    assert not localizer.training
    assert not any(parameter.requires_grad for parameter in localizer.parameters())


def test_a_missing_checkpoint_is_only_missed_when_it_is_needed(tmp_path: Path) -> None:
    make = ScoreMapMasks(str(tmp_path / 'best.pth'))
    with pytest.raises(CheckpointError, match=r'best\.pth, whose score map .* does not exist: train a localizer first'):
        make(torch.zeros(1, 3, HEIGHT, WIDTH), [sample_of((4.0, 4.0))])


def test_a_localizer_that_was_never_validated_has_no_threshold(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / 'raw.pth', make_model())
    with pytest.raises(CheckpointError, match='thresholds'):
        ScoreMapMasks(str(checkpoint))(torch.zeros(1, 3, HEIGHT, WIDTH), [sample_of((4.0, 4.0))])


@pytest.mark.parametrize('settings', [dict(max_radius_px=0), dict(fallback_radius_px=-1)], ids=str)
def test_a_radius_that_is_none_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf'masks\.{next(iter(settings))} must be above 0 px'):
        ScoreMapMasks('best.pth', **settings)
    with pytest.raises(ConfigError, match=r'masks\.radius_px must be above 0 px'):
        DiscMasks(radius_px=0)
