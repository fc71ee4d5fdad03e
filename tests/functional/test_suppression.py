"""Suppression by distance against the definition, written as loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.functional.suppression import suppress_by_distance

COORDINATE = st.integers(0, 12).map(float)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE, st.sampled_from([0.1, 0.5, 0.5, 0.9])), max_size=25)


def _by_definition(points: list[tuple[float, float, float]], radius_px: float) -> list[int]:
    left = sorted(range(len(points)), key=lambda index: (-points[index][2], index))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [index for index in left if math.dist(points[index][:2], points[best][:2]) > radius_px]
    return kept


@settings(derandomize=True, deadline=None, max_examples=200)
@given(POINTS, st.sampled_from([0.0, 1.0, 2.0, 5.0, math.sqrt(2), 100.0]))
def test_the_strongest_is_kept_and_suppresses_what_is_around_it(
    points: list[tuple[float, float, float]], radius_px: float
) -> None:
    found = suppress_by_distance(np.array(points).reshape(-1, 3), radius_px)
    assert found.tolist() == _by_definition(points, radius_px)


def test_the_radius_itself_is_suppressed() -> None:
    points = np.array([[0, 0, 0.9], [25, 0, 0.8], [0, 25.001, 0.7]])
    assert suppress_by_distance(points, 25).tolist() == [0, 2]


def test_a_point_that_is_suppressed_suppresses_nothing() -> None:
    chain = np.array([[0, 0, 0.9], [20, 0, 0.8], [40, 0, 0.7]])
    assert suppress_by_distance(chain, 25).tolist() == [0, 2]


def test_large_sets_agree_with_the_definition() -> None:
    generator = np.random.default_rng(0)
    points = np.column_stack([generator.uniform(0, 400, (600, 2)), generator.uniform(0, 1, 600)])
    kept = suppress_by_distance(points, 25)
    assert kept.tolist() == _by_definition([tuple(point) for point in points.tolist()], 25)


@pytest.mark.parametrize(
    ('points', 'radius_px', 'message'),
    [([[0, 0, 1]], -1, 'radius_px'), ([[0, 0, 1]], math.nan, 'radius_px'), ([[0, math.nan, 1]], 5, 'finite')],
)
def test_what_makes_no_sense_is_refused(points: list[list[float]], radius_px: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        suppress_by_distance(np.array(points), radius_px)
