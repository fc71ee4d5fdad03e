"""Writes the predictions of a model as QuPath GeoJSON, one file for each image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mitouts.converters.qupath import SUFFIXES, Bounds
from mitouts.errors import AnnotationError
from mitouts.formats.coco import CATEGORIES, MITOTIC_FIGURE
from mitouts.formats.geojson import COLORS, SCORE, ObjectType, feature_collection, feature_id, point_feature
from mitouts.formats.predictions import Predictions
from mitouts.formats.source import check_file_name

_NAMES = {category['id']: str(category['name']) for category in CATEGORIES}


def export_predictions(
    predictions: Predictions,
    *,
    threshold: float,
    file_names: Mapping[int, str] | None = None,
    object_type: ObjectType = 'annotation',
    bounds_xy_px: Bounds | None = None,
) -> dict[str, dict[str, Any]]:
    """Make one feature collection for each image, with the points that count as mitotic figures.

    Args:
        threshold: Points with a score above it are figures; the others are left out.
        file_names: Image id -> file name, as an annotation file has them; default those in the predictions.
        object_type: Type of the objects in QuPath; annotations can be moved there.
        bounds_xy_px: File name -> ``openslide.bounds-x`` and ``-y`` of slides that have them.

    Returns:
        Relative path, ``<file_name>.geojson``, -> collection, also for images without figures. Names are relative to
        the folder that all images have in common.

    Raises:
        AnnotationError: An image has no name, or two have the same.
    """
    names = names_of(predictions, file_names)
    files: dict[str, dict[str, Any]] = {}
    for image_id, name in names.items():
        points = predictions.images[image_id].points
        features = [
            point_feature(
                x,
                y,
                _NAMES[MITOTIC_FIGURE],
                identity=feature_id(name, number),
                color=COLORS[MITOTIC_FIGURE],
                measurements={SCORE: score},
                object_type=object_type,
                bounds_xy_px=(bounds_xy_px or {}).get(name, (0, 0)),
            )
            for number, (x, y, score) in enumerate(points.tolist(), start=1)
            if score > threshold
        ]
        path = name + SUFFIXES[0]
        if path in files:
            raise AnnotationError(
                f'two images are called {name!r}; a folder of GeoJSON files tells images apart by name'
            )
        files[path] = feature_collection(features)
    return files


def names_of(predictions: Predictions, file_names: Mapping[int, str] | None = None) -> dict[int, str]:
    """Return the relative file name of each image in the predictions.

    Raises:
        AnnotationError: An image has none.
    """
    known = file_names
    if known is None:
        known = {key: image.file_name for key, image in predictions.images.items() if image.file_name is not None}
    without = [image_id for image_id in predictions.images if image_id not in known]
    if without:
        raise AnnotationError(
            f'{len(without)} of {len(predictions.images)} predicted images have no file name, the first is image '
            f'{without[0]}; give the annotation file of these images (--ann-file)'
        )
    paths = {image_id: PurePosixPath(known[image_id].replace('\\', '/')) for image_id in predictions.images}
    if file_names is None and any(path.is_absolute() or '..' in path.parts for path in paths.values()):
        shared = os.path.commonpath([Path(path.parent).absolute() for path in paths.values()])
        paths = {image_id: PurePosixPath(os.path.relpath(path, shared)) for image_id, path in paths.items()}
    return {image_id: check_file_name(str(path), f'image {image_id}') for image_id, path in paths.items()}
