"""Scores of label maps, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from mitouts.functional.segmentation import (
    IGNORE_INDEX,
    bootstrap_mean_dice_ci95,
    confusion_matrix,
    dice_scores,
    mean_dice,
    pixel_accuracy,
)


def test_by_hand() -> None:
    truth = [[0, 0, 1], [1, 2, IGNORE_INDEX]]
    predicted = [[0, 1, 1], [1, 1, 0]]
    confusion = confusion_matrix(truth, predicted, 4)
    assert confusion.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    # Class 0: TP 1, FN 1; class 1: TP 2, FP 2; class 2 is missed; class 3 is not there.
    np.testing.assert_allclose(dice_scores(confusion), [2 / 3, 2 / 3, 0, np.nan])
    assert mean_dice(confusion) == pytest.approx(4 / 9)
    assert pixel_accuracy(confusion) == 3 / 5


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 5))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_as_scikit_learn_has_it(seed: int, pixels: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, pixels)
    predicted = generator.integers(0, classes, pixels)
    ignored = generator.random(pixels) < 0.2
    labels = list(range(classes))
    confusion = confusion_matrix(np.where(ignored, IGNORE_INDEX, truth), predicted, classes)
    truth, predicted = truth[~ignored], predicted[~ignored]
    if not len(truth):
        assert confusion.sum() == 0
        return
    np.testing.assert_array_equal(confusion, sklearn_confusion(truth, predicted, labels=labels))
    assert pixel_accuracy(confusion) == pytest.approx(accuracy_score(truth, predicted))
    # Dice of a class is the F1 of telling its pixels.
    expected = f1_score(truth, predicted, labels=labels, average=None, zero_division=np.nan)
    np.testing.assert_allclose(dice_scores(confusion), expected)


def test_many_matrices_at_once() -> None:
    matrices = np.random.default_rng(0).integers(0, 9, (6, 3, 3))
    np.testing.assert_array_equal(dice_scores(matrices), [dice_scores(each) for each in matrices])
    np.testing.assert_array_equal(mean_dice(matrices), [mean_dice(each) for each in matrices])


def test_nothing_labelled_has_no_scores() -> None:
    confusion = confusion_matrix([IGNORE_INDEX] * 3, [0, 1, 1], 2)
    assert np.isnan(dice_scores(confusion)).all()
    assert np.isnan(mean_dice(confusion))
    assert np.isnan(pixel_accuracy(confusion))


def test_shapes_and_classes_are_checked() -> None:
    with pytest.raises(ValueError, match=r'truth is \(2,\) and the prediction is \(3,\)'):
        confusion_matrix([0, 1], [0, 1, 1], 2)
    with pytest.raises(ValueError, match='the truth runs from 0 to 7'):
        confusion_matrix([0, 7], [0, 1], 2)
    with pytest.raises(ValueError, match='the prediction runs from 0 to 2'):
        confusion_matrix([0, 1], [0, 2], 2)


def test_interval_is_over_cases_and_as_a_plain_loop_has_it() -> None:
    generator = np.random.default_rng(1)
    matrices = generator.integers(0, 50, (7, 3, 3)) + 40 * np.eye(3, dtype=int)
    cases = ['b', 'a', 'b', 'c', 'd', 'd', 'a']
    low, high = bootstrap_mean_dice_ci95(matrices, cases, num_bootstrap=200, seed=3)
    names = sorted(set(cases))
    picks = np.random.default_rng(3).multinomial(4, np.full(4, 1 / 4), 200)
    replicates = []
    for pick in picks:
        total = sum(pick[names.index(case)] * matrix for case, matrix in zip(cases, matrices))
        replicates.append(np.mean(dice_scores(total)))
    np.testing.assert_allclose((low, high), np.percentile(replicates, (2.5, 97.5)))


def test_one_case_has_no_interval() -> None:
    matrices = np.ones((3, 2, 2), dtype=int)
    assert bootstrap_mean_dice_ci95(matrices, ['a', 'a', 'a']) is None
    assert bootstrap_mean_dice_ci95(matrices, ['a', 'b', 'a'], num_bootstrap=0) is None
