from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from mitouts.functional.kappa import cohen_kappa, fleiss_kappa

# Table 1 of Fleiss 1971: 30 patients, six psychiatrists; depression, personality disorder, schizophrenia, neurosis,
# other. The article gives kappa = 0.430, and as the categories' shares 0.144, 0.144, 0.167, 0.306 and 0.239.
FLEISS_1971 = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""

CATEGORIES = ('mitotic', 'look_alike', 'unsure')


def table_of_fleiss() -> np.ndarray:
    return np.array([[int(count) for count in row] for row in FLEISS_1971.split()])


def cohen_by_hand(first: list[str], second: list[str]) -> float | None:
    """Rater by rater, category by category, in fractions of whole numbers."""
    n = len(first)
    if not n:
        return None
    observed = sum(a == b for a, b in zip(first, second)) / n
    expected = sum(first.count(category) * second.count(category) for category in CATEGORIES) / n**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def fleiss_by_pairs(ratings: list[list[str]]) -> tuple[float, float]:
    """Observed agreement by looking at every pair of ratings of an item, expected from the categories' shares."""
    agreements = []
    for item in ratings:
        pairs = list(itertools.combinations(item, 2))
        if pairs:
            agreements.append(sum(a == b for a, b in pairs) / len(pairs))
    rated = [item for item in ratings if item]
    shares = [sum(item.count(category) / len(item) for item in rated) / len(rated) for category in CATEGORIES]
    return sum(agreements) / len(agreements), sum(share**2 for share in shares)


def to_counts(ratings: list[list[str]]) -> list[list[int]]:
    return [[item.count(category) for category in CATEGORIES] for item in ratings]


def draw_ratings(seed: int, num: int) -> tuple[list[str], list[str]]:
    generator = np.random.default_rng(seed)
    first = generator.choice(CATEGORIES, num)
    second = np.where(generator.random(num) < 0.6, first, generator.choice(CATEGORIES, num))
    return first.tolist(), second.tolist()


@pytest.mark.parametrize('seed', range(4))
def test_cohen_is_that_of_scikit_learn(seed: int) -> None:
    first, second = draw_ratings(seed, 50)
    assert cohen_kappa(first, second, num_bootstrap=0).kappa == pytest.approx(cohen_kappa_score(first, second))


def test_cohen_by_hand() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: 0.7 observed, 0.5 by chance.
    first = ['yes'] * 25 + ['no'] * 25
    second = ['yes'] * 20 + ['no'] * 5 + ['yes'] * 10 + ['no'] * 15
    found = cohen_kappa(first, second, num_bootstrap=0)
    assert found.kappa == pytest.approx(0.4)
    assert (found.observed, found.expected) == (pytest.approx(0.7), pytest.approx(0.5))
    assert (found.ci95, found.num_items, found.num_cases) == (None, 50, 50)


