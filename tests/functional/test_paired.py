from __future__ import annotations

import numpy as np
import pytest

from mitouts.functional.localization import bootstrap_f1_ci95
from mitouts.functional.paired import bootstrap_f1, paired_difference, pooled_f1, recovered_share

NUM_CASES = 7


def counts(seed: int, num_cases: int = NUM_CASES) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 20, (num_cases, 3))


def f1(tp: float, fp: float, fn: float) -> float:
    """From precision and recall, not from the counts."""
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    return 2 * precision * recall / (precision + recall)


def loop(tables: list[np.ndarray], num_bootstrap: int, seed: int) -> np.ndarray:
    """Case by case, with the same draws."""
    generator = np.random.default_rng(seed)
    replicates = []
    for _ in range(num_bootstrap):
        times = generator.multinomial(len(tables[0]), [1 / len(tables[0])] * len(tables[0]))
        drawn = [case for case, count in enumerate(times) for _ in range(count)]
        assert len(drawn) == len(tables[0])
        replicates.append([f1(*(sum(int(table[case][k]) for case in drawn) for k in range(3))) for table in tables])
    return np.array(replicates).T


def test_replicates_equal_an_explicit_loop_over_drawn_cases() -> None:
    tables = [counts(0), counts(1), counts(2)]
    np.testing.assert_allclose(bootstrap_f1(tables, num_bootstrap=200, seed=5), loop(tables, 200, 5), rtol=1e-12)


def test_the_interval_of_one_method_is_that_of_the_localization_scores() -> None:
    table = counts(3)
    cases = [f'{number:02d}' for number in range(NUM_CASES)]
    low, high = np.percentile(bootstrap_f1([table], num_bootstrap=300, seed=9)[0], [2.5, 97.5])
    assert bootstrap_f1_ci95(table, cases, num_bootstrap=300, seed=9) == (low, high)


def test_paired_difference_by_hand() -> None:
    a, b = counts(0), counts(1)
    found = paired_difference(a, b, num_bootstrap=400, seed=3)
    f1_a, f1_b = loop([a, b], 400, 3)
    assert found.difference == pytest.approx(f1(*a.sum(axis=0)) - f1(*b.sum(axis=0)))
    assert found.ci95 == pytest.approx(tuple(np.percentile(f1_a - f1_b, [2.5, 97.5])))
    assert found.p_one_sided == pytest.approx(np.mean(f1_a - f1_b <= 0))
    assert found.num_cases == NUM_CASES


def test_pairing_narrows_the_interval_of_methods_that_fail_on_the_same_cases() -> None:
    b = np.array([[1, 9, 9], [5, 5, 5], [9, 1, 1], [2, 8, 8], [8, 2, 2]])
    a = b + [1, 0, 0]
    low, high = paired_difference(a, b, num_bootstrap=500).ci95
    one = np.percentile(bootstrap_f1([a], num_bootstrap=500)[0], [2.5, 97.5])
    assert 0 < low < high
    assert high - low < (one[1] - one[0]) / 4


def test_equal_methods_do_not_differ() -> None:
    found = paired_difference(counts(0), counts(0), num_bootstrap=50)
    assert found == (0.0, (0.0, 0.0), 1.0, NUM_CASES)


def test_one_case_has_no_interval() -> None:
    found = paired_difference(counts(0, 1), counts(1, 1), num_bootstrap=50)
    assert (found.ci95, found.p_one_sided, found.num_cases) == (None, None, 1)


def test_recovered_share_against_the_loop() -> None:
    # The oracle finds more and errs less in every case, so no replicate is close to 0.
    b = counts(4)
    a, oracle = b + [4, 0, 0], b + [9, 0, 0]
    found = recovered_share(a, b, oracle, num_bootstrap=300, seed=1)
    f1_a, f1_b, f1_oracle = loop([a, b, oracle], 300, 1)
    whole = [f1(*table.sum(axis=0)) for table in (a, b, oracle)]
    assert found.is_defined
    assert found.share == pytest.approx((whole[0] - whole[1]) / (whole[2] - whole[1]))
    assert found.ci95 == pytest.approx(tuple(np.percentile((f1_a - f1_b) / (f1_oracle - f1_b), [2.5, 97.5])))


def test_recovered_share_is_not_defined_where_the_oracle_is_no_better_for_sure() -> None:
    b = np.array([[5, 5, 5], [5, 5, 5], [5, 5, 5]])
    oracle = np.array([[9, 1, 1], [5, 5, 5], [2, 7, 7]])
    found = recovered_share(b + 1, b, oracle, num_bootstrap=200)
    low, high = found.distance.ci95
    assert low <= 0 <= high
    assert (found.is_defined, found.ci95) == (False, None)
    assert found.share == pytest.approx((pooled_f1(b + 1) - pooled_f1(b)) / found.distance.difference)


def test_recovered_share_is_not_defined_where_the_oracle_is_worse() -> None:
    found = recovered_share(counts(0), counts(4), counts(4) + [0, 9, 9], num_bootstrap=200)
    assert found.distance.ci95[1] < 0
    assert (found.is_defined, found.ci95) == (False, None)


def test_recovered_share_of_no_distance_is_none() -> None:
    assert recovered_share(counts(0), counts(1), counts(1), num_bootstrap=20).share is None


@pytest.mark.parametrize('other', [np.ones((NUM_CASES - 1, 3)), np.ones((NUM_CASES, 2)), np.ones(3)])
def test_counts_of_other_cases_are_refused(other: np.ndarray) -> None:
    with pytest.raises(ValueError, match='of the same cases'):
        paired_difference(counts(0), other)


def test_no_case_is_refused() -> None:
    with pytest.raises(ValueError, match='C > 0'):
        bootstrap_f1([np.zeros((0, 3))], num_bootstrap=5)
