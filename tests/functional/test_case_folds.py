"""Cases are divided into folds of about as many positives each."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.functional.case_folds import case_folds

SIZES = st.dictionaries(st.text('abcdef', min_size=1, max_size=3), st.integers(0, 50), min_size=2, max_size=12)


@settings(max_examples=200)
@given(SIZES, st.data())
def test_every_case_is_in_one_fold_and_no_fold_is_empty(positives: dict[str, int], data: st.DataObject) -> None:
    folds = data.draw(st.integers(2, len(positives)))
    divided = case_folds(positives, folds)
    assert len(divided) == folds
    assert all(divided)
    assert sorted(case for fold in divided for case in fold) == sorted(positives)
    names = data.draw(st.permutations(sorted(positives)))
    assert case_folds({name: positives[name] for name in names}, folds) == divided


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=3, max_size=7), st.integers(2, 3))
def test_the_largest_fold_is_near_the_best_there_is(sizes: list[int], folds: int) -> None:
    positives = {f'{number:02d}': size for number, size in enumerate(sizes)}
    largest = max(sum(positives[case] for case in fold) for fold in case_folds(positives, folds))
    best = min(
        max(sum(size for size, fold in zip(sizes, choice) if fold == each) for each in range(folds))
        for choice in product(range(folds), repeat=len(sizes))
    )
    # The bound of this rule (Graham 1969).
    assert largest <= (4 / 3 - 1 / (3 * folds)) * best + 1e-9


def test_by_hand() -> None:
    assert case_folds({'a': 10, 'b': 6, 'c': 5, 'd': 1}, 2) == [['a', 'd'], ['b', 'c']]
    assert case_folds({'a': 0, 'b': 0, 'c': 7}, 3) == [['c'], ['a'], ['b']]


@pytest.mark.parametrize('folds', [0, 1, 4])
def test_a_number_of_folds_that_makes_no_sense(folds: int) -> None:
    with pytest.raises(ValueError, match=f'3 cases cannot be divided into {folds} folds: expected 2 to 3'):
        case_folds({'a': 1, 'b': 1, 'c': 1}, folds)
