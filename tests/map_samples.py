"""Predictions of a model that scores a map, made by hand."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mitouts.functional.geometry import FeatureGeometry
from mitouts.structures import PointSample

SIDE_PX, CELLS = 128, 8


def map_sample(image_id: int, score_map: NDArray[np.float32], truth: list[list[float]]) -> PointSample:
    """A sample of 128 x 128 px with a predicted map."""
    sample = PointSample(
        metainfo={
            'img_id': image_id,
            'img_path': '',
            'case_id': f'case {image_id % 3}',
            'mpp': 0.25,
            'ori_shape': (SIDE_PX, SIDE_PX),
        }
    )
    sample.gt_label = int(bool(truth))
    sample.gt_points = torch.tensor(truth).reshape(-1, 2)
    sample.gt_counted = torch.ones(len(truth), dtype=torch.bool)
    sample.gt_cut = torch.zeros(0, 2)
    sample.pred_map = torch.from_numpy(score_map)
    sample.pred_score = float(score_map.max())
    return sample


def map_samples(geometry: FeatureGeometry, count: int = 12) -> list[PointSample]:
    """Noise everywhere; a high, sometimes double top on the figures of two thirds of the images."""
    rng = np.random.default_rng(5)
    samples = []
    for image_id in range(count):
        score_map = (0.35 * rng.random((CELLS, CELLS))).astype(np.float32)
        truth = []
        for row, column in ((1, 1), (5, 5))[: image_id % 3]:
            x, y = (geometry.on_axis(SIDE_PX, CELLS).cell_to_px(np.array(at)) for at in (column, row))
            truth.append([float(x), float(y)])
            score_map[row, column] = rng.uniform(0.3, 1)
            if image_id % 2:
                score_map[row, column + 1 : column + 3] = score_map[row, column] * np.array([0.9, 0.945])
        samples.append(map_sample(image_id, score_map, truth))
    return samples
