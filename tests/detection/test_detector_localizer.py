"""From points to boxes, and back from boxes to points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from tiny_detection import CONFIGS, tiny, write_phantom
from torch import Tensor

from mitouts.engine import runs
from mitouts.errors import AnnotationError, ConfigError
from mitouts.functional.pseudo_masks import disc_masks
from mitouts.models import PointDataPreprocessor
from mitouts.models.detectors import DetectorLocalizer
from mitouts.registry import MODELS
from mitouts.structures import PointSample

pytestmark = pytest.mark.filterwarnings('ignore:torch.meshgrid:UserWarning')

BASES = CONFIGS.parent / '_base_' / 'models' / 'detection'
SMALL = ('retinanet_lite0', 'faster-rcnn_lite0', 'mask-rcnn_lite0', 'fcos_lite0', 'rtmdet_lite0')
LARGE = (
    'retinanet_r18-fpn',
    'retinanet_r50-fpn',
    'faster-rcnn_r50-fpn',
    'mask-rcnn_r50-fpn',
    'fcos_r50-fpn',
    'rtmdet-s',
)
SIZE_PX = 128
Draw = Callable[..., NDArray[np.uint8]]


def settings_of(base: str) -> Any:
    settings = Config.fromfile(BASES / f'{base}.py').model
    if 'weights' in settings.detector.backbone:
        settings.detector.backbone.weights = None
    return settings


def make_detector(base: str = 'retinanet_lite0') -> DetectorLocalizer:
    """A detector with random weights whose scores differ from place to place."""
    init_default_scope('mitouts')
    torch.manual_seed(0)
    model = MODELS.build(settings_of(base))
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    # One look at images gives the batch norms statistics, without which the features of some heads vanish.
    with torch.no_grad():
        model.train()(batch_of(noise(SIZE_PX, SIZE_PX, 8), noise(SIZE_PX, SIZE_PX, 9)))
    for name, parameter in model.named_parameters():
        if any(part in name for part in ('retina_cls', 'conv_cls', 'rpn_cls', 'fc_cls', 'rtm_cls')):
            torch.nn.init.normal_(parameter, std=0.3)
        elif 'rtm_reg' in name and name.endswith('bias'):
            torch.nn.init.constant_(parameter, 2.0)
    return model.eval()


def sample_of(*points: tuple[float, float], label: int | None = None) -> Any:
    sample = PointSample(metainfo=dict(img_id=1, ori_shape=(SIZE_PX, SIZE_PX)))
    sample.gt_points = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    sample.gt_label = int(len(points) > 0) if label is None else label
    sample.gt_weight = 1.0
    return sample


def batch_of(*images: NDArray[np.uint8]) -> Tensor:
    tensors = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images]
    return PointDataPreprocessor()({'inputs': tensors})['inputs']


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@torch.inference_mode()
def predict(model: DetectorLocalizer, *images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    found = model(batch_of(*images), [sample_of() for _ in images], 'predict')
    for sample in found:
        assert sample.pred_score == pytest.approx(
            sample.pred_points[:, 2].amax().item() if len(sample.pred_points) else 0
        )
    return [sample.pred_points.numpy() for sample in found]


def answer_with(
    monkeypatch: pytest.MonkeyPatch, model: DetectorLocalizer, points: list[tuple[float, float, float]]
) -> None:
    """Let the detector find perfect boxes of 50 px."""
    places = torch.tensor(points).reshape(-1, 3)
    boxes = torch.cat([places[:, :2] - 25, places[:, :2] + 25], dim=1)
    detections = SimpleNamespace(pred_instances=InstanceData(bboxes=boxes, scores=places[:, 2]))
    monkeypatch.setattr(model.detector, 'predict', lambda *_, **__: [detections])


def test_one_image_can_be_learnt_by_heart(field: Draw) -> None:
    figures = [(80.0, 50.0), (6.0, 110.0)]
    image, samples = field(SIZE_PX, SIZE_PX, figures, sigma_px=6.0), [sample_of(*figures)]
    init_default_scope('mitouts')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(BASES / 'retinanet_lite0.py').model)
    model.init_weights()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        loss, _ = model.parse_losses(model(batch_of(image), samples, 'loss'))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] / 5
    (points,) = predict(model.eval(), image)
    found = points[points[:, 2] > 0.5, :2]
    assert sorted(map(tuple, found)) == [pytest.approx(figure, abs=3) for figure in sorted(figures)]


@pytest.mark.parametrize('point', [(64.0, 40.0), (0.0, 0.0), (127.0, 3.5), (40.25, 126.75)], ids=str)
def test_a_perfect_box_is_its_point(monkeypatch: pytest.MonkeyPatch, point: tuple[float, float]) -> None:
    model = make_detector()
    answer_with(monkeypatch, model, [(*point, 0.75)])
    (points,) = predict(model, noise(SIZE_PX, SIZE_PX))
    np.testing.assert_allclose(points, [(*point, 0.75)])


@pytest.mark.parametrize('base', [*SMALL, *LARGE])
def test_no_coder_moves_a_point_at_the_border(base: str) -> None:
    with torch.device('meta'):
        model = MODELS.build(settings_of(base))
    figures = torch.tensor([(64.0, 40.0), (0.0, 0.0), (127.0, 3.5), (40.25, 126.75)])
    boxes = torch.cat([figures - 25, figures + 25], dim=1)
    start = torch.tensor([(60.0, 44.0), (4.0, 4.0), (116.0, 12.0), (36.0, 116.0)])
    coders = {name: module.bbox_coder for name, module in model.named_modules() if hasattr(module, 'bbox_coder')}
    assert coders
    for name, coder in coders.items():
        is_distance = type(coder).__name__ == 'DistancePointBBoxCoder'
        origin = start if is_distance else torch.cat([start - 25, start + 25], dim=1)
        found = coder.decode(origin, coder.encode(origin, boxes), max_shape=(SIZE_PX, SIZE_PX))
        torch.testing.assert_close(found, boxes, atol=1e-3, rtol=0, msg=name)


@pytest.mark.parametrize('base', [*SMALL, *LARGE])
def test_every_level_has_an_anchor_of_the_figures_size_on_each_cell(base: str) -> None:
    settings = settings_of(base)
    model = MODELS.build(settings)
    heads = [part for name in ('bbox_head', 'rpn_head') if (part := getattr(model.detector, name, None)) is not None]
    (head,) = [head for head in heads if hasattr(head, 'prior_generator')]
    shapes = [(SIZE_PX // stride, SIZE_PX // stride) for stride, _ in head.prior_generator.strides]
    backbone = model.detector.backbone
    offsets = [getattr(level, 'center_offset_px', 0) for level in getattr(backbone, 'level_geometries', [None] * 3)]
    priors = head.prior_generator.grid_priors(shapes, device='cpu')
    assert len(priors) == len(offsets)
    for level, offset_px, (stride, _) in zip(priors, offsets, head.prior_generator.strides, strict=True):
        centres = level if level.shape[1] == 2 else (level[:, :2] + level[:, 2:]) / 2
        # A regressed distance is as easily learnt from half a cell beside; an anchor is matched by where it lies.
        slack_px = stride if level.shape[1] == 2 else 0
        assert (centres[0] - offset_px).abs().max() <= slack_px
        assert (centres[1] - centres[0]).tolist() == [stride, 0]
        if level.shape[1] == 4:
            assert (level[:, 2:] - level[:, :2]).unique().tolist() == [50]


def test_two_figures_whose_boxes_overlap_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_detector()
    answer_with(monkeypatch, model, [(40.0, 40.0, 0.6), (70.0, 40.0, 0.9), (55.0, 90.0, 0.8), (60.0, 105.0, 0.7)])
    (points,) = predict(model, noise(SIZE_PX, SIZE_PX))
    # The last one is less than 25 px from a stronger one.
    np.testing.assert_allclose(points, [(70, 40, 0.9), (55, 90, 0.8), (40, 40, 0.6)], rtol=1e-6)


def test_a_box_whose_centre_is_outside_is_no_point(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_detector()
    answer_with(monkeypatch, model, [(-3.0, 40.0, 0.9), (40.0, 128.0, 0.8), (90.0, 20.0, 0.3)])
    (points,) = predict(model, noise(SIZE_PX, SIZE_PX))
    np.testing.assert_allclose(points, [(90, 20, 0.3)], rtol=1e-6)


@pytest.mark.parametrize('base', SMALL)
def test_images_of_any_size_are_taken(base: str) -> None:
    model = make_detector(base)
    height, width = 84, 500
    (points,) = predict(model, noise(height, width))
    assert len(points)
    assert (points[:, :2] >= -0.5).all()
    assert (points[:, :2] < np.array([width, height]) - 0.5).all()
    model.train()
    figures = sample_of((490.0, 80.0), (30.0, 3.0))
    losses = model(batch_of(noise(height, width), noise(height, width, 1)), [figures, sample_of()], 'loss')
    assert torch.isfinite(model.parse_losses(losses)[0])


@pytest.mark.parametrize('base', SMALL)
def test_an_image_is_judged_alike_in_any_company(base: str) -> None:
    model = make_detector(base)
    images = [noise(SIZE_PX, SIZE_PX, seed) for seed in range(3)]
    together = predict(model, *images)
    for image, expected in zip(images, together):
        (alone,) = predict(model, image)
        assert len(expected)
        np.testing.assert_allclose(alone, expected, atol=1e-3)


@pytest.mark.parametrize('base', ['faster-rcnn_lite0', 'mask-rcnn_lite0'])
def test_the_memory_format_changes_nothing(base: str) -> None:
    # mmcv's operations read a tensor that is channels-last as if it were contiguous.
    fast = make_detector(base)
    settings = settings_of(base)
    settings.data_preprocessor.channels_last = False
    plain = MODELS.build(settings).eval()
    plain.load_state_dict(fast.state_dict())
    images = batch_of(*(noise(SIZE_PX, SIZE_PX, seed) for seed in range(2)))
    assert images.is_contiguous(memory_format=torch.channels_last)
    points, losses = _points_and_losses(fast, images)
    same_points, same_losses = _points_and_losses(plain, images.contiguous())
    assert len(points)
    np.testing.assert_allclose(points, same_points, atol=1e-3)
    assert losses == pytest.approx(same_losses, rel=1e-3)


def _points_and_losses(model: DetectorLocalizer, batch: Tensor) -> tuple[NDArray[np.float32], dict[str, float]]:
    first, _ = model(batch, [sample_of(), sample_of()], 'predict')
    torch.manual_seed(0)
    losses = model(batch, [sample_of((60.0, 50.0)), sample_of((30.0, 90.0))], 'loss')
    kept = [key for key in ('loss_cls', 'loss_bbox', 'loss_mask') if key in losses]
    return first.pred_points.numpy(), {key: losses[key].item() for key in kept}


def test_a_detector_of_masks_is_given_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_detector('mask-rcnn_lite0').train()
    figures = [(60.0, 50.0), (80.0, 50.0), (3.0, 90.0)]
    seen = []
    learn = model.detector.loss
    monkeypatch.setattr(model.detector, 'loss', lambda inputs, samples: seen.extend(samples) or learn(inputs, samples))
    height, width = 100, 120
    losses = model(batch_of(noise(height, width), noise(height, width, 1)), [sample_of(*figures), sample_of()], 'loss')
    assert losses['loss_mask'] > 0
    masks = seen[0].gt_instances.masks.masks
    assert masks.shape == (3, 128, 128)
    np.testing.assert_array_equal(masks[:, :height, :width], disc_masks(figures, height, width, 15))
    assert masks[:, height:].sum() == masks[:, :, width:].sum() == 0
    assert seen[1].gt_instances.masks.masks.shape == (0, 128, 128)


def test_masks_are_not_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_detector('mask-rcnn_lite0')
    monkeypatch.setattr(model.detector.roi_head.mask_head, 'forward', lambda *_: pytest.fail('a mask was computed'))
    assert len(predict(model, noise(SIZE_PX, SIZE_PX))[0])


def test_the_localizer_that_makes_masks_is_no_part_of_the_detector(tmp_path: Path) -> None:
    settings = settings_of('mask-rcnn_lite0_score-map')
    settings.masks.checkpoint = str(write_phantom(tmp_path) / 'localizer.pth')
    model = MODELS.build(settings)
    plain = MODELS.build(settings_of('mask-rcnn_lite0'))
    losses = model(batch_of(noise(SIZE_PX, SIZE_PX)), [sample_of((60.0, 50.0))], 'loss')
    assert torch.isfinite(model.parse_losses(losses)[0])
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert len(list(model.parameters())) == len(list(plain.parameters()))


def test_positive_images_without_points_are_refused(write_dataset: Any, tmp_path: Path) -> None:
    ann_file = write_dataset([{'label': 1, 'case_id': 'a'}, {'label': 0, 'case_id': 'b'}, {'points': [(20.0, 20.0)]}])
    config = tiny(CONFIGS / 'retinanet_lite0.py', write_phantom(tmp_path / 'data'))
    config.train_dataloader.dataset.ann_file = str(ann_file)
    with pytest.raises(AnnotationError, match='1 of 3 images are labelled positive without an annotated point'):
        runs.train(config, tmp_path / 'run')


def test_a_negative_image_has_no_figure_whatever_is_annotated_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_detector('mask-rcnn_lite0').train()
    seen = []
    learn = model.detector.loss
    monkeypatch.setattr(model.detector, 'loss', lambda inputs, samples: seen.extend(samples) or learn(inputs, samples))
    model(batch_of(noise(SIZE_PX, SIZE_PX)), [sample_of((60.0, 50.0), label=0)], 'loss')
    assert len(seen[0].gt_instances.bboxes) == len(seen[0].gt_instances.masks) == 0


@pytest.mark.parametrize('base', SMALL)
def test_weights_that_are_not_finite_are_no_empty_prediction(base: str) -> None:
    model = make_detector(base)
    (before,) = model(batch_of(noise(SIZE_PX, SIZE_PX)), [sample_of()], 'predict')
    assert np.isfinite(before.pred_score)
    torch.nn.init.constant_(next(model.detector.neck.parameters()), torch.nan)
    with torch.no_grad():
        (sample,) = model(batch_of(noise(SIZE_PX, SIZE_PX)), [sample_of()], 'predict')
    assert np.isnan(sample.pred_score)
    assert torch.isnan(sample.pred_points).all()


def test_sample_weights_are_refused() -> None:
    sample = sample_of((60.0, 50.0))
    sample.gt_weight = 0.5
    with pytest.raises(ConfigError, match='a detector takes no sample weights'):
        make_detector()(batch_of(noise(SIZE_PX, SIZE_PX)), [sample], 'loss')


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="found 'train'"):
        make_detector()(batch_of(noise(SIZE_PX, SIZE_PX)), [sample_of()], 'train')
