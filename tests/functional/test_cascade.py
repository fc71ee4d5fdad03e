"""Hard negatives, combined scores and crops against brute force, hand computation and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.functional.cascade import combine_scores, crop_corner, hard_negatives, reflected_indices

Places = list[tuple[int, int]]
places = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)
proposals = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.1, 0.2, 0.5, 0.9])), max_size=12
)


def near(first: tuple, second: tuple, distance: float) -> bool:
    return math.dist(first[:2], second[:2]) <= distance


def by_brute_force(
    points: list[tuple], truth: Places, ignored: Places, known: Places, radius: float, spacing: float, most: int | None
) -> list[tuple]:
    kept: list[tuple] = []
    for point in sorted(points, key=lambda each: -each[2]):
        if any(near(point, figure, radius) for figure in truth + ignored):
            continue
        if any(near(point, other, spacing) for other in known + kept):
            continue
        kept.append(point)
    return kept[:most]


@settings(max_examples=150)
@given(proposals, places, places, places, st.integers(1, 12), st.integers(1, 12), st.sampled_from([None, 0, 1, 3]))
def test_hard_negatives_are_those_of_brute_force(points, truth, ignored, known, radius, spacing, most) -> None:
    found = hard_negatives(points, truth, ignored, radius_px=radius, spacing_px=spacing, known_xy=known, max_count=most)
    expected = by_brute_force(points, truth, ignored, known, radius, spacing, most)
    np.testing.assert_array_equal(found, np.array(expected, dtype=float).reshape(-1, 3))


def test_distances_of_hard_negatives_are_inclusive() -> None:
    points = [(0, 0, 0.9), (30, 0, 0.8), (60.001, 0, 0.7), (85, 0, 0.6)]
    found = hard_negatives(points, [(30, 30)], radius_px=30, spacing_px=25)
    assert found.tolist() == [[0, 0, 0.9], [60.001, 0, 0.7]]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'max_count': -1}, 'max_count must be at least 0, or None, found -1'),
        ({'radius_px': -1.0}, 'radius must be finite and not negative'),
        ({'spacing_px': -1.0}, 'radius must be finite and not negative'),
        ({'points': [(math.nan, 0, 0.5)]}, 'finite'),
    ],
)
def test_hard_negatives_refuse_what_makes_no_sense(arguments: dict, message: str) -> None:
    given_arguments = {'points': [(1, 2, 0.5)], 'truth_xy': [(9, 9)], 'radius_px': 3.0, **arguments}
    with pytest.raises(ValueError, match=message):
        hard_negatives(**given_arguments)


def test_scores_are_combined_by_their_rule() -> None:
    proposal, verification = [0.5, 1.0, 0.0], [0.5, 0.81, 0.9]
    np.testing.assert_allclose(combine_scores(proposal, verification, 'product'), [0.25, 0.81, 0.0])
    np.testing.assert_allclose(combine_scores(proposal, verification, 'mean'), [0.5, 0.9, 0.0])
    np.testing.assert_allclose(combine_scores(proposal, verification, 'verifier'), verification)
    assert combine_scores([], [], 'product').shape == (0,)


def test_scores_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match='unknown rule'):
        combine_scores([0.5], [0.5], 'sum')  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='a verification for each proposal'):
        combine_scores([0.5, 0.5], [0.5], 'verifier')


@settings(max_examples=80)
@given(st.floats(-50, 50), st.floats(-50, 50), st.integers(1, 65))
def test_no_other_crop_has_its_centre_nearer_to_the_point(x: float, y: float, crop_px: int) -> None:
    left, top = crop_corner(x, y, crop_px)
    middle = np.arange(-100, 100) + (crop_px - 1) / 2
    for corner, value in ((left, x), (top, y)):
        assert abs(corner + (crop_px - 1) / 2 - value) <= np.abs(middle - value).min() + 1e-9


@settings(max_examples=80)
@given(st.integers(1, 9), st.integers(0, 30), st.integers(0, 40))
def test_reflected_axes_are_those_of_numpy(size: int, before: int, count: int) -> None:
    axis = np.arange(size)
    reference = np.pad(axis, (before, count), mode='reflect') if size > 1 else np.zeros(before + count + 1, int)
    np.testing.assert_array_equal(reflected_indices(-before, count, size), reference[:count])
