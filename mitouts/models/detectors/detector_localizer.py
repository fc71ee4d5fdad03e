"""Trains a box detector of mmdetection on points and predicts points."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn import functional

from mitouts.errors import ConfigError
from mitouts.functional.suppression import suppress_by_distance
from mitouts.models.detectors.pseudo_masks import PseudoMasks
from mitouts.models.heads.base import sample_weights
from mitouts.models.initialization import init_children
from mitouts.registry import MODELS
from mitouts.structures import PointSample

BOX_PX = 50.0
SUPPRESSION_PX = 25.0
SIZE_DIVISOR = 32
HEADS = ('bbox_head', 'rpn_head')


@MODELS.register_module()
class DetectorLocalizer(BaseModel):
    """Trains any detector of mmdetection on the package's data, and is scored by the package's metrics.

    For training every annotated point of a positive image becomes a box around it, whole even where it reaches over
    the image's border, so that its centre stays the point. For prediction the boxes' centres become points, of which
    those within ``suppression_px`` of a stronger one are left out. Images are padded at their right and lower side to a
    multiple of 32 px, so that any pyramid takes them.

    Args:
        detector: Config of the detector, with ``_scope_='mmdet'`` and one class; its ``data_preprocessor`` is not used.
        box_px: Side of the boxes; 50 px at 0.25 um/px as in the annotation files.
        suppression_px: Radius of the suppression by distance.
        masks: Config of what makes pseudo-masks of points, for detectors that learn masks.
        data_preprocessor: Config.

    Attributes:
        calibration: Values that a count needs beside the weights; see :class:`~mitouts.models.localizer.WSSLocalizer`.
        geometry: None: there is no score map.

    Raises:
        ConfigError: mmdetection or its compiled operations are missing, or the detector cannot be built.
    """

    geometry = None

    def __init__(
        self,
        detector: dict[str, Any],
        box_px: float = BOX_PX,
        suppression_px: float = SUPPRESSION_PX,
        masks: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        need_detection()
        super().__init__(data_preprocessor=MODELS.build(data_preprocessor or dict(type='PointDataPreprocessor')))
        if box_px <= 0 or suppression_px < 0:
            raise ConfigError(
                'model.box_px must be positive and model.suppression_px at least 0, found '
                f'{box_px} and {suppression_px}'
            )
        # mmdetection writes into the dicts that it builds from, and this one is saved in the checkpoint.
        self.detector: Any = MODELS.build(ConfigDict(copy.deepcopy(dict(detector))))
        self.box_px = box_px
        self.suppression_px = suppression_px
        self.make_masks: PseudoMasks | None = None if masks is None else MODELS.build_kind(masks, PseudoMasks)
        if self.data_preprocessor.memory_format == torch.channels_last:
            self.to(memory_format=torch.channels_last)
            _keep_compiled_operations_contiguous(self.detector)
        self._watch = _FiniteWatch(self.detector)
        self.calibration: dict[str, Any] = {}

    def init_weights(self) -> None:
        init_children(self)

    def check_training_input(self, learnt: Mapping[str, Any]) -> None:
        """Check that pseudo-masks can be made for training images of this resolution and stain.

        Args:
            learnt: ``mpp`` and ``stain_reference`` of the training images.

        Raises:
            CheckpointError: The localizer that makes the masks was trained on other images.
        """
        if self.make_masks is not None:
            self.make_masks.check_training_input(learnt)

    def forward(
        self, inputs: Tensor, data_samples: list[PointSample] | None = None, mode: str = 'tensor'
    ) -> dict[str, Any] | list[PointSample] | Any:
        """Run the network.

        Args:
            inputs: Tensor ``(N, 3, H, W)``, normalized.
            data_samples: One sample an image.
            mode: ``loss`` gives a dict of losses, ``predict`` the samples with ``pred_score`` and ``pred_points``,
                ``tensor`` the detector's raw output.

        Raises:
            ConfigError: A sample has a weight, which detectors cannot take.
        """
        if mode not in ('loss', 'predict', 'tensor'):
            raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', found {mode!r}")
        padded = _pad(inputs)
        if mode == 'tensor':
            return self.detector(padded, _empty_samples(inputs, padded), mode='tensor')
        assert data_samples is not None, f'mode {mode!r} needs data_samples'
        if mode == 'loss':
            return self.detector.loss(padded, self._training_samples(inputs, padded, data_samples))
        with self._watch.begun():
            detections = self.detector.predict(padded, _empty_samples(inputs, padded), rescale=False)
        for sample, detected in zip(data_samples, detections):
            points = self._points(detected.pred_instances, inputs.shape[-2], inputs.shape[-1])
            if self._watch.saw_broken:
                # The evaluator says what a score that is not finite means.
                points = torch.full((1, 3), torch.nan)
            sample.pred_points = points
            sample.pred_score = float(points[0, 2]) if len(points) else 0.0
        return data_samples

    def _training_samples(self, inputs: Tensor, padded: Tensor, samples: Sequence[PointSample]) -> list[Any]:
        if any(weight != 1 for weight in sample_weights(samples)):
            raise ConfigError(
                'a detector takes no sample weights, and the training set has some: train it on an annotation file '
                'without images[].weight'
            )
        targets = _empty_samples(inputs, padded)
        shown = [_with_its_figures(sample) for sample in samples]
        masks = None if self.make_masks is None else self.make_masks(inputs, shown)
        for index, (target, sample) in enumerate(zip(targets, shown)):
            points = sample.gt_points.to(inputs.device)
            boxes = torch.cat([points - self.box_px / 2, points + self.box_px / 2], dim=1)
            target.gt_instances = _instances(boxes)
            target.ignored_instances = _instances(boxes[:0])
            if masks is not None:
                target.gt_instances.masks = _bitmap_masks(masks[index], padded)
        return targets

    def _points(self, instances: InstanceData, height: int, width: int) -> Tensor:
        """Turn boxes into points ``(P, 3)``, float32, by descending score; only those inside the image are kept."""
        boxes, scores = instances.bboxes.detach().float().cpu(), instances.scores.detach().float().cpu()
        points = torch.stack([boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1), scores], dim=1)
        inside = (points[:, 0] >= -0.5) & (points[:, 0] < width - 0.5)
        inside &= (points[:, 1] >= -0.5) & (points[:, 1] < height - 0.5)
        kept = points[inside].numpy().astype(np.float64)
        return torch.from_numpy(kept[suppress_by_distance(kept, self.suppression_px)].astype(np.float32))


class _FiniteWatch:
    """Notices outputs of a detector's heads that are not finite; mmdetection would silently drop such boxes."""

    def __init__(self, detector: nn.Module) -> None:
        self.saw_broken = False
        self._watches = False
        for name, module in detector.named_modules():
            if name.split('.')[-1] in HEADS:
                module.register_forward_hook(self._look)

    @contextmanager
    def begun(self) -> Iterator[None]:
        self.saw_broken, self._watches = False, True
        try:
            yield
        finally:
            self._watches = False

    def _look(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._watches:
            self.saw_broken = self.saw_broken or not all(bool(each.isfinite().all()) for each in _tensors(output))


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (list, tuple)):
        for each in output:
            yield from _tensors(each)


