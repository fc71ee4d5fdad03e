from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from mitouts.functional.agreement import agreement, bland_altman, least_squares_line, pearson, spearman

NOTHING = {
    'pearson': {'r': None, 'ci95_fisher': None, 'ci95_bootstrap': None},
    'spearman': {'rho': None, 'ci95_fisher': None, 'ci95_bootstrap': None},
}


def pairs(n: int, seed: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.gamma(2, 5, n)
    y = 0.5 * x + generator.normal(0, 3, n)
    return (np.rint(x / 4), np.rint(y / 4)) if ties else (x, y)


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('n', [4, 10, 250])
def test_coefficients_and_the_interval_of_r_equal_those_of_scipy(n, ties):
    x, y = pairs(n, n, ties=ties)
    found = agreement(x, y, num_bootstrap=0)
    expected = stats.pearsonr(x, y)
    assert found.pearson.value == pytest.approx(expected.statistic, abs=1e-12)
    assert_allclose(found.pearson.ci95_fisher, expected.confidence_interval(0.95), atol=1e-12)
    assert found.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert found.pearson.ci95_bootstrap is None


def test_the_interval_of_rho_is_that_of_bonett_and_wright():
    x, y = pairs(40, 1)
    found = spearman(x, y)
    error = math.sqrt((1 + found.value**2 / 2) / 37)
    half = stats.norm.ppf(0.975) * error
    low, high = found.ci95_fisher
    assert_allclose(
        [math.atanh(low), math.atanh(high)], [math.atanh(found.value) - half, math.atanh(found.value) + half]
    )


@pytest.mark.parametrize(('ours', 'theirs'), [(pearson, stats.pearsonr), (spearman, stats.spearmanr)])
def test_bootstrap_intervals_agree_with_scipys(ours, theirs):
    x, y = pairs(60, 2)
    reference = stats.bootstrap(
        (x, y),
        lambda a, b: theirs(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method='percentile',
        rng=np.random.default_rng(5),
    )
    assert_allclose(ours(x, y, num_bootstrap=4000).ci95_bootstrap, reference.confidence_interval, atol=0.02)


def test_bootstrap_is_the_percentile_interval_over_pairs_and_seeded():
    x, y = pairs(12, 3, ties=True)
    generator = np.random.default_rng(7)
    drawn = generator.integers(12, size=(300, 12))
    replicates = [
        stats.spearmanr(x[index], y[index]).statistic for index in drawn if np.ptp(x[index]) * np.ptp(y[index])
    ]
    assert_allclose(spearman(x, y, num_bootstrap=300, seed=7).ci95_bootstrap, np.percentile(replicates, [2.5, 97.5]))
    assert spearman(x, y, seed=7) == spearman(x, y, seed=7)
    assert spearman(x, y, seed=7).ci95_bootstrap != spearman(x, y, seed=8).ci95_bootstrap


def test_the_paired_t_interval_is_that_of_the_bias():
    x, y = pairs(25, 5)
    found = bland_altman(x, y)
    expected = stats.ttest_rel(y, x).confidence_interval(0.95)
    assert_allclose(found.bias_ci95, [expected.low, expected.high])
    assert found.bias == pytest.approx(np.mean(y - x))
    assert found.sd == pytest.approx(np.std(y - x, ddof=1))
    assert_allclose(found.limits, stats.norm.interval(0.95, found.bias, found.sd))


def test_intervals_of_the_limits_by_hand():
    found = bland_altman([0, 0, 0, 0, 0], [1, 2, 3, 4, 5])
    # bias 3, sd sqrt(2.5) = 1.5811, t(4) = 2.7764; sqrt(1/5 + 1.96^2 / 8) = 0.82473.
    assert_allclose(found.limits, [-0.0990, 6.0990], atol=1e-4)
    assert_allclose(found.lower_limit_ci95, [-0.0990 - 3.6205, -0.0990 + 3.6205], atol=1e-3)
    assert_allclose(found.upper_limit_ci95, [6.0990 - 3.6205, 6.0990 + 3.6205], atol=1e-3)


def test_the_line_is_scipys():
    x, y = pairs(33, 6)
    found, expected = least_squares_line(x, y), stats.linregress(x, y)
    assert_allclose([found.slope, found.intercept], [expected.slope, expected.intercept])


def test_perfect_agreement():
    x = np.array([1.0, 2.0, 4.0, 8.0, 9.0])
    found = agreement(x, 2 * x + 1)
    assert found.pearson.value == pytest.approx(1.0, abs=1e-15)
    assert found.spearman.value == 1.0
    assert found.spearman.ci95_fisher == (1.0, 1.0)
    assert_allclose(found.pearson.ci95_fisher, [1, 1])
    assert_allclose(found.pearson.ci95_bootstrap, [1, 1])
    assert_allclose([found.line.slope, found.line.intercept], [2, 1])
    assert agreement(x, -x).spearman.ci95_fisher == (-1.0, -1.0)
    assert spearman([1, 9, 3], [0.5, 2.5, 1.0]).value == 1.0
    assert agreement(x, x).bland_altman.limits == (0, 0)


@pytest.mark.parametrize('constant', [0.0, 7.0, 0.1, 1e99])
def test_constant_values_have_no_correlation(constant):
    x, same = np.arange(6.0), np.full(6, constant)
    for first, second in ((x, same), (same, x), (same, same)):
        plain = agreement(first, second).to_dict()
        assert {key: plain[key] for key in NOTHING} == NOTHING
        assert (plain['line'] is None) == (first is same)
        assert plain['bland_altman'] is not None
    assert agreement(x, same).line.slope == 0


def test_a_line_too_steep_for_a_number_is_not_available():
    tiny = np.arange(4) * 5e-324
    assert least_squares_line(tiny, np.arange(4.0)) is None


def test_values_that_differ_by_rounding_are_constant():
    same = np.array([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3])
    assert np.ptp(same) > 0
    assert pearson(np.arange(5.0), same).value is None


@pytest.mark.parametrize('n', [0, 1, 2])
def test_fewer_than_three_pairs_give_nothing(n):
    found = agreement(np.arange(float(n)), np.arange(float(n)))
    assert found.to_dict() == {'n': n, **NOTHING, 'bland_altman': None, 'line': None}


def test_three_pairs_give_estimates_without_intervals():
    found = agreement([1, 2, 4], [1, 3, 2])
    assert found.pearson.value == pytest.approx(stats.pearsonr([1, 2, 4], [1, 3, 2]).statistic)
    assert found.spearman.value == pytest.approx(0.5)
    intervals = [
        value for scores in (found.pearson, found.spearman) for value in (scores.ci95_fisher, scores.ci95_bootstrap)
    ]
    assert intervals == [None] * 4
    limits = found.bland_altman
    assert (limits.bias_ci95, limits.lower_limit_ci95, limits.upper_limit_ci95) == (None, None, None)
    assert limits.bias == pytest.approx(-1 / 3)


def test_pairs_with_nan_are_left_out():
    x, y = pairs(20, 8)
    holes_x, holes_y = np.insert(x, 3, [np.nan, 1.0]), np.insert(y, 3, [2.0, np.nan])
    assert agreement(holes_x, holes_y) == agreement(x, y)


@pytest.mark.parametrize(
    ('x', 'y', 'words'),
    [
        ([1, 2], [1], 'one length'),
        ([[1]], [[1]], 'one length'),
        ([1, math.inf], [1, 2], 'found inf'),
        ([1, 2], [-1e101, 2], 'up to 1e.100'),
    ],
)
def test_columns_that_fit_nothing_are_refused(x, y, words):
    with pytest.raises(ValueError, match=words):
        agreement(x, y)


def test_mostly_constant_replicates_give_no_bootstrap_interval():
    x = np.zeros(8)
    x[0] = 1
    found = pearson(x, np.arange(8.0))
    assert found.ci95_bootstrap is not None
    lonely = np.zeros(4)
    lonely[0] = 1
    assert pearson(lonely, lonely[::-1]).ci95_fisher is not None
    assert pearson(lonely, lonely[::-1]).ci95_bootstrap is None


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(*[st.one_of(st.floats(-1e12, 1e12), st.sampled_from([0.0, 1.0, math.nan]))] * 2), max_size=12)
)
def test_anything_finite_ends_in_numbers_or_none(values):
    x, y = np.array(values, dtype=np.float64).reshape(-1, 2).T
    plain = agreement(x, y, num_bootstrap=40).to_dict()
    json.dumps(plain, allow_nan=False)
    for name, symbol in (('pearson', 'r'), ('spearman', 'rho')):
        value, interval = plain[name][symbol], plain[name]['ci95_fisher']
        assert value is None or -1 <= value <= 1
        assert interval is None or -1 <= interval[0] <= value <= interval[1] <= 1


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(4, 20), st.integers(0, 999), st.floats(1e-90, 1e90), st.floats(-10, 10))
def test_correlations_do_not_depend_on_the_unit(n, seed, scale, shift):
    x, y = pairs(n, seed)
    expected, found = agreement(x, y, num_bootstrap=50), agreement(scale * (x + shift), y, num_bootstrap=50)
    assert found.pearson.value == pytest.approx(expected.pearson.value, abs=1e-9)
    assert_allclose(found.pearson.ci95_bootstrap, expected.pearson.ci95_bootstrap, atol=1e-9)
    assert found.line.slope == pytest.approx(expected.line.slope / scale, rel=1e-6)
