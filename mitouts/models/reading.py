"""Reads points and scores out of a prediction, whatever kind of model made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mitouts.errors import CheckpointError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.map_reading import read_map
from mitouts.structures import ImagePrediction, PointSample

READING_KEYS = ('map_threshold', 'min_area_px', 'centroid', 'drift_px')


def reading_of(calibration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a calibration that say how points are read: arguments of ``read_map``."""
    return {key: calibration[key] for key in READING_KEYS if key in calibration}


def read_prediction(model: Any, sample: PointSample, min_score: float) -> ImagePrediction:
    """Read a localizer's prediction by its own calibration, as the evaluator does.

    Args:
        model: The localizer. Of one that scores a map, ``calibration`` (thresholds, drift, how points are read) and
            ``geometry`` are used; points of one without a map are taken as they are.
        sample: See :func:`read_sample`.
        min_score: See :func:`read_sample`.

    Raises:
        CheckpointError: The model scores a map and was never validated, so nothing says where to cut it.
    """
    if 'pred_points' not in sample and 'map_threshold' not in model.calibration:
        raise CheckpointError(
            f'the {type(model).__name__} has no map_threshold: it was never validated, so no points can be read from '
            'its map. Train it with a val_evaluator'
        )
    return read_sample(sample, model.geometry, model.calibration, min_score)


def read_sample(
    sample: PointSample, geometry: FeatureGeometry | None, calibration: Mapping[str, Any], min_score: float | None
) -> ImagePrediction:
    """Read a prediction by a given calibration.

    Args:
        sample: A prediction in ``predict`` mode: ``pred_score``, and ``pred_points``, or ``pred_map`` and
            ``ori_shape``.
        geometry: Where the cells of the map lie; not needed for points.
        calibration: ``map_threshold``, and where they are known ``drift_px``, ``min_area_px`` and ``centroid``.
        min_score: Weaker points are left out, but never the components of a map above its threshold; None keeps what
            is above the map threshold, and no peaks.

    Returns:
        Points by descending score; an image without an id has the id 0.
    """
    peaks = None
    if 'pred_points' in sample:
        points = sample.pred_points.detach().cpu().numpy().astype(np.float64).reshape(-1, 3)
        points = points[points[:, 2] > (calibration['map_threshold'] if min_score is None else min_score)]
        points = points[np.argsort(-points[:, 2], kind='stable')]
    else:
        assert geometry is not None, 'a model that scores a map says where its cells lie'
        score_map = sample.pred_map.detach().cpu().numpy()
        height, width = sample.ori_shape
        points, peaks = read_map(score_map, height, width, geometry, min_score=min_score, **reading_of(calibration))
    return ImagePrediction(sample.get('img_id', 0), float(sample.pred_score), points, peaks)
