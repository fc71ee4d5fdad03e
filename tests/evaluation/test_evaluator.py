"""The evaluator on models that score a map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from map_samples import CELLS, SIDE_PX, map_sample, map_samples
from mmengine.dataset import DefaultSampler
from two_processes import in_two_processes

from mitouts.errors import ConfigError
from mitouts.evaluation import LocalizationEvaluator
from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.functional.map_reading import read_map
from mitouts.structures import PointSample

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


def _evaluated(samples: list[PointSample], thresholds: Any) -> dict[str, Any]:
    """Evaluate this process's share of some samples; what came of it, and how often a metric ran here."""
    evaluator = LocalizationEvaluator(METRICS, thresholds=thresholds)
    if thresholds == 'checkpoint':
        evaluator.calibration = {'image_threshold': 0.5, 'map_threshold': 0.4}
    evaluator.geometry = GEOMETRIES['between pixels']
    ran = []
    evaluator.metrics = [
        lambda *args, m=metric, **more: (ran.append(1), m(*args, **more))[1] for metric in evaluator.metrics
    ]
    share = list(DefaultSampler(samples, shuffle=False))
    evaluator.process([samples[index] for index in share])
    scalars = evaluator.evaluate(len(samples))
    ids = [record.truth.image_id for record in evaluator.records]
    return {'share': share, 'ran': len(ran), 'found': (ids, scalars, json.dumps(evaluator.results))}


@pytest.mark.parametrize('thresholds', ['checkpoint', 'select'])
def test_an_odd_number_of_images_in_two_processes_is_evaluated_as_in_one(thresholds: str, tmp_path: Path) -> None:
    samples = map_samples(GEOMETRIES['between pixels'], 7)
    first, second = (end.value for end in in_two_processes(lambda _: _evaluated(samples, thresholds), tmp_path))
    # The sampler repeats an image so that both have four.
    assert sorted(first['share'] + second['share']) == [0, 0, 1, 2, 3, 4, 5, 6]
    alone = _evaluated(samples, thresholds)
    assert first['found'] == second['found'] == alone['found']
    assert alone['found'][0] == list(range(7))
    assert (first['ran'], second['ran'], alone['ran']) == (len(METRICS), 0, len(METRICS))


def test_what_is_wrong_with_the_images_is_said_in_both_processes(tmp_path: Path) -> None:
    samples = [sample for sample in map_samples(GEOMETRIES['on pixels'], 7) if sample.gt_label]
    ends = in_two_processes(lambda _: _evaluated(samples, 'select'), tmp_path)
    assert [end.error[0] for end in ends] == ['AnnotationError'] * 2
    assert all('a threshold needs both classes' in end.error[1] for end in ends)


def _tested(geometry: FeatureGeometry, map_threshold: float) -> LocalizationEvaluator:
    evaluator = LocalizationEvaluator(METRICS, thresholds='checkpoint')
    evaluator.calibration = {'image_threshold': 0.5, 'map_threshold': map_threshold, 'drift_px': [2.0, -1.0]}
    evaluator.geometry = geometry
    evaluator.process(map_samples(geometry))
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
    double = evaluator.records[1].prediction
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
    samples = [map_sample(number, *pair) for number, pair in enumerate(zip(maps, truths))]
    evaluator = LocalizationEvaluator(METRICS)
    evaluator.geometry = geometry
    evaluator.process(samples)
    evaluator.evaluate(len(samples))
    block = evaluator.results['one_to_one']
    assert (block['tp'], block['fp'], block['fn']) == (3, 0, 0)
    for record, score_map in zip(evaluator.records, maps):
        slide, _ = read_map(
            score_map, SIDE_PX, SIDE_PX, geometry, map_threshold=evaluator.results['map_threshold'], is_large=True
        )
        prediction = record.prediction
        assert prediction.map_max == prediction.points[0, 2] == prediction.curve_points[0, 2] == slide[0, 2]


def test_maps_of_a_config_without_the_hook_that_explains_them_are_refused() -> None:
    evaluator = LocalizationEvaluator(METRICS, thresholds='select')
    evaluator.process(map_samples(GEOMETRIES['on pixels'], 4))
    with pytest.raises(ConfigError, match='CalibrationHook'):
        evaluator.evaluate(4)
