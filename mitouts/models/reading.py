"""Points of a prediction, whatever kind of model made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import CheckpointError
from mitouts.functional.drift import remove_drift
from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.points import map_to_points
from mitouts.structures import PointSample


def located_points(model: Any, sample: PointSample, min_score: float) -> NDArray[np.float64]:
    """Read what a localizer has predicted, as the evaluator does.

    Args:
        model: The localizer. Of one that scores a map, ``calibration`` (thresholds, drift, how points are read) and
            ``geometry`` are used; points of one without a map are taken as they are.
        sample: Its prediction in ``predict`` mode: ``pred_points``, or ``pred_map`` and ``ori_shape``.
        min_score: Weaker points are left out; never the components of a map above its threshold.

    Returns:
        Array ``(P, 3)``, float64, ``(x, y, score)`` in pixels, by descending score.

    Raises:
        CheckpointError: The model scores a map and was never validated, so nothing says where to cut it.
    """
    if 'pred_points' not in sample and 'map_threshold' not in model.calibration:
        raise CheckpointError(
            f'the {type(model).__name__} has no map_threshold: it was never validated, so no points can be read from '
            'its map. Train it with a val_evaluator'
        )
    return read_points(sample, model.geometry, model.calibration, min_score)


def read_points(
    sample: PointSample, geometry: FeatureGeometry | None, calibration: Mapping[str, Any], min_score: float | None
) -> NDArray[np.float64]:
    """Read a prediction by a given calibration.

    Args:
        sample: See :func:`located_points`.
        geometry: Where the cells of the map lie; not needed for points.
        calibration: ``map_threshold``, and where they are known ``drift_px``, ``min_area_px`` and ``centroid``.
        min_score: See :func:`located_points`; None keeps what is above the map threshold.

    Returns:
        Array ``(P, 3)``, float64, ``(x, y, score)`` in pixels, by descending score.
    """
    if 'pred_points' in sample:
        points = sample.pred_points.detach().cpu().numpy().astype(np.float64).reshape(-1, 3)
        points = points[points[:, 2] > (calibration['map_threshold'] if min_score is None else min_score)]
    else:
        assert geometry is not None, 'a model that scores a map says where its cells lie'
        height, width = sample.ori_shape
        points = map_to_points(
            sample.pred_map.detach().cpu().numpy(),
            height,
            width,
            geometry,
            map_threshold=calibration['map_threshold'],
            min_score=min_score,
            min_area_px=calibration.get('min_area_px', 1),
            centroid=calibration.get('centroid', 'geometric'),
        )
        points = remove_drift(points, calibration.get('drift_px', (0.0, 0.0)), width, height)
    return points[np.argsort(-points[:, 2], kind='stable')]
