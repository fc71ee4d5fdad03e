"""Masks around points, against definitions that are written out pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from mitouts.functional.pseudo_masks import disc_masks, map_masks

SIDES = st.integers(1, 12)
# Quarters of a pixel, some of them outside of the image: distances are exact, and ties occur.
POINTS = st.lists(st.tuples(st.integers(-4, 48), st.integers(-4, 48)), max_size=4).map(
    lambda quarters: np.array(quarters, dtype=np.float64).reshape(-1, 2) / 4
)
RADII = st.sampled_from([0.5, 1.0, 2.0, 3.5, 20.0])
MAPS = arrays(np.float32, st.tuples(SIDES, SIDES), elements=st.sampled_from([0.0, 0.3, 0.5, 0.50001, 0.9]))


def owner_of(points: NDArray[np.float64], row: int, column: int) -> int:
    """The nearest point of a pixel, the first of those that are equally near."""
    distances = [math.hypot(column - x, row - y) for x, y in points]
    return distances.index(min(distances))


def territory(points: NDArray[np.float64], index: int, shape: tuple[int, int], radius_px: float) -> set:
    x, y = points[index]
    return {
        (row, column)
        for row in range(shape[0])
        for column in range(shape[1])
        if math.hypot(column - x, row - y) <= radius_px and owner_of(points, row, column) == index
    }


def pixels(mask: NDArray[np.bool_]) -> set:
    return set(zip(*(axis.tolist() for axis in np.nonzero(mask))))


@settings(max_examples=60)
@given(points=POINTS, height=SIDES, width=SIDES, radius_px=RADII)
def test_discs_are_what_they_are_said_to_be(
    points: NDArray[np.float64], height: int, width: int, radius_px: float
) -> None:
    masks = disc_masks(points, height, width, radius_px)
    assert masks.shape == (len(points), height, width)
    assert masks.dtype == bool
    for index, mask in enumerate(masks):
        assert pixels(mask) == territory(points, index, (height, width), radius_px)


@settings(max_examples=150)
@given(points=POINTS, full_map=MAPS, threshold=st.sampled_from([0.0, 0.3, 0.5, 0.95]), max_radius_px=RADII)
def test_masks_of_a_map_are_the_components_in_the_territories(
    points: NDArray[np.float64], full_map: NDArray[np.float32], threshold: float, max_radius_px: float
) -> None:
    masks = map_masks(full_map, points, threshold, max_radius_px, fallback_radius_px=1.5)
    assert masks.shape == (len(points), *full_map.shape)
    labels, _ = ndimage.label(full_map.astype(np.float64) > threshold, structure=np.ones((3, 3)))
    for index, ((x, y), mask) in enumerate(zip(points, masks)):
        shown = [place for place in territory(points, index, full_map.shape, max_radius_px) if labels[place]]
        if not shown:
            assert pixels(mask) == territory(points, index, full_map.shape, 1.5)
            continue
        distances = {place: math.hypot(place[1] - x, place[0] - y) for place in shown}
        nearest = {labels[place] for place in shown if distances[place] == min(distances.values())}
        allowed = [{place for place in shown if labels[place] == label} for label in nearest]
        assert pixels(mask) in allowed


@settings(max_examples=60)
@given(points=POINTS, full_map=MAPS, radius_px=RADII)
def test_no_pixel_is_in_two_masks(points: NDArray[np.float64], full_map: NDArray[np.float32], radius_px: float) -> None:
    for masks in (map_masks(full_map, points, 0.3, radius_px, 2.5), disc_masks(points, *full_map.shape, radius_px)):
        assert masks.sum(axis=0).max(initial=0) <= 1


def test_a_figure_between_two_points_is_shared_out() -> None:
    full_map = np.zeros((9, 20), dtype=np.float32)
    full_map[3:6, 2:18] = 0.8
    left, right = map_masks(full_map, [(4.0, 4.0), (15.0, 4.0)], 0.5, 20.0, 3.0)
    assert pixels(left) == {(row, column) for row in range(3, 6) for column in range(2, 10)}
    assert pixels(right) == {(row, column) for row in range(3, 6) for column in range(10, 18)}


def test_a_component_beside_the_point_is_its_mask_and_one_too_far_is_not() -> None:
    full_map = np.zeros((11, 21), dtype=np.float32)
    full_map[5, 8] = 0.9
    full_map[5, 19] = 0.9
    beside, alone = map_masks(full_map, [(5.0, 5.0), (13.0, 5.0)], 0.5, 4.0, 1.0)
    assert pixels(beside) == {(5, 8)}
    assert pixels(alone) == {(5, 13), (4, 13), (6, 13), (5, 12), (5, 14)}


def test_a_mask_does_not_reach_beyond_its_radius() -> None:
    mask = map_masks(np.ones((15, 15), dtype=np.float32), [(7.0, 7.0)], 0.5, 3.0, 1.0)[0]
    np.testing.assert_array_equal(mask, disc_masks([(7.0, 7.0)], 15, 15, 3.0)[0])


def test_without_points_there_are_no_masks() -> None:
    assert disc_masks(np.zeros((0, 2)), 4, 5, 2.0).shape == (0, 4, 5)
    assert map_masks(np.ones((4, 5), dtype=np.float32), np.zeros((0, 2)), 0.5, 2.0, 1.0).shape == (0, 4, 5)


def test_of_two_points_at_one_place_the_first_has_the_mask() -> None:
    first, second = disc_masks([(3.0, 3.0), (3.0, 3.0)], 7, 7, 2.0)
    assert first.sum() == 13
    assert not second.any()


@pytest.mark.parametrize('radius_px', [0.0, -1.0, math.nan])
def test_a_radius_that_is_none_is_refused(radius_px: float) -> None:
    with pytest.raises(ValueError, match='above 0 px'):
        disc_masks([(1.0, 1.0)], 4, 4, radius_px)
    with pytest.raises(ValueError, match='above 0 px'):
        map_masks(np.ones((4, 4), dtype=np.float32), [(1.0, 1.0)], 0.5, 2.0, radius_px)


def test_points_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r'\(N, 2\), found \(1, 3\)'):
        disc_masks([(1.0, 1.0, 0.5)], 4, 4, 2.0)
