"""Labels stay near what they name and off each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from drawn_texts import check_legible
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.transforms import Bbox
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from mitouts.visualization.label_placement import label_ends, label_points, spread, text_box
from mitouts.visualization.print_figure import print_figure

BOXES = st.lists(st.tuples(st.floats(0.3, 0.7), st.floats(0.01, 0.06)), min_size=1, max_size=5)


@given(BOXES)
@settings(derandomize=True, deadline=None, max_examples=20)
def test_spread_moves_boxes_as_little_as_possible(boxes):
    wanted, heights = map(np.array, zip(*boxes))
    order = np.argsort(wanted, kind='stable')
    gaps = (heights[order][1:] + heights[order][:-1]) / 2
    start = np.concatenate([[0.0], np.cumsum(gaps)]) * 1.5
    best = minimize(
        lambda y: np.sum((y - wanted[order]) ** 2),
        start,
        constraints=[{'type': 'ineq', 'fun': lambda y: np.diff(y) - gaps}] if len(boxes) > 1 else [],
        method='SLSQP',
        options={'ftol': 1e-14, 'maxiter': 500},
    )
    placed = spread(wanted, heights)
    assert np.all(np.diff(placed[order]) >= gaps - 1e-9)
    assert_allclose(placed[order], best.x, atol=2e-4)


def test_spread_stays_between_0_and_1():
    assert_allclose(spread([0.0, 0.01, 1.0], [0.1, 0.1, 0.1]), [0.05, 0.15, 0.95])
    assert len(spread([], [])) == 0


@pytest.mark.parametrize('count', [1, 8])
def test_names_at_the_ends_cover_nothing(count: int):
    figure = print_figure(7)
    axes = figure.subplots()
    values = np.full(count, 0.5) + np.arange(count) * 1e-3
    axes.plot([0, 1], [values, values])
    names = [f'method {index} with quite a long name' for index in range(count)]
    labels = label_ends(axes, {name: (1, value) for name, value in zip(names, values)}, ['0.5'] * count)
    check_legible(figure)
    middles = [text_box(label).y0 for label in labels]
    assert middles == sorted(middles)
    assert min(text_box(label).x0 for label in labels) > axes.get_window_extent().x1


def test_names_beside_points_avoid_points_and_each_other():
    figure = print_figure(8)
    axes = figure.subplots()
    x, y = [1.0, 1.1, 1.2, 3.0], [0.5, 0.51, 0.5, 0.9]
    axes.plot(x, y, 'o')
    boxes = [Bbox.from_extents(a, b - 0.05, a, b + 0.05) for a, b in zip(x, y)]
    labels = label_points(axes, {f'method {index}': place for index, place in enumerate(zip(x, y))}, boxes)
    assert labels is not None
    check_legible(figure)
    for label, box in itertools.product(labels, boxes):
        assert not text_box(label).overlaps(Bbox(axes.transData.transform(box.get_points())))
    for label, *point in zip(labels, x, y):
        corner = axes.transData.transform(point)
        nearest = np.clip(corner, text_box(label).min, text_box(label).max)
        assert np.hypot(*(nearest - corner)) < 80


def test_without_room_no_name_is_written():
    figure = print_figure(3)
    axes = figure.subplots()
    labels = label_points(axes, {f'name {index}': (0.5, 0.5) for index in range(60)}, [])
    assert labels is None
    assert not axes.texts
