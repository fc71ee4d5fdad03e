"""Points inside of outlines, against OpenCV's filling and by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mitouts.functional.outline import interior_point


def _filled(outline: NDArray, scale: int = 8) -> NDArray[np.bool_]:
    """Mask of the even-odd inside, ``scale`` cells a pixel."""
    corners = np.round(np.asarray(outline, np.float64) * scale).astype(np.int32)
    mask = np.zeros(tuple(corners.max(axis=0)[::-1] + 3), np.uint8)
    cv2.fillPoly(mask, [corners], 1)
    return mask.astype(bool)


def test_the_centroid_where_it_is_inside() -> None:
    # A right triangle's centroid is the mean of its corners, an L's is that of its two rectangles.
    assert interior_point([(1, 1), (7, 1), (1, 4)]) == pytest.approx((3, 2))
    assert interior_point([(0, 0), (4, 0), (4, 2), (2, 2), (2, 3), (0, 3)]) == pytest.approx((1.8, 1.3))


def test_far_from_the_origin_no_digits_are_lost() -> None:
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) + (123456.25, 654321.5)
    assert interior_point(square) == pytest.approx((123456.75, 654322.0), abs=1e-6)


@pytest.mark.parametrize('closed', [False, True])
@pytest.mark.parametrize('turned', [False, True])
def test_direction_and_closing_do_not_matter(closed: bool, turned: bool) -> None:
    ring = [(0, 0), (10, 0), (10, 6), (0, 6)]
    ring = ring[::-1] if turned else ring
    assert interior_point([*ring, ring[0]] if closed else ring) == pytest.approx((5, 3))


def _crescent() -> NDArray:
    outer, inner = np.linspace(0.3, 2 * np.pi - 0.3, 60), np.linspace(2 * np.pi - 0.3, 0.3, 60)
    return np.concatenate(
        [
            np.stack([30 + 20 * np.cos(outer), 30 + 20 * np.sin(outer)], axis=1),
            np.stack([32 + 17 * np.cos(inner), 30 + 17 * np.sin(inner)], axis=1),
        ]
    )


CROSSING = {
    'bow tie': [(10, 10), (30, 30), (30, 10), (10, 30)],
    'bow tie of unlike halves': [(10, 10), (40, 34), (40, 8), (10, 30)],
    'figure of eight, upright': [(10, 5), (30, 45), (10, 44), (30, 6)],
    'pentagram': [(30 + 20 * np.sin(0.8 * np.pi * n), 30 - 20 * np.cos(0.8 * np.pi * n)) for n in range(5)],
    'nearly cancelling': [(10, 10), (20, 10), (20, 20.1), (10, 20), (10, 30), (0, 30), (0, 20), (10, 20)],
    'crescent': _crescent(),
    'u': [(0, 0), (3, 0), (3, 20), (17, 20), (17, 0), (20, 0), (20, 23), (0, 23)],
}


@pytest.mark.parametrize('name', CROSSING)
def test_the_point_lies_inside(name: str) -> None:
    outline = np.asarray(CROSSING[name], np.float64)
    x, y = interior_point(outline)
    mask = _filled(outline)
    row, column = round(y * 8), round(x * 8)
    # Not only on the border, which OpenCV fills as well.
    assert mask[row - 1 : row + 2, column - 1 : column + 2].all()


def test_a_small_loop_hardly_moves_the_point() -> None:
    # A hand that closes an outline crosses it a little.
    circle = [(50 + 20 * np.cos(a), 50 + 20 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 80, endpoint=False)]
    x, y = interior_point([*circle, (70.5, 50.5), (69.5, 50.5)])
    assert (x, y) == pytest.approx((50, 50), abs=0.1)


@pytest.mark.parametrize('outline', [[(3, 4)] * 3, [(0, 0), (2, 2), (4, 4)], [(1, 5), (9, 5), (5, 5)]])
def test_without_an_area_the_mean_of_the_corners(outline: list[tuple[float, float]]) -> None:
    assert interior_point(outline) == pytest.approx(tuple(np.mean(outline, axis=0)))


whole = st.integers(0, 40)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(whole, whole), min_size=3, max_size=9))
def test_any_outline_with_an_area_holds_its_point(outline: list[tuple[int, int]]) -> None:
    point = np.array(interior_point(outline))
    corners = np.array(outline, np.float64)
    following = np.roll(corners, -1, axis=0)
    # Winding by angles, another rule than the crossings that are counted: odd means inside.
    first, second = corners - point, following - point
    angles = np.arctan2(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0], (first * second).sum(axis=1))
    winding = angles.sum() / (2 * np.pi)
    if (_filled(corners, 1).sum()) and abs(winding) > 0.5:
        assert round(winding) % 2 == 1
    assert (point >= corners.min(axis=0) - 1e-9).all()
    assert (point <= corners.max(axis=0) + 1e-9).all()
