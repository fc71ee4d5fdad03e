"""Makes and reads Grand Challenge's "Multiple points" JSON: one file an image, with the points in millimetres.

A coordinate is the pixel times the spacing, ``mm = px * mpp / 1000``, of the figure's centre and without a half-pixel
shift; for an image without a resolution it stays in pixels. The file names neither the image nor its resolution.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationError
from mitouts.formats.carried import check_exportable
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, read_json
from mitouts.formats.source import check_coordinate, check_file_name, is_number, listed

TYPE = 'Multiple points'
NAMES = {MITOTIC_FIGURE: 'mitotic figure', HARD_NEGATIVE: 'non-mitotic figure'}
# The official sample says "Mulitple points".
_READ_TYPES = ('multiple points', 'mulitple points')
SUFFIX = '.json'


@dataclass(frozen=True)
class Point:
    """A point of a file.

    Attributes:
        x: In the file's unit: millimetres, or pixels where the image has no resolution.
        y: In the same unit.
        name: Name of the point, None where it has no name.
        probability: None where it has none.
    """

    x: float
    y: float
    name: str | None
    probability: float | None


def read_points(path: str | os.PathLike[str]) -> list[Point]:
    """Read one file.

    Raises:
        AnnotationError: It is missing, is not JSON, or is not such a file.
    """
    document = read_json(path)
    if not isinstance(document, dict):
        raise AnnotationError(f'{path}: expected {{"type": "{TYPE}", "points": [...]}}, found {str(document)[:60]!r}')
    kind = document.get('type')
    if kind is not None and (not isinstance(kind, str) or kind.strip().casefold() not in _READ_TYPES):
        raise AnnotationError(f'{path}: expected the type "{TYPE}", found {kind!r:.60}')
    points = document.get('points')
    if not isinstance(points, list):
        raise AnnotationError(
            f"{path}: expected a list 'points', found the keys {listed(list(document), 10) or 'none'}"
        )
    return [_point(entry, f'{path}: points[{position}]') for position, entry in enumerate(points)]


def _point(entry: Any, where: str) -> Point:
    if not isinstance(entry, dict):
        raise AnnotationError(f'{where}: expected {{"point": [x, y, 0]}}, found {str(entry)[:60]!r}')
    place, name, probability = entry.get('point'), entry.get('name'), entry.get('probability')
    if not isinstance(place, list) or len(place) not in (2, 3):
        raise AnnotationError(f'{where}: expected point as [x, y, 0], found {place!r:.60}')
    x, y, *_ = (check_coordinate(value, where) for value in place)
    if name is not None and not isinstance(name, str):
        raise AnnotationError(f'{where}: expected a name, found {name!r:.60}')
    if probability is not None and not (is_number(probability) and 0 <= probability <= 1):
        raise AnnotationError(f'{where}: expected a probability from 0 to 1, found {probability!r:.60}')
    return Point(x, y, name, probability)


def points_document(
    points: NDArray[np.floating], mpp: float | None, *, threshold: float | None = None, name: str = 'Points of interest'
) -> dict[str, Any]:
    """Make a file's content from predictions.

    Args:
        points: ``(N, 3)``, ``(x, y, score)`` in pixels.
        mpp: Micrometres per pixel of the image; None leaves the points in pixels.
        threshold: Points with a lower score are called non-mitotic figures; None calls all of them mitotic.
        name: The content's title.

    Raises:
        AnnotationError: Points that are not finite, of another shape, or with a score outside 0 to 1.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 3) if np.size(points) == 0 else np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise AnnotationError(f'expected finite points of shape (N, 3), found an array of shape {points.shape}')
    if mpp is not None and not (is_number(mpp) and mpp > 0):
        raise AnnotationError(f'expected a positive mpp, or None where it is unknown, found {mpp!r}')
    scores = points[:, 2]
    if ((scores < 0) | (scores > 1)).any():
        raise AnnotationError(f'expected scores from 0 to 1, found {scores.min():g} to {scores.max():g}')
    entries = [
        _entry(x, y, mpp, MITOTIC_FIGURE if threshold is None or score >= threshold else HARD_NEGATIVE, score)
        for x, y, score in points.tolist()
    ]
    return _content(name, entries)


def export_points(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Make one file for each image of an annotation document.

    An annotation's ``score`` becomes its probability. Ids, votes and further keys have no place in the format.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it.

    Returns:
        Relative path of each file -> its content, also for images without figures.

    Raises:
        AnnotationError: Two images share a name, or an annotation is of a category that the format has no name for.
    """
    check_exportable(document['images'], 'a folder of points files')
    by_image: dict[int, list[Mapping[str, Any]]] = {image['id']: [] for image in document['images']}
    for annotation in document['annotations']:
        if annotation['category_id'] not in NAMES:
            raise AnnotationError(
                f'annotation {annotation["id"]}: only the categories 1 (mitotic figure) and 2 (hard negative) have a '
                f'name there, found {annotation["category_id"]}'
            )
        by_image[annotation['image_id']].append(annotation)
    return {
        check_file_name(image['file_name'], 'image') + SUFFIX: _content(
            'Points of interest', [_annotation_entry(each, image['mpp']) for each in by_image[image['id']]]
        )
        for image in document['images']
    }


def _annotation_entry(annotation: Mapping[str, Any], mpp: float | None) -> dict[str, Any]:
    score = annotation.get('score')
    probability = float(score) if is_number(score) and 0 <= score <= 1 else None
    x, y = annotation['point']
    return _entry(x, y, mpp, annotation['category_id'], probability)


def _entry(x: float, y: float, mpp: float | None, category_id: int, probability: float | None) -> dict[str, Any]:
    scale = 1.0 if mpp is None else mpp / 1000
    entry: dict[str, Any] = {'name': NAMES[category_id], 'point': [x * scale, y * scale, 0.0]}
    return entry if probability is None else {**entry, 'probability': probability}


def _content(name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {'name': name, 'type': TYPE, 'points': entries, 'version': {'major': 1, 'minor': 0}}
