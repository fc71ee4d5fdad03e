from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mitouts.errors import MitoutsError
from mitouts.experiments.cases import CaseCounts
from mitouts.experiments.rows import TableRow, f1_by_seed, mean_sd, parse_row, runs_of, sum_over_seeds
from mitouts.experiments.suite_results import read_suite


def counts(**cases: list[int]) -> CaseCounts:
    names = sorted(cases)
    return CaseCounts(np.array(names), np.array([cases[name] for name in names]), 0.5)


COUNTS = {
    (0, 0): counts(a=[1, 2, 3], b=[4, 0, 0]),
    (0, 1): counts(a=[10, 0, 0], b=[0, 1, 0]),
    (1, 0): counts(a=[5, 5, 5]),
}


def test_a_case_is_summed_over_seeds_but_not_over_folds() -> None:
    names, sums = sum_over_seeds(COUNTS)
    assert names == ['0/a', '0/b', '1/a']
    assert sums.tolist() == [[11, 2, 3], [4, 1, 0], [5, 5, 5]]


def test_without_folds_a_case_has_its_own_name() -> None:
    assert sum_over_seeds({(None, 0): counts(a=[1, 0, 0]), (None, 1): counts(a=[1, 1, 1])})[0] == ['a']


def test_f1_of_a_seed_pools_its_folds() -> None:
    found = f1_by_seed(COUNTS)
    assert found == {0: pytest.approx(20 / (20 + 7 + 8)), 1: pytest.approx(20 / 21)}


def test_mean_and_sd() -> None:
    assert mean_sd([1.0, 2.0, 6.0, None]) == (3.0, pytest.approx(math.sqrt(7)))
    assert mean_sd([2.0]) == (2.0, None)
    assert mean_sd([None]) is None


def test_rows_are_read() -> None:
    assert parse_row('noise30/student=Student = best') == TableRow('noise30', 'student', 'Student = best')
    assert parse_row('noise30/student').label == 'noise30/student'
    for text in ('student', 'a/b/c', '/b', 'a/'):
        with pytest.raises(MitoutsError, match='expected GROUP/STAGE'):
            parse_row(text)


def test_the_runs_behind_a_row(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    runs = runs_of(suite, parse_row('noise30/student'))
    assert (runs.count, runs.seeds, runs.folds, runs.uneven_seeds) == ('3 of 4', [0, 1], [0, 1], [1])
    assert runs_of(suite, parse_row('aggregators/model')).count == '3'


def test_a_row_that_no_run_has_is_an_error_unless_it_may_be_missing(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    for text, count in (('later/student', '0'), ('noise30/ema', '0 of 4')):
        with pytest.raises(MitoutsError, match=r'no group|no stage'):
            runs_of(suite, parse_row(text))
        assert runs_of(suite, parse_row(text), partial=True).count == count
