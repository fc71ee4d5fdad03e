"""Reads, crops, resamples, augments and packs images with label maps."""

from __future__ import annotations

from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mitouts.errors import ConfigError, ImageError
from mitouts.functional.segmentation import IGNORE_INDEX, UNKNOWN_INDEX
from mitouts.imaging import MAX_UPSAMPLING
from mitouts.imaging.label_image import read_labels
from mitouts.registry import TRANSFORMS
from mitouts.structures import TissueSample
from mitouts.transforms.augment import Augment
from mitouts.transforms.base import Transform
from mitouts.transforms.packing import pack

_CROP_TRIES = 10
_SAME_RESOLUTION = 0.01


@TRANSFORMS.register_module()
class LoadLabels(Transform):
    """Read ``mask_path`` as classes, uint8 ``(H, W)``, into ``gt_labels``, by the data set's ``code_table``.

    Raises:
        ImageError: The label image is missing, unreadable, of another size than the image, or holds a code that the
            data set neither maps nor ignores.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        codes = read_labels(results['mask_path'], expected_size=(results['width'], results['height']))
        labels = results['code_table'][codes]
        unknown = labels == UNKNOWN_INDEX
        if unknown.any():
            listed = ', '.join(str(code) for code in np.unique(codes[unknown]))
            raise ImageError(
                f'label image {results["mask_path"]} holds codes that the data set does not name ({listed}): add them '
                'to label_map or to ignore_codes'
            )
        results['gt_labels'] = labels
        return results


@TRANSFORMS.register_module()
class ResampleTissue(Transform):
    """Resample a whole image and its labels to a resolution.

    Args:
        mpp: Micrometres per pixel.

    Raises:
        ImageError: The image would have to be enlarged more than 1.5 times.
    """

    def __init__(self, mpp: float) -> None:
        self.mpp = _positive_mpp('ResampleTissue.mpp', mpp)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        scale = _scale(results, self.mpp)
        height, width = results['gt_labels'].shape
        return _resized(results, (max(round(height * scale), 1), max(round(width * scale), 1)), self.mpp)


@TRANSFORMS.register_module()
class RandomTissueCrop(Transform):
    """Cut a random square and resample it to a resolution; the rest is not resampled.

    An image that is too small is mirrored beyond its border, without labels there.

    Args:
        size_px: Side of the square, at ``mpp``.
        mpp: Micrometres per pixel.
        min_labelled: Share of the square that must be labelled; the best of ten squares is taken if none reaches it.

    Raises:
        ImageError: The image would have to be enlarged more than 1.5 times.
    """

    stream_key: ClassVar[tuple[int, ...]] = (2,)

    def __init__(self, size_px: int, mpp: float, min_labelled: float = 0.25) -> None:
        if size_px < 1:
            raise ConfigError(f'RandomTissueCrop.size_px must be at least 1, found {size_px}')
        if not 0 <= min_labelled <= 1:
            raise ConfigError(f'RandomTissueCrop.min_labelled must be from 0 to 1, found {min_labelled}')
        self.size_px = size_px
        self.mpp = _positive_mpp('RandomTissueCrop.mpp', mpp)
        self.min_labelled = min_labelled

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        generator = self.generator(results)
        side = max(round(self.size_px / _scale(results, self.mpp)), 1)
        _pad_to(results, side)
        rows, columns = self._choose(results['gt_labels'], side, generator)
        results['img'] = np.ascontiguousarray(results['img'][rows, columns])
        results['gt_labels'] = np.ascontiguousarray(results['gt_labels'][rows, columns])
        return _resized(results, (self.size_px, self.size_px), self.mpp)

    def _choose(self, labels: NDArray[np.uint8], side: int, generator: np.random.Generator) -> tuple[slice, slice]:
        height, width = labels.shape
        best, most = (slice(0, side), slice(0, side)), -1.0
        for _ in range(_CROP_TRIES):
            y, x = (int(generator.integers(length - side + 1)) for length in (height, width))
            window = slice(y, y + side), slice(x, x + side)
            labelled = float((labels[window] != IGNORE_INDEX).mean())
            if labelled > most:
                best, most = window, labelled
            if labelled >= self.min_labelled:
                break
        return best


@TRANSFORMS.register_module()
class AugmentTissue(Augment):
    """Apply albumentations to an image and its labels.

    The arguments are those of :class:`~mitouts.transforms.augment.Augment`. Labels are never interpolated. Pixels that
    are mirrored in at the border bring their labels with them.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        nothing = np.zeros((0, 2), dtype=np.float32)
        out = self._seeded(results)(image=results['img'], mask=results['gt_labels'], keypoints=nothing, counted=[])
        results['img'], results['gt_labels'] = out['image'], out['mask']
        return results


@TRANSFORMS.register_module()
class PackTissueSample(Transform):
    """Pack a pipeline's dict into ``inputs`` (uint8 tensor ``(3, H, W)``, RGB) and ``data_samples``."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        sample = TissueSample()
        sample.gt_labels = torch.from_numpy(np.ascontiguousarray(results['gt_labels']))
        return pack(results, sample)


def _positive_mpp(name: str, mpp: float) -> float:
    if not (np.isfinite(mpp) and mpp > 0):
        raise ConfigError(f'{name} must be micrometres per pixel above 0, found {mpp}')
    return float(mpp)


def _scale(results: dict[str, Any], mpp: float) -> float:
    scale = results['mpp'] / mpp
    if scale > MAX_UPSAMPLING:
        raise ImageError(
            f'image {results["img_path"]} has {results["mpp"]} um/px and {mpp} are wanted: enlarging it {scale:.2f} '
            f'times would invent detail (at most {MAX_UPSAMPLING})'
        )
    return 1.0 if abs(scale - 1) < _SAME_RESOLUTION else scale


def _resized(results: dict[str, Any], shape: tuple[int, int], mpp: float) -> dict[str, Any]:
    """Resize ``img`` and ``gt_labels`` to this height and width, and set ``mpp``."""
    if results['gt_labels'].shape != shape:
        size = (shape[1], shape[0])
        smaller = shape[0] < results['gt_labels'].shape[0]
        results['img'] = cv2.resize(results['img'], size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        results['gt_labels'] = cv2.resize(results['gt_labels'], size, interpolation=cv2.INTER_NEAREST_EXACT)
    results['mpp'] = mpp
    return results


def _pad_to(results: dict[str, Any], side: int) -> None:
    height, width = results['gt_labels'].shape
    below, beside = max(side - height, 0), max(side - width, 0)
    if below or beside:
        results['img'] = np.pad(results['img'], ((0, below), (0, beside), (0, 0)), mode='symmetric')
        results['gt_labels'] = np.pad(results['gt_labels'], ((0, below), (0, beside)), constant_values=IGNORE_INDEX)
