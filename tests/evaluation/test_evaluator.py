"""The evaluator on models that score a map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mitouts.evaluation import LocalizationEvaluator
from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.functional.large_map import large_map_to_points
from mitouts.structures import PointSample

SIDE_PX, CELLS = 128, 8
METRICS = [
    {'type': 'ImageMetric'},
    {'type': 'CentroidMetric', 'radius_px': 12, 'num_bootstrap': 20},
    {'type': 'CocoBoxMetric', 'box_px': 30},
]
GEOMETRIES = {
    'on pixels': FeatureGeometry(16, 15.0, 40.0),
    'between pixels': FeatureGeometry(16, 7.5, 40.0),
    'stretched': AlignCornersGeometry(16, 7.5, 40.0),
}


def _sample(image_id: int, score_map: NDArray[np.float32], truth: list[list[float]]) -> PointSample:
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


def _samples(geometry: FeatureGeometry) -> list[PointSample]:
    """Noise everywhere; a high, sometimes double top on most figures, and on some other places."""
    rng = np.random.default_rng(5)
    samples = []
    for image_id in range(12):
        score_map = (0.35 * rng.random((CELLS, CELLS))).astype(np.float32)
        truth = []
        for row, column in ((1, 1), (5, 5))[: image_id % 3]:
            x, y = (geometry.on_axis(SIDE_PX, CELLS).cell_to_px(np.array(at)) for at in (column, row))
            truth.append([float(x), float(y)])
            score_map[row, column] = rng.uniform(0.3, 1)
            if image_id % 2:
                score_map[row, column + 2] = score_map[row, column + 1] = 0.9 * score_map[row, column]
                score_map[row, column + 2] *= 1.05
        samples.append(_sample(image_id, score_map, truth))
    return samples


def _tested(geometry: FeatureGeometry, map_threshold: float) -> LocalizationEvaluator:
    evaluator = LocalizationEvaluator(METRICS, thresholds='checkpoint')
    evaluator.calibration = {'image_threshold': 0.5, 'map_threshold': map_threshold, 'drift_px': [2.0, -1.0]}
    evaluator.geometry = geometry
    evaluator.process(_samples(geometry))
    evaluator.evaluate(12)
    return evaluator


@pytest.mark.parametrize('geometry', GEOMETRIES.values(), ids=GEOMETRIES)
def test_curves_of_a_map_are_the_same_under_any_map_threshold(geometry: FeatureGeometry) -> None:
    low, high, highest = (_tested(geometry, threshold).results for threshold in (0.2, 0.6, 0.97))
    assert low['froc'] == high['froc'] == highest['froc']
    assert low['coco'] == high['coco'] == highest['coco']
    assert low['froc']['average_sensitivity'] > 0
    # The operating point is that of the threshold.
    assert len({(each['one_to_one']['tp'], each['one_to_one']['fp']) for each in (low, high, highest)}) == 3


def test_components_are_the_points_and_peaks_those_of_curves() -> None:
    geometry = GEOMETRIES['between pixels']
    evaluator = _tested(geometry, 0.4)
    double = evaluator.records[1]
    assert (double.points[:, 2] > 0.4).sum() == 1
    assert double.peaks is not None
    assert (double.peaks[:, 2] > 0.4).sum() == 2
    # Both are moved back by the drift of (2, -1).
    figure = double.peaks[0, :2]
    assert figure == pytest.approx([16 + 7.5 - 2, 16 + 7.5 + 1])


@pytest.mark.parametrize('geometry', GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_threshold_is_chosen_on_the_scores_that_points_have(geometry: FeatureGeometry) -> None:
    """Positives stand alone and lose height between the pixels, negatives are level and lose none."""
    maps = np.full((6, CELLS, CELLS), 0.2, dtype=np.float32)
    maps[:3, 4, 4] = [0.8, 0.81, 0.82]
    maps[3:] = np.array([0.7, 0.72, 0.74])[:, None, None]
    center = float(geometry.on_axis(SIDE_PX, CELLS).cell_to_px(np.array(4)))
    truths: list[Any] = [[[center, center]]] * 3 + [[]] * 3
    samples = [_sample(number, *pair) for number, pair in enumerate(zip(maps, truths))]
    evaluator = LocalizationEvaluator(METRICS)
    evaluator.geometry = geometry
    evaluator.process(samples)
    evaluator.evaluate(len(samples))
    block = evaluator.results['one_to_one']
    assert (block['tp'], block['fp'], block['fn']) == (3, 0, 0)
    for record, score_map in zip(evaluator.records, maps):
        slide = large_map_to_points(
            score_map, SIDE_PX, SIDE_PX, geometry, map_threshold=evaluator.results['map_threshold']
        )
        assert record.map_max == record.points[0, 2] == record.curve_points[0, 2] == slide[0, 2]
