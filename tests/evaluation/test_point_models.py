"""The evaluator on a model that finds points without a map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mitouts.errors import TrainingError
from mitouts.evaluation import LocalizationEvaluator
from mitouts.structures import PointSample

METRICS = [{'type': 'ImageMetric'}, {'type': 'CentroidMetric', 'radius_px': 10, 'num_bootstrap': 0}]


def _sample(image_id: int, truth: list[list[float]], points: list[list[float]]) -> PointSample:
    sample = PointSample(
        metainfo={'img_id': image_id, 'img_path': '', 'case_id': str(image_id), 'mpp': 0.25, 'ori_shape': (64, 80)}
    )
    sample.gt_label = int(bool(truth))
    sample.gt_points = torch.tensor(truth).reshape(-1, 2)
    sample.gt_counted = torch.ones(len(truth), dtype=torch.bool)
    sample.gt_cut = torch.zeros(0, 2)
    sample.pred_points = torch.tensor(points).reshape(-1, 3)
    sample.pred_score = float(sample.pred_points[:, 2].max()) if points else 0.0
    return sample


def _samples() -> list[PointSample]:
    return [
        _sample(1, [[20.0, 20.0], [60.0, 40.0]], [[22.0, 20.0, 0.9], [61.0, 41.0, 0.4], [5.0, 60.0, 0.004]]),
        _sample(2, [], [[30.0, 30.0, 0.3]]),
        _sample(3, [], []),
        _sample(4, [[10.0, 50.0]], [[70.0, 10.0, 0.6]]),
    ]


def _evaluated(samples: list[PointSample], **arguments: Any) -> LocalizationEvaluator:
    evaluator = LocalizationEvaluator(METRICS, **arguments)
    evaluator.process(samples)
    evaluator.evaluate(len(samples))
    return evaluator


def test_thresholds_are_chosen_on_the_highest_scores_and_points_are_taken_as_they_are() -> None:
    evaluator = _evaluated(_samples())
    results = evaluator.results
    # Image scores are 0.9 and 0.6 for the positive images and 0.3 and 0 for the others.
    assert 0.3 <= results['map_threshold'] < 0.6
    assert results['image_threshold'] == results['map_threshold']
    assert results['image']['f1'] == 1
    # Above the threshold: one hit, one false at the wrong place; 0.4 may be on either side of it.
    hits = 1 + (results['map_threshold'] < 0.4)
    assert (results['one_to_one']['tp'], results['one_to_one']['fp']) == (hits, 1)
    assert results['one_to_one']['fn'] == 3 - hits
    assert results['drift_px'] == [0.0, 0.0]
    np.testing.assert_allclose(evaluator.records[0].prediction.points, [[22, 20, 0.9], [61, 41, 0.4]], atol=1e-6)
    assert [record.prediction.map_max for record in evaluator.records] == pytest.approx([0.9, 0.3, 0.0, 0.6])


def test_thresholds_of_the_checkpoint_are_used() -> None:
    evaluator = LocalizationEvaluator(METRICS, thresholds='checkpoint')
    evaluator.calibration = {'image_threshold': 0.5, 'map_threshold': 0.35}
    evaluator.process(_samples())
    evaluator.evaluate(4)
    block = evaluator.results['one_to_one']
    assert (block['tp'], block['fp'], block['fn']) == (2, 1, 1)


def test_a_score_that_is_not_finite_is_an_error() -> None:
    broken = _sample(5, [], [[torch.nan, torch.nan, torch.nan]])
    with pytest.raises(TrainingError, match='no finite score for 1 of 5'):
        _evaluated([*_samples(), broken])
