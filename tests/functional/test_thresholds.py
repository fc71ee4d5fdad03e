from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from mitouts.functional.thresholds import select_threshold

SAMPLES = st.lists(
    st.tuples(st.integers(0, 8).map(lambda step: step / 8), st.booleans()), min_size=2, max_size=25
).filter(lambda pairs: len({label for _, label in pairs}) == 2)


def split(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = zip(*pairs)
    return np.array(scores), np.array(labels).astype(int)


def criterion(method: str, scores: np.ndarray, labels: np.ndarray, threshold: float) -> float:
    predicted = scores > threshold
    if method == 'max_f1':
        return 2 * (predicted & (labels == 1)).sum() / (predicted.sum() + labels.sum())
    tpr, fpr = predicted[labels == 1].mean(), predicted[labels == 0].mean()
    return tpr - fpr if method == 'youden' else -np.hypot(fpr, 1 - tpr)


@pytest.mark.parametrize('method', ['max_f1', 'youden', 'closest_corner'])
@settings(deadline=None, max_examples=60)
@given(pairs=SAMPLES)
def test_no_other_threshold_is_better_and_none_is_a_tie(pairs, method):
    scores, labels = split(pairs)
    threshold = select_threshold(scores, labels, method)
    assert threshold not in scores
    chosen = criterion(method, scores, labels, threshold)
    best = max(criterion(method, scores, labels, other) for other in np.arange(-1, 19) / 16 + 1 / 64)
    assert chosen == pytest.approx(best)


def test_youden_agrees_with_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 300)
    scores = generator.normal(labels, 1.5)
    fpr, tpr, _ = roc_curve(labels, scores)
    threshold = select_threshold(scores, labels, 'youden')
    assert criterion('youden', scores, labels, threshold) == pytest.approx((tpr - fpr).max())


@pytest.mark.parametrize('method', ['max_f1', 'youden', 'closest_corner'])
def test_separable_classes_are_cut_in_the_middle(method):
    assert select_threshold([0.1, 0.3, 0.7, 0.9], [0, 0, 1, 1], method) == pytest.approx(0.5)


def test_the_widest_of_equal_plateaus_is_cut_in_the_middle():
    # Youden's criterion is 1/2 just above 0.1, and again anywhere from 0.3 to 0.9.
    scores, labels = [0.1, 0.2, 0.3, 0.9], [0, 1, 0, 1]
    assert select_threshold(scores, labels, 'youden') == pytest.approx(0.6)
    assert select_threshold([1 - score for score in scores], [1 - label for label in labels], 'youden') == (
        pytest.approx(0.4)
    )


def test_neighbouring_candidates_with_the_same_criterion_are_one_plateau():
    # The pair at 0.5 holds one of each class, so Youden's criterion is the same on both its sides: from 0.1 to 0.8.
    assert select_threshold([0.1, 0.5, 0.5, 0.8], [0, 0, 1, 1], 'youden') == pytest.approx(0.3)
    # Here each side of the pair at 0.4 is narrower than the gap from 0.65 to 0.9, but together they are wider.
    scores, labels = [0.25, 0.4, 0.4, 0.6, 0.65, 0.9], [0, 0, 1, 1, 0, 1]
    assert select_threshold(scores, labels, 'youden') == pytest.approx(0.5)


def test_everything_positive_lies_below_the_lowest_score():
    assert select_threshold([0.4, 0.6, 0.8], [1, 0, 1], 'max_f1') == pytest.approx(0.2)
    assert select_threshold([-4.0, 3.0, 5.0], [1, 0, 1], 'max_f1') == pytest.approx(-4.5)


def test_neighbouring_floats_are_separated():
    low = 0.7
    high = np.nextafter(low, 1)
    threshold = select_threshold([low, high], [0, 1])
    assert not low > threshold
    assert high > threshold


def test_prevalence_equals_repeating_the_negatives():
    generator = np.random.default_rng(1)
    labels = np.repeat([1, 0], 40)
    scores = generator.normal(labels, 1.0)
    repeated = np.concatenate([scores, np.tile(scores[labels == 0], 8)])
    repeated_labels = np.concatenate([labels, np.zeros(320, dtype=int)])
    natural = select_threshold(repeated, repeated_labels)
    assert select_threshold(scores, labels, prevalence=0.1) == pytest.approx(natural)
    assert natural > select_threshold(scores, labels)


def test_fixed_needs_no_scores():
    assert select_threshold([], [], 'fixed', value=0.25) == 0.25
    with pytest.raises(ValueError, match="'fixed' needs a finite value"):
        select_threshold([], [], 'fixed')


@pytest.mark.parametrize(
    ('scores', 'labels', 'arguments', 'message'),
    [
        ([0.1, 0.2], [1, 1], {}, 'needs both classes, found 2 positive and 0 negative'),
        ([], [], {}, 'needs both classes, found 0 positive and 0 negative'),
        ([0.1, np.nan], [0, 1], {}, 'expected finite scores, found 1'),
        ([0.1, 0.2], [0, 2], {}, 'expected labels 0 and 1'),
        ([0.1, 0.2], [0], {}, 'one score and one label a sample'),
        ([0.1, 0.2], [0, 1], {'method': 'best'}, "unknown method 'best'; known are max_f1"),
        ([0.1, 0.2], [0, 1], {'prevalence': 1.0}, 'prevalence must lie between 0 and 1'),
    ],
)
def test_refuses(scores, labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        select_threshold(scores, labels, **arguments)
