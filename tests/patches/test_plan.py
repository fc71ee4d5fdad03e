from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitouts.formats.coco import MITOTIC_FIGURE, make_annotation
from mitouts.patches.plan import PatchFigure, figures_by_patch, make_grid


def _annotations(points) -> list[dict]:
    return [make_annotation(n, 1, MITOTIC_FIGURE, x, y, source_uid=70 + n) for n, (x, y) in enumerate(points)]


def _figures(points, grid, downsample=1.0) -> dict[tuple[int, int], list[PatchFigure]]:
    points = np.array(points, dtype=np.float64).reshape(-1, 2)
    return figures_by_patch(_annotations(points), points, grid, downsample)[0]


@st.composite
def cases(draw: st.DrawFn):
    patch = draw(st.integers(20, 150))
    width, height = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    grid = make_grid(width, height, patch, draw(st.integers(10, patch)), draw(st.sampled_from(['cover', 'drop'])))
    coordinate = st.tuples(st.floats(-20, width + 20), st.floats(-20, height + 20))
    return grid, draw(st.lists(coordinate, max_size=6)), draw(st.sampled_from([1.0, 2.0, 0.7]))


@given(cases())
def test_every_patch_shows_what_brute_force_finds(case):
    grid, points, downsample = case
    found = _figures(points, grid, downsample)
    reach = 25 / downsample
    for left in grid.columns_px.tolist():
        for top in grid.rows_px.tolist():
            right, bottom = min(left + grid.patch_px, grid.width_px), min(top + grid.patch_px, grid.height_px)
            expected = {}
            for number, (x, y) in enumerate(points):
                outside = max(left - 0.5 - x, x - (right - 0.5), top - 0.5 - y, y - (bottom - 0.5))
                if outside < reach:
                    expected[number] = outside > 0
            assert {figure.source['id']: figure.cut for figure in found.get((left, top), [])} == expected


@given(cases())
def test_figure_is_counted_once_where_any_patch_holds_it(case):
    grid, points, downsample = case
    found = _figures(points, grid, downsample)
    counted = Counter(figure.source['id'] for shown in found.values() for figure in shown if figure.counted)
    held = {figure.source['id'] for shown in found.values() for figure in shown if not figure.cut}
    assert counted == Counter(held)
    array = np.array(points, dtype=np.float64).reshape(-1, 2)
    assert figures_by_patch(_annotations(points), array, grid, downsample)[1] == len(points) - len(held)


def test_point_is_where_the_patch_shows_it():
    figures = _figures([(520.5, 30.25)], make_grid(1000, 400, 500, 500, 'cover'))
    (owner,) = figures[500, 0]
    assert (owner.x, owner.y, owner.counted, owner.cut) == (20.5, 30.25, True, False)
    (part,) = figures[0, 0]
    assert (part.x, part.y, part.counted, part.cut) == (499, 30.25, False, True)
    assert part.annotation_keys() == {'source_uid': 70, 'source_id': 0, 'iscrowd': 1, 'cut': True}


def test_figure_that_is_not_counted_in_the_image_is_counted_in_no_patch():
    grid = make_grid(200, 100, 100, 50, 'cover')
    annotations = [{**_annotations([(60, 50)])[0], 'iscrowd': 1, 'cut': True}]
    parts = [
        part for found in figures_by_patch(annotations, np.array([[60.0, 50.0]]), grid)[0].values() for part in found
    ]
    assert len(parts) > 1
    assert all(part.annotation_keys()['iscrowd'] == 1 and part.annotation_keys()['cut'] for part in parts)


def test_overlap_shows_a_figure_twice_and_counts_it_once():
    figures = _figures([(480, 100)], make_grid(700, 500, 500, 500, 'cover'))
    assert [(key, figure.x, figure.counted, figure.cut) for key, (figure,) in figures.items()] == [
        ((0, 0), 480.0, False, False),
        ((200, 0), 280.0, True, False),
    ]
    assert figures[200, 0][0].annotation_keys() == {'source_uid': 70, 'source_id': 0}


def test_dropped_edges_lose_figures_and_say_how_many():
    grid = make_grid(2000, 2000, 500, 500, 'drop')
    points = np.array([(100.0, 100), (1600, 100), (1510, 100)])
    figures, lost = figures_by_patch(_annotations(points), points, grid)
    assert lost == 2
    assert [figure.cut for figure in figures[1000, 0]] == [True]


def test_figure_outside_the_image_is_still_cut_by_the_border():
    figures = _figures([(-2, 40)], make_grid(600, 500, 500, 500, 'cover'))
    assert [(figure.x, figure.y, figure.cut) for figure in figures[0, 0]] == [(0, 40, True)]


def test_point_beside_a_small_image_is_not_inside_its_padded_patch():
    (figure,) = _figures([(310, 40)], make_grid(300, 300, 500, 500, 'cover'))[0, 0]
    assert (figure.x, figure.y, figure.counted, figure.cut) == (299, 40, False, True)


@pytest.mark.parametrize('downsample', [1.0, 4.0])
def test_reach_follows_the_resolution(downsample: float):
    grid = make_grid(1000, 400, 500, 500, 'cover')
    assert ((0, 0) in _figures([(510, 30)], grid, downsample)) == (downsample == 1.0)
