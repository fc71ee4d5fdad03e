from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mitouts.functional.bootstrap import bootstrap
from mitouts.functional.known_counts import (
    correlation_ci95_over_cases,
    count_ceiling,
    median_relative_error,
    relative_errors,
    simulate_counts,
)


def test_errors_leave_out_areas_without_figures() -> None:
    assert relative_errors([4, 0, 10], [5, 2, 7]).tolist()[::2] == pytest.approx([0.25, -0.3])
    assert np.isnan(relative_errors([0], [2])).all()
    assert median_relative_error([4, 0, 10], [5, 2, 7]) == pytest.approx(0.275)
    assert median_relative_error([0, 0], [1, 2]) is None


@pytest.mark.parametrize('by_rank', [False, True])
def test_whole_cases_are_resampled_as_if_their_areas_were_written_again(by_rank: bool) -> None:
    generator = np.random.default_rng(0)
    cases = np.repeat(['a', 'b', 'c', 'd', 'e'], [3, 1, 4, 2, 5])
    true = generator.poisson(6, len(cases))
    counts = true + generator.integers(-2, 3, len(cases))
    names, owner = np.unique(cases, return_inverse=True)
    correlation = stats.spearmanr if by_rank else stats.pearsonr

    def one_by_one(drawn: np.ndarray) -> np.ndarray:
        values = []
        for times in drawn.astype(int):
            rows = np.repeat(np.arange(len(cases)), times[owner])
            values.append(correlation(true[rows], counts[rows]).statistic)
        return np.array(values)

    expected = np.percentile(bootstrap(one_by_one, len(names), num_bootstrap=60, seed=3), [2.5, 97.5])
    found = correlation_ci95_over_cases(true, counts, cases, by_rank=by_rank, num_bootstrap=60, seed=3)
    assert found == pytest.approx(tuple(expected))


def test_few_cases_have_no_interval() -> None:
    true, counts = [1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 6, 5]
    assert correlation_ci95_over_cases(true, counts, list('aabbcc'), by_rank=False) is None
    assert correlation_ci95_over_cases(true, counts, list('aabbcd'), by_rank=False) is not None
    assert correlation_ci95_over_cases([2] * 6, counts, list('aabbcd'), by_rank=False) is None


def test_simulated_counts_have_the_mean_and_variance_of_their_distributions() -> None:
    true, areas = np.array([0, 10, 40]), np.array([0.5, 0.5, 2.0])
    counts = simulate_counts(true, areas, recall=0.6, false_per_mm2=3.0, num_simulated=40_000)
    assert counts.mean(axis=0) == pytest.approx(0.6 * true + 3 * areas, rel=0.02)
    assert counts.var(axis=0) == pytest.approx(0.24 * true + 3 * areas, rel=0.05)


def test_the_ceiling_is_the_correlation_of_the_closed_form_with_many_areas() -> None:
    true = np.random.default_rng(1).integers(0, 30, 3000)
    areas = np.full(len(true), 0.5)
    ceiling = count_ceiling(true, areas, recall=0.7, false_per_mm2=8.0, num_simulated=50)
    variance = 0.49 * true.var() + 0.21 * true.mean() + 4.0
    assert ceiling.pearson.mean == pytest.approx(0.7 * true.std() / np.sqrt(variance), abs=0.005)
    assert ceiling.pearson.range95[0] < ceiling.pearson.mean < ceiling.pearson.range95[1]


def test_the_ceiling_of_a_perfect_detector_is_one() -> None:
    ceiling = count_ceiling([3, 8, 1, 8], [1.0] * 4, recall=1.0, false_per_mm2=0.0, num_simulated=20)
    assert ceiling.pearson.mean == ceiling.spearman.mean == pytest.approx(1)
    assert ceiling.median_relative_error.range95 == (0.0, 0.0)
    assert count_ceiling([5] * 4, [1.0] * 4, recall=0.5, false_per_mm2=1.0, num_simulated=20).pearson.mean is None


def test_numbers_that_cannot_be_simulated_are_refused() -> None:
    with pytest.raises(ValueError, match='recall in'):
        simulate_counts([1], [1.0], recall=1.1, false_per_mm2=0.0, num_simulated=2)
    with pytest.raises(ValueError, match='as many areas as numbers'):
        simulate_counts([1, 2], [1.0], recall=1.0, false_per_mm2=0.0, num_simulated=2)
