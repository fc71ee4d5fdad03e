"""The localizer's three modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from mitouts.functional.geometry import AlignCornersGeometry, map_maximum
from mitouts.models import WSSLocalizer
from mitouts.models.heads.base import HeadOutput
from mitouts.registry import MODELS
from mitouts.structures import PointSample


def _localizer(**arguments: Any) -> WSSLocalizer:
    torch.manual_seed(0)
    localizer = MODELS.build(
        {
            'type': 'WSSLocalizer',
            'backbone': {'type': 'EfficientNetLite', 'stride': 8, 'weights': None},
            'head': {'type': 'InstanceHead', 'aggregator': {'type': 'MaxAggregator'}},
            **arguments,
        }
    )
    localizer.init_weights()
    return localizer


def _inputs() -> Tensor:
    return torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


def _samples(labels: tuple[int, ...] = (1, 0)) -> list[PointSample]:
    samples = [PointSample(metainfo={'img_id': index}) for index in range(len(labels))]
    for sample, label in zip(samples, labels):
        sample.gt_label = label
        sample.gt_points = torch.zeros(label, 2)
    return samples


def test_parts_know_of_each_other() -> None:
    localizer = _localizer()
    assert localizer.head.classifier.in_channels == localizer.backbone.out_channels
    assert localizer.geometry is localizer.backbone.geometry
    assert localizer.calibration == {}


def test_tensor_mode_gives_the_heads_output() -> None:
    output = _localizer().eval()(_inputs())
    assert isinstance(output, HeadOutput)
    assert output.image_logit.shape == (2,)
    assert output.score_map.shape == (2, 4, 6)


@torch.no_grad()
def test_predict_mode_puts_score_and_map_into_the_samples() -> None:
    localizer, samples = _localizer().eval(), _samples()
    output = localizer(_inputs())
    predicted = localizer(_inputs(), samples, mode='predict')
    assert [sample.img_id for sample in predicted] == [0, 1]
    for index, sample in enumerate(predicted):
        assert sample is samples[index]
        assert sample.pred_score == pytest.approx(torch.sigmoid(output.image_logit[index]).item())
        torch.testing.assert_close(sample.pred_map, output.score_map[index])
        assert sample.gt_label == (1, 0)[index]


def test_loss_mode_compares_with_the_image_labels_alone() -> None:
    localizer = _localizer().eval()
    losses = localizer(_inputs(), _samples(), mode='loss')
    scores = torch.sigmoid(localizer(_inputs()).image_logit)
    expected = -(scores[0].log() + (1 - scores[1]).log()) / 2
    assert set(losses) == {'loss_image'}
    torch.testing.assert_close(losses['loss_image'], expected)
    without_points = _samples()
    without_points[0].gt_points = torch.zeros(0, 2)
    torch.testing.assert_close(localizer(_inputs(), without_points, mode='loss')['loss_image'], expected)


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be 'loss', 'predict' or 'tensor', found 'train'"):
        _localizer()(_inputs(), _samples(), mode='train')


def test_a_few_steps_on_raw_images_lower_the_loss() -> None:
    localizer = _localizer().train()
    optimizer = OptimWrapper(torch.optim.AdamW(localizer.parameters(), lr=3e-3))
    bright, dark = torch.full((3, 32, 48), 220, dtype=torch.uint8), torch.full((3, 32, 48), 60, dtype=torch.uint8)
    data = {'inputs': [dark, bright], 'data_samples': _samples()}
    losses = [localizer.train_step(data, optimizer)['loss'].item() for _ in range(8)]
    assert losses[-1] < 0.5 * losses[0]


def test_validation_step_predicts() -> None:
    data = {'inputs': [torch.zeros(3, 32, 48, dtype=torch.uint8)] * 2, 'data_samples': _samples()}
    with torch.no_grad():
        predicted = _localizer().eval().val_step(data)
    assert [sample.pred_map.shape for sample in predicted] == [(4, 6), (4, 6)]


@pytest.mark.parametrize('channels_last', [False, True])
def test_weights_follow_the_memory_format_of_the_images(channels_last: bool) -> None:
    localizer = _localizer(data_preprocessor={'type': 'PointDataPreprocessor', 'channels_last': channels_last})
    assert localizer.backbone._conv_stem.weight.is_contiguous(memory_format=torch.channels_last) is channels_last


def test_predictions_do_not_depend_on_the_memory_format() -> None:
    outputs = []
    for channels_last in (False, True):
        localizer = _localizer(data_preprocessor={'type': 'PointDataPreprocessor', 'channels_last': channels_last})
        images = {'inputs': [torch.full((3, 32, 48), 90, dtype=torch.uint8)]}
        outputs.append(localizer.eval()(localizer.data_preprocessor(images)['inputs']))
    torch.testing.assert_close(outputs[0].score_map, outputs[1].score_map, atol=1e-5, rtol=1e-4)


def _head(**arguments: Any) -> dict[str, Any]:
    return {'type': 'InstanceHead', 'aggregator': {'type': 'MaxAggregator'}, **arguments}


def test_extra_losses_see_the_points_of_the_samples() -> None:
    head = _head(extra_losses=[{'type': 'CentroidConstraintLoss', 'weight': 1.0}])
    localizer, samples = _localizer(head=head).eval(), _samples()
    with torch.no_grad():
        localizer.head.classifier.weight.zero_()
    losses = localizer(_inputs(), samples, mode='loss')
    # Of a flat map the centroid is the mean place of the cells, 7 + 8 i px here, and the figure lies at (0, 0).
    assert localizer.geometry.to_dict() | {'receptive_radius_px': 0} == {
        'stride': 8,
        'center_offset_px': 7.0,
        'receptive_radius_px': 0,
    }
    assert losses['loss_centroid'].item() == pytest.approx(np.hypot(7 + 8 * 2.5, 7 + 8 * 1.5))


def test_weights_of_the_samples_reach_the_loss() -> None:
    localizer, samples = _localizer().eval(), _samples()
    samples[0].gt_weight, samples[1].gt_weight = 0.0, 0.7
    losses = localizer(_inputs(), samples, mode='loss')
    score = torch.sigmoid(localizer(_inputs()).image_logit[1])
    torch.testing.assert_close(losses['loss_image'], -(1 - score).log())


@torch.no_grad()
def test_an_upsampled_maximum_is_the_maximum_of_the_map_as_it_is_read() -> None:
    localizer, samples = _localizer(head=_head(upsample='align_corners')).eval(), _samples()
    localizer.head.classifier.weight.normal_()
    predicted = localizer(_inputs(), samples, mode='predict')
    assert isinstance(localizer.geometry, AlignCornersGeometry)
    for sample in predicted:
        assert sample.pred_map.shape == (4, 6)
        assert sample.pred_score < sample.pred_map.max()
        assert map_maximum(sample.pred_map.numpy(), 32, 48, localizer.geometry) == pytest.approx(sample.pred_score)
