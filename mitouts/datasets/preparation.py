"""Gives a data set's images the colours that a model was trained on, and checks their resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mitouts.errors import AnnotationError
from mitouts.imaging.image import read_rgb
from mitouts.stain import Fit
from mitouts.stain.preparation import MPP_TOLERANCE, ImagePreparer, describe_colours, same_colours
from mitouts.transforms import LoadImage, StainNormalize
from mitouts.transforms.base import Transform

MAX_IMAGES_PER_FIT = 64


class NormalizeLikeTraining(Transform):
    """Gives the images of a data set the colours that a model was trained on; built from a checkpoint, not a config.

    The stain is measured on the same unit as in training: each image file (patches of one ``source_image`` together),
    all images of a case (at most 64 of them, evenly chosen), or each patch by itself. An
    image that cannot be measured stays as it is.

    Args:
        calibration: Calibration of the model, with a ``stain_reference``.
        infos: The data set's entries: ``img_path``, ``case_id`` and, for patches, ``source_image``.
    """

    def __init__(self, calibration: Mapping[str, Any], infos: Sequence[Mapping[str, Any]]) -> None:
        self.preparer = ImagePreparer(calibration)
        self.description = dict(calibration['stain_reference'])
        self._files: dict[str, list[str]] = {}
        for info in infos:
            self._files.setdefault(self._group(info), []).append(info['img_path'])
        # A file may hold several entries, such as crops.
        self._files = {group: list(dict.fromkeys(files)) for group, files in self._files.items()}
        self._fits: dict[str, Fit | None] = {}

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        group = self._group(results)
        if self._files[group] == [results['img_path']] and results['img'].shape[:2] == _file_shape(results):
            results['img'], note = self.preparer.normalize(results['img'])
            results['stain_normalized'] = note is None
            return results
        if group not in self._fits:
            self._fits[group] = self._measure(self._files[group])
        fit = self._fits[group]
        results['stain_normalized'] = fit is not None
        if fit is not None:
            results['img'], _ = self.preparer.normalize(results['img'], fit)
        return results

    def _group(self, info: Mapping[str, Any]) -> str:
        if self.preparer.measured_over == 'case':
            return str(info['case_id'])
        if self.preparer.measured_over == 'image':
            return str(info.get('source_image') or info['img_path'])
        return str(info['img_path'])

    def _measure(self, files: Sequence[str]) -> Fit | None:
        chosen = np.linspace(0, len(files) - 1, min(len(files), MAX_IMAGES_PER_FIT)).round().astype(int)
        return self.preparer.measure(read_rgb(files[number]) for number in np.unique(chosen).tolist())


def stain_of(dataset: Any) -> dict[str, Any] | None:
    """Return the stain normalization of a data set's images: that of its pipeline, otherwise that of its files.

    Returns:
        A description as in a checkpoint's ``stain_reference``; None if the images are as scanned.
    """
    for step in reversed(_steps(dataset)):
        if isinstance(step, StainNormalize):
            return {**step.normalizer.describe(), 'fit': 'patch' if step.fit is None else 'image'}
        if isinstance(step, NormalizeLikeTraining):
            return step.description
    return getattr(dataset, 'metainfo', {}).get('stain_reference')


def resolution_of(dataset: Any) -> float | None:
    """Return the micrometres per pixel of a data set's images; None if they differ by more than 1% or none is known."""
    spacings = _spacings(dataset)
    if not spacings or spacings[-1] / spacings[0] - 1 > MPP_TOLERANCE:
        return None
    return float(np.median(spacings))


def prepare_dataset(dataset: Any, calibration: Mapping[str, Any], name: str = 'the data set') -> str | None:
    """Give a data set's images the colours that a model was trained on, and check their resolution.

    Images as they were scanned are normalized from now on where the model needs it; those that are normalized already
    stay as they are.

    Args:
        dataset: It is changed; calling this again changes nothing.
        calibration: Calibration of the model. ``mpp`` and ``stain_reference`` are used; a missing one is not checked.
        name: Name of the data set in errors.

    Returns:
        Description of the change; None if nothing was changed.

    Raises:
        AnnotationError: The images have another resolution, or were normalized in another way.
    """
    _check_resolution(dataset, calibration.get('mpp'), name)
    if 'stain_reference' not in calibration:
        return None
    expected, colours = calibration['stain_reference'], stain_of(dataset)
    if same_colours(expected, colours):
        return None
    if colours is not None:
        raise AnnotationError(
            f'{name}: its images were {describe_colours(colours)}, those that the model was trained on were '
            f'{describe_colours(expected)}. Cut the patches again '
            + (
                'without --stain'
                if expected is None
                else f'with --stain {expected.get("method")} and the same --stain-reference, or without --stain: then '
                'they are normalized as they are read'
            )
            + ' (mitouts prepare)'
        )
    infos = _infos(dataset)
    if not all('img_path' in info for info in infos) or not hasattr(getattr(dataset, 'pipeline', None), 'transforms'):
        raise AnnotationError(
            f'{name}: the model was trained on images {describe_colours(expected)}, and a {type(dataset).__name__} '
            'names no image files and steps, so that they could be normalized as they are read: normalize them before'
        )
    steps = dataset.pipeline.transforms
    loaded = [number for number, step in enumerate(steps) if isinstance(step, LoadImage)]
    # A data set that cuts crops hands its pipeline pixels already.
    steps.insert(loaded[-1] + 1 if loaded else 0, NormalizeLikeTraining(calibration, infos))
    over = ImagePreparer(calibration).measured_over
    return f'{name}: images are {describe_colours(expected)} as they are read, measured over each {over}'


def _check_resolution(dataset: Any, mpp: float | None, name: str) -> None:
    if mpp is None:
        return
    wrong = [spacing for spacing in _spacings(dataset) if abs(spacing / mpp - 1) > MPP_TOLERANCE]
    if wrong:
        raise AnnotationError(
            f'{name} has images of {wrong[0]:g} um/px and the model needs {mpp:g}: cut them at that resolution first, '
            f'with mitouts prepare --mpp {mpp:g}'
        )


def _spacings(dataset: Any) -> list[float]:
    return sorted({float(info['mpp']) for info in _infos(dataset) if info.get('mpp') is not None})


# Any data set of torch may be trained on; those that are mmengine's have infos, a pipeline and metainfo.
def _infos(dataset: Any) -> list[dict[str, Any]]:
    if not hasattr(dataset, 'get_data_info'):
        return []
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def _steps(dataset: Any) -> list[Any]:
    return list(getattr(getattr(dataset, 'pipeline', None), 'transforms', ()))


def _file_shape(info: Mapping[str, Any]) -> tuple[int, int]:
    width, height = info.get('image_size_px') or (info['width'], info['height'])
    return height, width
