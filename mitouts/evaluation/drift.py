"""Measures a model's drift on the images it is validated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mitouts.evaluation.predicting import predict_batch
from mitouts.functional.drift import estimate_drift
from mitouts.models.reading import read_sample
from mitouts.structures import PointSample

MAX_IMAGES = 48


@torch.no_grad()
def measure_drift(
    model: Any, dataset: Any, strongest: Sequence[tuple[int, NDArray[np.float64]]], reading: Mapping[str, Any]
) -> tuple[float, float]:
    """Measure a model's drift in pixels; see :func:`mitouts.functional.drift.estimate_drift`.

    Args:
        model: Localizer in evaluation mode.
        dataset: Gives the images, by ``img_id``.
        strongest: ``(image id, strongest point (x, y))`` of images on which something was found, the most certain
            first; the first 48 are used.
        reading: Settings for reading points from a map: ``map_threshold``, ``min_area_px`` and ``centroid``.
    """
    index_of = {dataset.get_data_info(index)['img_id']: index for index in range(len(dataset))}
    points, turned, sizes = [], [], []
    for image_id, point in strongest[:MAX_IMAGES]:
        image = dataset[index_of[image_id]]['inputs']
        height, width = image.shape[1:]
        sample = PointSample(metainfo={'ori_shape': (height, width)})
        predict_batch(model, [image.flip((1, 2))], [sample])
        again = read_sample(sample, model.geometry, reading, min_score=None).points
        if len(again):
            points.append(point)
            turned.append(again[0, :2])
            sizes.append((width, height))
    geometry = model.geometry
    x, y = estimate_drift(
        points,
        turned,
        sizes,
        max_drift_px=geometry.receptive_radius_px,
        max_spread_px=geometry.stride,
    )
    return float(x), float(y)
