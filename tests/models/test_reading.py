"""Points of a prediction outside an evaluation are those inside one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mitouts.errors import CheckpointError
from mitouts.evaluation import LocalizationEvaluator
from mitouts.functional.geometry import FeatureGeometry
from mitouts.models.reading import read_prediction
from mitouts.structures import PointSample

GEOMETRY = FeatureGeometry(stride=4, center_offset_px=1.5, receptive_radius_px=7.0)
CALIBRATION = {
    'image_threshold': 0.5,
    'map_threshold': 0.6,
    'drift_px': (1.5, -2.25),
    'min_area_px': 3,
    'centroid': 'score_weighted',
}


def sample_with(**predicted: Any) -> PointSample:
    sample = PointSample(metainfo={'img_id': 1, 'case_id': 'a', 'mpp': None, 'ori_shape': (40, 56)})
    sample.gt_label, sample.gt_points = 1, torch.zeros(1, 2)
    sample.gt_counted, sample.gt_cut = torch.ones(1, dtype=torch.bool), torch.zeros(0, 2)
    sample.pred_score = 0.7
    for key, value in predicted.items():
        setattr(sample, key, value)
    return sample


@pytest.mark.parametrize(
    'calibration', [CALIBRATION, {'image_threshold': 0.5, 'map_threshold': 0.8}], ids=['full', 'thresholds']
)
def test_points_of_a_map_are_those_of_an_evaluation(calibration: dict[str, Any]) -> None:
    evaluator = LocalizationEvaluator([], thresholds='checkpoint', min_score=0.2)
    evaluator.geometry, evaluator.calibration = GEOMETRY, dict(calibration)
    score_map = torch.rand(10, 14, generator=torch.Generator().manual_seed(3)) ** 2
    sample = sample_with(pred_map=score_map)
    evaluator.process([sample])
    evaluator.evaluate(1)
    model = SimpleNamespace(calibration=calibration, geometry=GEOMETRY)
    found = read_prediction(model, sample, 0.2).points
    assert len(found) > 5
    np.testing.assert_array_equal(found, evaluator.records[0].prediction.points)


def test_points_are_taken_as_they_are_down_to_the_score() -> None:
    points = torch.tensor([[3.5, 4.0, 0.9], [1.0, 2.0, 0.5], [7.0, 8.0, 0.25]])
    found = read_prediction(
        SimpleNamespace(calibration={}, geometry=None), sample_with(pred_points=points), 0.25
    ).points
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, points[:2].numpy(), rtol=1e-7)


def test_a_map_that_nothing_says_how_to_cut_is_refused() -> None:
    sample = sample_with(pred_map=torch.rand(10, 14))
    with pytest.raises(CheckpointError, match='SimpleNamespace has no map_threshold: it was never validated'):
        read_prediction(SimpleNamespace(calibration={}, geometry=GEOMETRY), sample, 0.1)
