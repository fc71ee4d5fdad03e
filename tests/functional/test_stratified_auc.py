"""The area under the ROC curve within cases, against pairs that are compared one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mitouts.functional.stratified_auc import auc_difference, stratified_auc

ITEMS = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.sampled_from('abcd')), min_size=1, max_size=40)


def by_pairs(scores: np.ndarray, positive: np.ndarray, cases: np.ndarray) -> tuple[float, int]:
    """The sum over pairs of one case, and their number, pair by pair."""
    won, pairs = 0.0, 0
    for i, j in product(range(len(scores)), repeat=2):
        if positive[i] and not positive[j] and cases[i] == cases[j]:
            won += 1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0
            pairs += 1
    return won, pairs


@settings(max_examples=150)
@given(ITEMS)
def test_it_is_the_share_of_pairs_within_cases(items: list[tuple[int, bool, str]]) -> None:
    scores, positive, cases = (np.array(column) for column in zip(*items))
    found = stratified_auc(scores, positive, cases, num_bootstrap=0)
    won, pairs = by_pairs(scores, positive, cases)
    assert found.pairs == pairs
    assert found.auc == (pytest.approx(won / pairs) if pairs else None)
    assert found.ci95 is None
    weighted = 0.0
    for case in found.cases:
        own = cases == case.case_id
        assert (case.positives, case.negatives) == (positive[own].sum(), (~positive[own]).sum())
        area = roc_auc_score(positive[own], scores[own]) if case.positives and case.negatives else None
        assert case.auc == (None if area is None else pytest.approx(area))
        weighted += 0 if area is None else area * case.positives * case.negatives
    assert weighted == pytest.approx(won)
    both = len(set(positive.tolist())) == 2
    assert found.pooled == (pytest.approx(roc_auc_score(positive, scores)) if both else None)


@settings(max_examples=50)
@given(ITEMS, st.randoms(use_true_random=False))
def test_a_difference_is_that_of_the_areas(items: list[tuple[int, bool, str]], random) -> None:
    scores, positive, cases = (np.array(column) for column in zip(*items))
    other = np.array([random.randrange(5) for _ in items])
    found = auc_difference(scores, other, positive, cases, num_bootstrap=0)
    areas = [stratified_auc(each, positive, cases, num_bootstrap=0).auc for each in (scores, other)]
    assert found.difference == (None if areas[0] is None else pytest.approx(areas[0] - areas[1]))


def test_a_score_that_only_tells_cases_apart_finds_nothing_within_them() -> None:
    cases = np.repeat(['a', 'b'], 100)
    positive = np.concatenate([np.arange(100) < 80, np.arange(100) < 5])
    found = stratified_auc((cases == 'a').astype(float), positive, cases)
    assert found.auc == 0.5
    assert found.pooled is not None
    assert found.pooled > 0.85
    assert found.mixed_cases == 2


def test_the_interval_is_that_of_resampled_cases() -> None:
    generator = np.random.default_rng(0)
    cases = generator.choice(list('abcdefgh'), 300)
    positive = generator.random(300) < 0.4
    scores = positive + generator.normal(0, 1.2, 300)
    other = positive + generator.normal(0, 2.0, 300)
    found = stratified_auc(scores, positive, cases, num_bootstrap=4000, seed=1)
    difference = auc_difference(scores, other, positive, cases, num_bootstrap=4000, seed=1)
    names = np.unique(cases)
    own = {name: by_pairs(*(each[cases == name] for each in (scores, positive, cases))) for name in names}
    others = {name: by_pairs(*(each[cases == name] for each in (other, positive, cases))) for name in names}
    replicates, differences = [], []
    for _ in range(4000):
        drawn = generator.choice(names, len(names))
        pairs = sum(own[name][1] for name in drawn)
        replicates.append(sum(own[name][0] for name in drawn) / pairs)
        differences.append(replicates[-1] - sum(others[name][0] for name in drawn) / pairs)
    np.testing.assert_allclose(found.ci95, np.percentile(replicates, [2.5, 97.5]), atol=0.01)
    np.testing.assert_allclose(difference.ci95, np.percentile(differences, [2.5, 97.5]), atol=0.01)
    assert stratified_auc(scores, positive, cases, num_bootstrap=4000, seed=1) == found


@pytest.mark.parametrize(
    ('scores', 'positive', 'message'),
    [([1.0], [True, False], 'found 1, 2, 2'), ([1.0, float('nan')], [True, False], 'expected finite scores')],
)
def test_what_makes_no_sense(scores: list[float], positive: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stratified_auc(scores, positive, ['a', 'a'])
