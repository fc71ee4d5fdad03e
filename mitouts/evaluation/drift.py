"""Measures a model's drift on the images it is validated on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mitouts.functional.drift import estimate_drift
from mitouts.functional.map_reading import read_map

MAX_IMAGES = 48


@torch.no_grad()
def measure_drift(
    model: Any, dataset: Any, found: Sequence[tuple[int, NDArray[np.float64]]], map_threshold: float, **reading: Any
) -> tuple[float, float]:
    """Drift of a model in pixels, see :func:`mitouts.functional.drift.estimate_drift`.

    Args:
        model: Localizer in evaluation mode.
        dataset: Gives the images, by ``img_id``.
        found: ``(image id, strongest point (x, y))`` of images on which something was found, the most certain first;
            the first 48 are used.
        map_threshold: Cut of the map.
        **reading: How points are read from a map: ``min_area_px`` and ``centroid``.
    """
    index_of = {dataset.get_data_info(index)['img_id']: index for index in range(len(dataset))}
    points, turned, sizes = [], [], []
    for image_id, point in found[:MAX_IMAGES]:
        image = dataset[index_of[image_id]]['inputs']
        inputs = model.data_preprocessor({'inputs': [image.flip((1, 2))]})['inputs']
        height, width = image.shape[1:]
        score_map = model(inputs).score_map[0].float().cpu().numpy()
        again = read_map(
            score_map, height, width, model.geometry, map_threshold=map_threshold, min_score=None, **reading
        ).points
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
