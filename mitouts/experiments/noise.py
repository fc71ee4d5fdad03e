"""Measures how well a distillation separates mislabelled samples from clean ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from mitouts.errors import AnnotationError
from mitouts.experiments.rows import RowRuns, StageMeans, mean_sd
from mitouts.formats.coco import read_flag, read_json
from mitouts.formats.hard_samples import read_hard_samples
from mitouts.utils.files import file_sha256


@dataclass(frozen=True)
class NoiseDetection:
    """The scores of a distillation over its positive samples; None if noise is unknown or nothing was judged.

    Attributes:
        dropped: Share of the positives that were dropped.
        noise_dropped: Share of the noisy ones that were dropped.
        clean_kept: Share of the others that were kept.
        noise_weight: Mean weight of the noisy ones in the Student's loss, 0 for a dropped one.
        clean_weight: Mean weight of the others.
        auc_distance: Area under the ROC curve of ``distance_px`` as a detector of noise.
        auc_disagreement: The same of ``disagreement``, where the samples have it.
        auc_score: The same of the Teacher's image score, low ones being suspicious.
    """

    dropped: float | None
    noise_dropped: float | None = None
    clean_kept: float | None = None
    noise_weight: float | None = None
    clean_weight: float | None = None
    auc_distance: float | None = None
    auc_disagreement: float | None = None
    auc_score: float | None = None


QUANTITIES = tuple(NoiseDetection.__dataclass_fields__)


def score_distillation(runs: RowRuns) -> StageMeans:
    """Read the hard samples of every run, and average each quantity of :class:`NoiseDetection`.

    Raises:
        MitoutsError: A run's ``hard_samples.json`` is missing or broken.
    """
    found = [detect_noise(*read_samples(run.stage(runs.row.stage).folder)) for run in runs.done]
    return StageMeans(runs, {name: mean_sd([getattr(each, name) for each in found]) for name in QUANTITIES})


def read_samples(folder: Path) -> tuple[list[dict[str, Any]], list[bool] | None]:
    """Read the positive samples in ``hard_samples.json`` of a folder; see :func:`read_positives`."""
    return read_positives(folder / 'hard_samples.json')


def read_positives(path: Path) -> tuple[list[dict[str, Any]], list[bool] | None]:
    """Read the positive samples of a distillation, and which of them are noise.

    Args:
        path: ``hard_samples.json``.

    Returns:
        Samples and whether each is mislabelled; None where neither the samples nor the annotation file that they were
        distilled from (if it is still there, unchanged) know.
    """
    document = read_hard_samples(path, ('image_id', 'label', 'verdict'))
    samples = [sample for sample in document['images'] if sample.get('label') == 1]
    if any('is_noise' in sample for sample in document['images']):
        return samples, [bool(sample.get('is_noise')) for sample in samples]
    marked = _marked_in_source(path.parent, document['info'])
    return samples, None if marked is None else [sample['image_id'] in marked for sample in samples]


def detect_noise(samples: Sequence[dict[str, Any]], is_noise: Sequence[bool] | None) -> NoiseDetection:
    """Score a distillation by its positive samples.

    Args:
        samples: As in ``hard_samples.json``: ``verdict``, ``distance_px``, and where a model was asked ``score``.
        is_noise: Whether each is mislabelled; None if that is not known.
    """
    kept = np.array([sample['verdict'] == 'keep' for sample in samples], dtype=bool)
    dropped = _share(~kept)
    if is_noise is None or not any(is_noise):
        return NoiseDetection(dropped)
    noise = np.array(is_noise, dtype=bool)
    weight = np.array([sample.get('weight', float(keep)) for sample, keep in zip(samples, kept)], dtype=np.float64)
    return NoiseDetection(
        dropped,
        noise_dropped=_share(~kept[noise]),
        clean_kept=_share(kept[~noise]),
        noise_weight=_share(weight[noise]),
        clean_weight=_share(weight[~noise]),
        auc_distance=_auc(samples, noise, 'distance_px'),
        auc_disagreement=_auc(samples, noise, 'disagreement'),
        auc_score=_auc(samples, noise, 'score', sign=-1),
    )


def _auc(samples: Sequence[dict[str, Any]], noise: np.ndarray, key: str, sign: int = 1) -> float | None:
    # A control that looks at no prediction has no score; older files have placeholders for its distances. A positive
    # image without annotated points has no distance.
    if not all('score' in sample and key in sample for sample in samples):
        return None
    known = np.array([sample[key] is not None for sample in samples], dtype=bool)
    values = np.array([sample[key] for sample in samples if sample[key] is not None], dtype=np.float64)
    if len(np.unique(noise[known])) < 2:
        return None
    return float(roc_auc_score(noise[known], sign * values))


def _share(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def annotations_of(folder: Path, info: dict[str, Any]) -> Path | None:
    """Find the annotation file that a distillation judged.

    Args:
        folder: Folder of its ``hard_samples.json``.
        info: The ``info`` of that file.

    Returns:
        None if it lies elsewhere than its images, is gone, or has changed.
    """
    if not info.get('distilled_from'):
        return None
    source = folder / info.get('image_root', '') / info['distilled_from']
    return source if source.is_file() and info.get('source_sha256') in (None, file_sha256(source)) else None


def _marked_in_source(folder: Path, info: dict[str, Any]) -> set[int] | None:
    """Read the ids of noisy images from the distilled annotation file; None if it is gone or does not mark noise."""
    source = annotations_of(folder, info)
    if source is None:
        return None
    content = read_json(source)
    images = content.get('images') if isinstance(content, dict) else None
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise AnnotationError(f"{source}: expected an annotation file with a list 'images'")
    if not any('is_noise' in image for image in images):
        return None
    return {image['id'] for image in images if read_flag(image.get('is_noise') or 0, f'{source}: is_noise')}
