from __future__ import annotations

import math

import pytest

from mitouts.functional.point_arrays import as_points


@pytest.mark.parametrize('points', [[1, 2], [[1]], [[math.nan, 0]], [[0, math.inf]]])
@pytest.mark.parametrize('drop_rest', [False, True])
def test_points_that_are_none_are_refused(points: list, drop_rest: bool) -> None:
    with pytest.raises(ValueError, match='figures: expected'):
        as_points(points, name='figures', drop_rest=drop_rest)


def test_further_columns_are_dropped_or_refused() -> None:
    assert as_points([[1, 2, math.nan]], drop_rest=True).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match=r'shape \(N, 2\) with x, y, found \(1, 3\)'):
        as_points([[1, 2, 3]])


def test_nothing_is_no_point() -> None:
    assert as_points([], 3).shape == (0, 3)
