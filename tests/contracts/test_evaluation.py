"""What every metric and every threshold selector promises to an evaluator."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from image_records import evaluated
from outside import names_in

from mitouts.errors import ConfigError
from mitouts.evaluation import (
    LocalizationEvaluator,
    Metric,
    ThresholdSelector,
    TissueEvaluator,
    TissueMetric,
    TissueRecord,
)
from mitouts.registry import METRICS, THRESHOLD_SELECTORS
from mitouts.structures import EvaluatedImage

METRIC_NAMES = names_in(METRICS, Metric, 'CountMetric')
TISSUE_METRIC_NAMES = names_in(METRICS, TissueMetric)
SELECTOR_NAMES = names_in(THRESHOLD_SELECTORS, ThresholdSelector, 'QuantileThreshold')
ARGUMENTS: dict[str, dict[str, Any]] = {'FixedThreshold': dict(value=0.3)}


RECORDS = [
    evaluated(0, [[20, 20]], [[24, 23, 0.9], [20, 40, 0.8]]),
    evaluated(1, [[50, 50], [200, 60]], [[50, 75, 0.7]]),
    evaluated(2, [], [[10, 10, 0.4]]),
    evaluated(3, [], []),
]


@pytest.mark.parametrize('records', [RECORDS, RECORDS[:1], RECORDS[2:]], ids=['both classes', 'positive', 'negative'])
@pytest.mark.parametrize('name', METRIC_NAMES)
def test_a_metric_gives_blocks_for_a_file_and_the_same_again(bring, name: str, records: list[EvaluatedImage]) -> None:
    bring(name)
    metric = METRICS.build_kind({'type': name}, Metric)
    before = copy.deepcopy(records)
    blocks = metric(records, image_threshold=0.5, map_threshold=0.5)
    assert blocks
    assert json.loads(json.dumps(blocks, allow_nan=False)) == blocks
    assert all(isinstance(block, dict) for block in blocks.values())
    assert metric(records, image_threshold=0.5, map_threshold=0.5) == blocks
    for old, new in zip(before, records):
        for part in ('truth', 'prediction'):
            for key, value in vars(getattr(new, part)).items():
                np.testing.assert_array_equal(value, getattr(getattr(old, part), key))


@pytest.mark.parametrize('name', TISSUE_METRIC_NAMES)
def test_a_metric_of_tissue_gives_blocks_for_a_file_and_the_same_again(name: str) -> None:
    metric = METRICS.build_kind({'type': name}, TissueMetric)
    confusions = [np.array([[5, 1, 0], [2, 8, 0], [0, 0, 0]]), np.array([[3, 0, 0], [1, 4, 0], [0, 0, 0]])]
    records = [TissueRecord(number, f'case {number}', matrix, 2.0) for number, matrix in enumerate(confusions)]
    blocks = metric(records, ('glass', 'tumour', 'stroma'))
    assert json.loads(json.dumps(blocks, allow_nan=False)) == blocks
    assert metric(records, ('glass', 'tumour', 'stroma')) == blocks


def test_an_evaluator_refuses_metrics_of_the_other_kind() -> None:
    with pytest.raises(ConfigError, match=r'DiceMetric cannot be used as a metric here: .*base\.Metric'):
        LocalizationEvaluator(metrics=[dict(type='DiceMetric')])
    with pytest.raises(ConfigError, match=r'ImageMetric cannot be used as a metric here: .*TissueMetric'):
        TissueEvaluator(metrics=[dict(type='ImageMetric')])


@pytest.mark.parametrize('name', SELECTOR_NAMES)
def test_a_selector_chooses_by_its_arguments_alone(bring, name: str) -> None:
    bring(name)
    selector = THRESHOLD_SELECTORS.build_kind({'type': name, **ARGUMENTS.get(name, {})}, ThresholdSelector)
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    scores = np.clip(generator.normal(0.4 + 0.2 * labels, 0.15), 0.01, 0.99)
    before = scores.copy(), labels.copy()
    threshold = selector(scores, labels)
    assert isinstance(threshold, float)
    assert np.isfinite(threshold)
    assert selector(scores.tolist(), labels.tolist()) == threshold
    order = generator.permutation(len(labels))
    assert selector(scores[order], labels[order]) == pytest.approx(threshold, abs=1e-12)
    np.testing.assert_array_equal(np.stack([scores, labels]), np.stack(before))


@pytest.mark.parametrize('label', [0, 1])
@pytest.mark.parametrize('name', SELECTOR_NAMES)
def test_a_selector_chooses_on_one_class_or_says_that_it_cannot(bring, name: str, label: int) -> None:
    bring(name)
    selector = THRESHOLD_SELECTORS.build_kind({'type': name, **ARGUMENTS.get(name, {})}, ThresholdSelector)
    try:
        threshold = selector(np.array([0.2, 0.6, 0.4]), np.full(3, label))
    except ValueError:
        return
    assert np.isfinite(threshold)