@given(st.lists(st.tuples(st.sampled_from(CATEGORIES), st.sampled_from(CATEGORIES)), max_size=12))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_cohen_is_the_definition(pairs: list[tuple[str, str]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    wanted = cohen_by_hand(first, second)
    found = cohen_kappa(first, second, num_bootstrap=0).kappa
    assert found == (None if wanted is None else pytest.approx(wanted, abs=1e-12))


def test_the_worked_example_of_fleiss() -> None:
    found = fleiss_kappa(table_of_fleiss(), num_bootstrap=0)
    assert found.kappa == pytest.approx(0.430, abs=5e-4)
    assert found.expected == pytest.approx(sum(p**2 for p in (0.144, 0.144, 0.167, 0.306, 0.239)), abs=5e-4)
    assert (found.num_items, found.num_cases) == (30, 30)


@given(st.lists(st.lists(st.sampled_from(CATEGORIES), max_size=5), min_size=1, max_size=10))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_fleiss_with_any_number_of_ratings_counts_every_pair(ratings: list[list[str]]) -> None:
    found = fleiss_kappa(to_counts(ratings), num_bootstrap=0)
    assert found.num_items == sum(len(item) >= 2 for item in ratings)
    if not found.num_items:
        assert (found.kappa, found.observed) == (None, None)
        return
    observed, expected = fleiss_by_pairs(ratings)
    assert (found.observed, found.expected) == (pytest.approx(observed), pytest.approx(expected))
    if expected > 1 - 1e-12:
        assert found.kappa is None
    else:
        assert found.kappa == pytest.approx((observed - expected) / (1 - expected), abs=1e-12)


def test_one_category_leaves_kappa_undefined() -> None:
    assert cohen_kappa(['a'] * 5, ['a'] * 5).kappa is None
    assert fleiss_kappa([[3, 0]] * 5).kappa is None
    assert cohen_kappa(['a'] * 5, ['a'] * 5).observed == 1
    assert cohen_kappa([], []) == (None, None, None, None, 0, 0)
    assert fleiss_kappa(np.zeros((0, 2))) == (None, None, None, None, 0, 0)


def loop_over_cases(first: list[str], second: list[str], cases: list[str], num: int, seed: int) -> list[float]:
    """The same draws, but item by item and with scikit-learn's kappa."""
    names = list(dict.fromkeys(cases))
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(num):
        times = generator.multinomial(len(names), [1 / len(names)] * len(names))
        drawn = [i for i, case in enumerate(cases) for _ in range(times[names.index(case)])]
        values.append(cohen_kappa_score([first[i] for i in drawn], [second[i] for i in drawn]))
    return values


def test_intervals_resample_whole_cases() -> None:
    first, second = draw_ratings(7, 60)
    cases = [f'case {number % 6}' for number in range(60)]
    found = cohen_kappa(first, second, cases, num_bootstrap=200, seed=3)
    assert found.num_cases == 6
    assert found.ci95 == pytest.approx(np.percentile(loop_over_cases(first, second, cases, 200, 3), [2.5, 97.5]))


def test_the_interval_of_fleiss_is_that_of_drawn_items() -> None:
    table = table_of_fleiss()
    cases = [number // 3 for number in range(30)]
    generator = np.random.default_rng(1)
    values = []
    for _ in range(100):
        times = generator.multinomial(10, [0.1] * 10)
        values.append(fleiss_kappa(np.repeat(table, np.repeat(times, 3), axis=0), num_bootstrap=0).kappa)
    found = fleiss_kappa(table, cases, num_bootstrap=100, seed=1)
    assert found.ci95 == pytest.approx(np.percentile(values, [2.5, 97.5]))


def test_there_is_no_interval_with_one_case() -> None:
    first, second = draw_ratings(2, 20)
    assert cohen_kappa(first, second, ['one'] * 20).ci95 is None


def test_there_is_no_interval_where_most_replicates_have_no_kappa() -> None:
    # Of two cases, about half of the replicates draw one of them twice and see a single category.
    found = []
    for seed in range(6):
        times = np.random.default_rng(seed).multinomial(2, [0.5, 0.5], size=101)
        wanted = None if (times == 0).any(axis=1).sum() > 50 else (1.0, 1.0)
        assert cohen_kappa(['a', 'b'], ['a', 'b'], ['x', 'y'], num_bootstrap=101, seed=seed).ci95 == wanted
        found.append(wanted)
    assert set(found) == {None, (1.0, 1.0)}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match='ratings of the same items, found 1 and 2'):
        cohen_kappa(['a'], ['a', 'b'])
    with pytest.raises(ValueError, match='a case for each of 2 items, found 1'):
        cohen_kappa(['a', 'b'], ['a', 'b'], ['x'])
    with pytest.raises(ValueError, match=r'shape \(items, categories\)'):
        fleiss_kappa([1, 2])
    with pytest.raises(ValueError, match='none negative'):
        fleiss_kappa([[1, -2]])
