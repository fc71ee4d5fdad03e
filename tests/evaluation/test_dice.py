"""The evaluator of label maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine import dist
from sklearn.metrics import f1_score

from mitouts.evaluation import DiceMetric, TissueEvaluator, TissueRecord
from mitouts.functional.segmentation import IGNORE_INDEX
from mitouts.registry import EVALUATOR
from mitouts.structures import TissueSample

CLASSES = ('tumour', 'stroma', 'other')


def evaluator() -> TissueEvaluator:
    built = EVALUATOR.build(dict(type='TissueEvaluator', metrics=[dict(type='DiceMetric', num_bootstrap=50)]))
    built.dataset_meta = {'classes': CLASSES}
    return built


def samples(count: int = 4, classes: int = 3) -> list[TissueSample]:
    made = []
    for number in range(count):
        generator = np.random.default_rng(number)
        truth = generator.integers(0, classes, (6, 7), dtype=np.uint8)
        truth[0] = IGNORE_INDEX
        predicted = np.where(generator.random((6, 7)) < 0.7, truth, generator.integers(0, classes, (6, 7)))
        predicted[0] = 0
        sample = TissueSample(metainfo={'img_id': number, 'case_id': f'case_{number % 3}', 'mpp': 0.5})
        sample.gt_labels, sample.pred_labels = torch.from_numpy(truth), torch.from_numpy(predicted.astype(np.uint8))
        made.append(sample)
    return made


def test_scores_over_all_images_as_scikit_learn_has_them() -> None:
    data, score = samples(), evaluator()
    score.process(data[:1])
    score.process(data[1:])
    scalars = score.evaluate(4)
    truth = np.concatenate([sample.gt_labels.numpy()[1:].ravel() for sample in data])
    predicted = np.concatenate([sample.pred_labels.numpy()[1:].ravel() for sample in data])
    expected = f1_score(truth, predicted, average=None)
    assert [scalars[f'dice/{name}'] for name in CLASSES] == pytest.approx(expected.tolist())
    assert scalars['dice/mean'] == pytest.approx(expected.mean())
    assert scalars['pixel/accuracy'] == pytest.approx((truth == predicted).mean())
    assert score.results['images'] == 4
    low, high = score.results['dice']['mean_ci95']
    assert low <= scalars['dice/mean'] <= high


def test_repeated_images_count_once_and_a_second_evaluation_starts_anew() -> None:
    data, score = samples(), evaluator()
    score.process([*data, data[0]])
    first = score.evaluate(4)
    score.process(data)
    assert score.evaluate(4) == first
    assert [record.image_id for record in score.records] == [0, 1, 2, 3]


def test_ranks_are_gathered(monkeypatch) -> None:
    data, other, score = samples(), evaluator(), evaluator()
    other.process(data[2:])
    elsewhere = list(other._gathered)
    monkeypatch.setattr(dist, 'gather_object', lambda mine: [mine, elsewhere])
    score.process(data[:2])
    score.evaluate(4)
    assert len(score.records) == 4


def test_a_class_that_is_nowhere_is_left_out_of_the_mean() -> None:
    confusion = np.array([[5, 1, 0], [0, 4, 0], [0, 0, 0]])
    result = DiceMetric()([TissueRecord(1, 'a', confusion, 0.5)], CLASSES)
    assert result['dice']['other'] is None
    assert result['dice']['mean'] == pytest.approx((10 / 11 + 8 / 9) / 2)
    assert result['dice']['mean_ci95'] is None
    assert result['pixel'] == {'accuracy': 0.9, 'count': 10, 'confusion': confusion.tolist()}


def test_what_is_undefined_is_not_logged() -> None:
    data, score = samples(1, classes=2), evaluator()
    score.process(data)
    assert 'dice/other' not in score.evaluate(1)
