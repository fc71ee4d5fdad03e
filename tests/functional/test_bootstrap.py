"""The bootstrap over cases, against loops over the cases drawn and SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mitouts.functional import bootstrap as module
from mitouts.functional.bootstrap import bootstrap, bootstrap_ci95, percentile_ci95, sum_by_case

VALUES = np.random.default_rng(0).normal(3, 1, 40)


def mean(weights: np.ndarray) -> np.ndarray:
    return weights @ VALUES / weights.sum(axis=1)


def test_weights_say_how_often_each_case_was_drawn() -> None:
    expected = [
        np.repeat(VALUES, times).mean() for times in np.random.default_rng(5).multinomial(40, [1 / 40] * 40, size=60)
    ]
    np.testing.assert_allclose(bootstrap(mean, 40, num_bootstrap=60, seed=5), expected)


def test_members_are_the_cases_that_were_drawn() -> None:
    expected = np.median(VALUES[np.random.default_rng(5).integers(40, size=(60, 40))], axis=1)
    found = bootstrap(lambda drawn: np.median(VALUES[drawn], axis=1), 40, num_bootstrap=60, seed=5, one_by_one=True)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('one_by_one', [False, True])
def test_replicates_do_not_depend_on_the_blocks_they_are_drawn_in(
    one_by_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_two(drawn: np.ndarray) -> np.ndarray:
        return np.stack([drawn[:, 0], drawn.sum(axis=1)]).astype(float)

    whole = bootstrap(of_two, 7, num_bootstrap=50, seed=1, one_by_one=one_by_one)
    assert whole.shape == (2, 50)
    monkeypatch.setattr(module, '_MAX_DRAWS_AT_ONCE', 30)
    np.testing.assert_array_equal(bootstrap(of_two, 7, num_bootstrap=50, seed=1, one_by_one=one_by_one), whole)


def test_interval_is_that_of_scipy() -> None:
    reference = stats.bootstrap((VALUES,), np.mean, n_resamples=20_000, method='percentile', rng=1).confidence_interval
    assert bootstrap_ci95(mean, 40, num_bootstrap=20_000, seed=0) == pytest.approx(tuple(reference), abs=0.02)


def test_there_is_no_interval_of_one_case_without_replicates_or_mostly_undefined() -> None:
    assert bootstrap_ci95(mean, 1, num_bootstrap=10, seed=0) is None
    assert bootstrap_ci95(mean, 40, num_bootstrap=0, seed=0) is None
    assert percentile_ci95(np.array([1.0, np.nan, np.nan])) is None
    assert percentile_ci95(np.array([])) is None
    assert percentile_ci95(np.array([1.0, 1.0, np.nan])) == (1.0, 1.0)


def test_rows_are_summed_by_case() -> None:
    names, sums = sum_by_case(np.array([[1, 2], [3, 4], [5, 6]]), ['b', 'a', 'b'])
    assert names.tolist() == ['a', 'b']
    assert sums.tolist() == [[3, 4], [6, 8]]
    assert sums.dtype == np.int64
