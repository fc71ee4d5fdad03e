"""Writes the entries of ``hard_samples.json``, and reads the file and checks all of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from mitouts.errors import AnnotationError
from mitouts.formats.source import is_id, is_number
from mitouts.functional.distillation import Verdict
from mitouts.structures.image_record import EvaluatedImage
from mitouts.utils.text_files import read_json

NEEDED = ('image_id', 'file_name', 'label', 'verdict', 'reason')
_NUMBERS = ('weight', 'score', 'distance_px', 'disagreement')
_POINTS = {'predicted_points': 3, 'annotated_points': 2}


def sample_entry(
    image: Mapping[str, Any], label: int, verdict: Verdict, record: EvaluatedImage | None = None
) -> dict[str, Any]:
    """Make the entry of one judged image, ready for JSON.

    Args:
        image: Its entry in the annotation file; ``is_noise`` is copied from it if present.
        label: 0 or 1.
        verdict: Whether the image is kept or dropped, and why.
        record: The image with the Teacher's prediction, whose points are the predicted figures; None if the criterion
            used no prediction: the entry then has neither score nor distance. The distance of a positive image without
            annotated points is None.
    """
    entry = {
        'image_id': image['id'],
        'file_name': image['file_name'],
        'case_id': str(image['case_id']),
        'label': label,
        'verdict': 'keep' if verdict.keep else 'drop',
        'reason': str(verdict.reason),
        'weight': verdict.weight if verdict.keep else 0.0,
    }
    if 'is_noise' in image:
        entry['is_noise'] = bool(image['is_noise'])
    if record is not None:
        entry['distance_px'] = float(verdict.distance_px) if record.truth.is_located else None
        entry['score'] = record.prediction.score
        entry['predicted_points'] = np.round(record.prediction.points, 4).tolist()
        entry['annotated_points'] = np.round(record.truth.points, 4).tolist()
    return entry


def read_hard_samples(path: str | os.PathLike[str], needed: Collection[str] = NEEDED) -> dict[str, Any]:
    """Read the hard samples that a distillation wrote.

    Args:
        needed: Keys that each sample must have.

    Returns:
        The content, with ``info`` an object.

    Raises:
        AnnotationError: It is missing, no JSON, or something in it is missing or of another kind; the message names the
            entry.
    """
    content, where = read_json(path), str(path)
    samples = content.get('images') if isinstance(content, dict) else None
    if not isinstance(samples, list):
        raise AnnotationError(f"{where}: expected a JSON object with a list 'images', as a distillation writes it")
    info = content.get('info')
    if info is not None and not isinstance(info, dict):
        raise AnnotationError(f"{where}: 'info' must be an object, found a {type(info).__name__}")
    _check_info(info or {}, where)
    for position, sample in enumerate(samples):
        _check(sample, needed, f'{where}: images[{position}]')
    return {**content, 'info': info or {}}


def _check_info(info: Mapping[str, Any], where: str) -> None:
    criterion = info.get('criterion')
    if criterion is not None and not isinstance(criterion, dict):
        raise AnnotationError(f'{where}: info.criterion must be an object, found {criterion!r:.60}')
    radius_px = (criterion or {}).get('radius_px', 1)
    if not is_number(radius_px) or radius_px < 0:
        raise AnnotationError(f'{where}: info.criterion.radius_px must be a number of pixels, found {radius_px!r:.40}')
    if not isinstance(info.get('image_root', ''), str):
        raise AnnotationError(f'{where}: info.image_root must be text, found {info["image_root"]!r:.60}')


def _check(sample: Any, needed: Collection[str], where: str) -> None:
    if not isinstance(sample, Mapping):
        raise AnnotationError(f'{where} must be an object, found {sample!r:.60}')
    missing = [key for key in needed if key not in sample]
    if missing:
        raise AnnotationError(f'{where} lacks {", ".join(missing)}: expected hard_samples.json of a distillation')
    image_id, label = sample['image_id'], sample['label']
    if not is_id(image_id):
        raise AnnotationError(f'{where}: image_id must be an integer, found {image_id!r:.40}')
    if not is_id(label) or label not in (0, 1):
        raise AnnotationError(f'{where}: label must be 0 or 1, found {label!r:.40}')
    if sample['verdict'] not in ('keep', 'drop'):
        raise AnnotationError(f'{where}: verdict must be keep or drop, found {sample["verdict"]!r:.40}')
    for key in ('file_name', 'reason'):
        if not isinstance(sample.get(key, ''), str):
            raise AnnotationError(f'{where}: {key} must be text, found {sample[key]!r:.40}')
    if not isinstance(sample.get('is_noise', False), bool):
        raise AnnotationError(f'{where}: is_noise must be true or false, found {sample["is_noise"]!r:.40}')
    for key in _NUMBERS:
        if sample.get(key) is not None and not is_number(sample[key]):
            raise AnnotationError(f'{where}: {key} must be a finite number, found {sample[key]!r:.40}')
    for key, columns in _POINTS.items():
        if sample.get(key) is not None:
            _check_points(sample[key], columns, f'{where}: {key}')


def _check_points(points: Any, columns: int, where: str) -> None:
    if not isinstance(points, list):
        raise AnnotationError(f'{where} must be a list of points, found {points!r:.60}')
    for point in points:
        if not isinstance(point, list) or len(point) != columns or not all(map(is_number, point)):
            raise AnnotationError(f'{where}: a point has {columns} numbers, found {point!r:.60}')