def _with_its_figures(sample: PointSample) -> PointSample:
    """Remove the points of a negative image: labels may be corrected without the points."""
    if sample.gt_label == 1 or not len(sample.gt_points):
        return sample
    bare = sample.clone()
    bare.gt_points = sample.gt_points[:0]
    return bare


def need_detection() -> None:
    """Check that detectors can be built.

    Raises:
        ConfigError: mmdetection is not installed, or without mmcv's compiled operations.
    """
    try:
        with warnings.catch_warnings():
            # Their sources hold escape sequences and old interfaces that newer interpreters warn of.
            warnings.simplefilter('ignore')
            import mmcv.ops  # noqa: F401
            import mmdet.models  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"detectors need mmdetection and mmcv's compiled operations, which are not here ({error}): "
            'run make detection'
        ) from error
    # mmdetection's own call, which nobody who trains a detector can change.
    warnings.filterwarnings('ignore', 'torch.meshgrid: in an upcoming release', UserWarning)


def _keep_compiled_operations_contiguous(detector: nn.Module) -> None:
    """Make tensors contiguous for mmcv's operations, which would silently misread other memory formats."""

    def as_contiguous(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(each.contiguous() if isinstance(each, Tensor) else each for each in arguments)

    for module in detector.modules():
        if type(module).__module__.startswith('mmcv.ops'):
            module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            module.register_forward_pre_hook(as_contiguous)


def _pad(inputs: Tensor) -> Tensor:
    height, width = inputs.shape[-2:]
    below, right = -height % SIZE_DIVISOR, -width % SIZE_DIVISOR
    return functional.pad(inputs, (0, right, 0, below)) if below or right else inputs


def _empty_samples(inputs: Tensor, padded: Tensor) -> list[Any]:
    """Make mmdetection's samples without annotations, one for each image."""
    from mmdet.structures import DetDataSample

    size, padded_size = tuple(inputs.shape[-2:]), tuple(padded.shape[-2:])
    meta = {
        'img_shape': size,
        'ori_shape': size,
        'pad_shape': padded_size,
        'batch_input_shape': padded_size,
        'scale_factor': (1.0, 1.0),
    }
    return [DetDataSample(metainfo={**meta, 'img_id': index}) for index in range(len(inputs))]


def _instances(boxes: Tensor) -> InstanceData:
    return InstanceData(bboxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device))


def _bitmap_masks(masks: np.ndarray, padded: Tensor) -> Any:
    from mmdet.structures.mask import BitmapMasks

    height, width = padded.shape[-2:]
    whole = np.zeros((len(masks), height, width), dtype=np.uint8)
    whole[:, : masks.shape[1], : masks.shape[2]] = masks
    return BitmapMasks(whole, height, width)
