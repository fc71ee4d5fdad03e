"""Reads and writes predictions: ``{"info": {...}, "images": [{"image_id", "score", "points": [[x, y, score], ...]}]}``.

Points are ``(x, y)`` in pixels with their origin at the centre of the top-left pixel, kept down to a low score. Above
the map threshold those of a score map are its components. Its ``peaks``, in the same form, depend on no threshold:
curves are drawn from them, and where there are none from the points.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_json, write_json
from mitouts.formats.source import is_id, is_number
from mitouts.structures.image_record import ImagePrediction

DECIMALS = 9
"""Decimal places to which the coordinates of points are rounded, in pixels."""


class Predictions(NamedTuple):
    """The predictions of a model.

    Attributes:
        info: Where the predictions come from.
        images: Image id -> prediction, in the order of the file.
    """

    info: dict[str, Any]
    images: dict[int, ImagePrediction]


def write_predictions(
    path: str | os.PathLike[str], predictions: Sequence[ImagePrediction], info: Mapping[str, Any]
) -> None:
    """Write predictions to a temporary file and rename it, so that a reader never sees half a file.

    Args:
        path: The JSON file; its folder is made where it does not exist.
        predictions: One for each image.
        info: Where they come from: checkpoint, thresholds, package version.

    Raises:
        AnnotationError: An entry is invalid, such as a NaN score or an id that occurs twice.
        OSError: The file cannot be written.
    """
    entries = [to_dict(prediction) for prediction in predictions]
    _check(path, entries)
    write_json(path, {'info': dict(info), 'images': entries})


def to_dict(prediction: ImagePrediction) -> dict[str, Any]:
    """Return the entry of one image, ready for JSON."""
    entry: dict[str, Any] = {'image_id': int(prediction.image_id)}
    if prediction.file_name is not None:
        entry['file_name'] = prediction.file_name
    entry |= {'score': float(prediction.score), 'points': _rounded(prediction.points)}
    if prediction.peaks is not None:
        entry['peaks'] = _rounded(prediction.peaks)
    return entry


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read predictions and check all of them.

    Raises:
        AnnotationError: The file is missing, is not JSON, or has invalid content; the message names the file and the
            entry.
    """
    document = read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get('images'), list):
        kind = f'the keys {", ".join(document) or "none"}' if isinstance(document, dict) else type(document).__name__
        raise AnnotationError(f"{path}: expected predictions as a JSON object with a list 'images', found {kind}")
    info = document.get('info') or {}
    if not isinstance(info, dict):
        raise AnnotationError(f"{path}: 'info' must be an object, found a {type(info).__name__}")
    for key in ('map_threshold', 'image_threshold'):
        if info.get(key) is not None and not is_number(info[key]):
            raise AnnotationError(f'{path}: info.{key} must be a finite number, found {info[key]!r:.40}')
    return Predictions(info, _check(path, document['images']))


def _rounded(points: NDArray[np.float64]) -> list[list[float]]:
    """Round coordinates to drop binary rounding noise; scores stay exact because they are compared with thresholds."""
    return np.column_stack([points[:, :2].round(DECIMALS), points[:, 2]]).tolist()


def map_threshold_of(path: str | os.PathLike[str], predictions: Predictions, option: str) -> float:
    """Return the threshold on point scores that the model of a predictions file was validated with.

    Args:
        predictions: Content of the file.
        option: Command-line option that gives a threshold instead, named in the error.

    Raises:
        AnnotationError: The file holds none.
    """
    value = predictions.info.get('map_threshold')
    if value is None:
        raise AnnotationError(f'{path}: info has no map_threshold: give {option}')
    return float(value)


def _check(path: str | os.PathLike[str], entries: Sequence[Any]) -> dict[int, ImagePrediction]:
    predictions: dict[int, ImagePrediction] = {}
    for position, entry in enumerate(entries):
        prediction = from_dict(entry, path, position)
        if prediction.image_id in predictions:
            raise AnnotationError(
                f'{path}: image {prediction.image_id} occurs twice; each image has one entry with all its points'
            )
        predictions[prediction.image_id] = prediction
    return predictions


def from_dict(entry: Any, path: str | os.PathLike[str], position: int) -> ImagePrediction:
    """Read the entry of one image.

    Args:
        entry: As JSON gives it.
        position: Position of the entry in the file, named in errors.

    Raises:
        AnnotationError: A value is missing or invalid.
    """
    if not isinstance(entry, Mapping):
        raise AnnotationError(f'{path}: images[{position}] must be an object, found {entry!r}')
    missing = [key for key in ('image_id', 'score', 'points') if key not in entry]
    if missing:
        raise AnnotationError(f'{path}: images[{position}] lacks {", ".join(missing)}')
    image_id, score, name = entry['image_id'], entry['score'], entry.get('file_name')
    if not is_id(image_id):
        raise AnnotationError(f'{path}: images[{position}]: image_id must be an integer, found {image_id!r}')
    if not is_number(score):
        raise AnnotationError(f'{path}: image {image_id}: score must be a finite number, found {score!r}')
    points = _points(path, image_id, entry['points'], 'points')
    peaks = None if entry.get('peaks') is None else _points(path, image_id, entry['peaks'], 'peaks')
    if name is not None and not isinstance(name, str):
        raise AnnotationError(f'{path}: image {image_id}: file_name must be text, found {name!r:.40}')
    return ImagePrediction(image_id, float(score), points, peaks, file_name=name or None)


def _points(path: str | os.PathLike[str], image_id: int, values: Any, key: str) -> NDArray[np.float64]:
    try:
        points = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise AnnotationError(
            f'{path}: image {image_id}: {key} must be a list of [x, y, score], found one that is not three numbers'
        ) from error
    if points.ndim > 0 and points.size == 0:
        return np.zeros((0, 3))
    if points.ndim != 2 or points.shape[1] != 3:
        raise AnnotationError(
            f'{path}: image {image_id}: {key} must be a list of [x, y, score], found an array of shape {points.shape}'
        )
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise AnnotationError(f'{path}: image {image_id}: {key[:-1]} {bad} is not finite: {points[bad].tolist()}')
    return points
