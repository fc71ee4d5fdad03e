from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics

from mitouts.functional.image_level import image_scores


def test_equals_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 100)
    scores = np.round(generator.normal(labels, 1.0), 1)
    result = image_scores(scores, labels, 0.5)
    predicted = scores > 0.5
    assert result.f1 == pytest.approx(metrics.f1_score(labels, predicted))
    assert result.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert result.precision == pytest.approx(metrics.precision_score(labels, predicted))
    assert result.recall == pytest.approx(metrics.recall_score(labels, predicted))
    assert metrics.confusion_matrix(labels, predicted).ravel().tolist() == [result.tn, result.fp, result.fn, result.tp]


def test_auc_counts_ordered_pairs():
    # Pairs of a positive and a negative: 0.8 > 0.5, 0.8 > 0.2, 0.5 = 0.5 (half), 0.5 > 0.2.
    assert image_scores([0.8, 0.5, 0.5, 0.2], [1, 1, 0, 0], 0.5).auc == pytest.approx(3.5 / 4)


def test_threshold_is_strict():
    assert image_scores([0.5, 0.6], [1, 1], 0.5).tp == 1


@pytest.mark.parametrize('label', [0, 1])
def test_one_class_has_no_auc(label):
    result = image_scores([0.2, 0.7], [label, label], 0.5)
    assert result.auc is None
    assert result.accuracy == 0.5


def test_no_image_scores_zero():
    result = image_scores([], [], 0.5)
    assert result.auc is None
    assert (result.f1, result.accuracy, result.precision, result.recall) == (0.0, 0.0, 0.0, 0.0)


def test_to_dict_is_plain_json():
    result = image_scores(np.array([0.1, 0.9], dtype=np.float32), np.array([0, 1]), np.float32(0.5)).to_dict()
    assert json.loads(json.dumps(result)) == result
    assert (result['auc'], result['f1'], result['tn']) == (1.0, 1.0, 1)


@pytest.mark.parametrize(('scores', 'labels'), [([0.1], [0, 1]), ([0.1, np.inf], [0, 1]), ([0.1, 0.2], [0, 2])])
def test_refuses(scores, labels):
    with pytest.raises(ValueError, match='expected'):
        image_scores(scores, labels, 0.5)
