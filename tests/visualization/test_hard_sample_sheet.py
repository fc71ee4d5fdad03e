"""Sheets: marks where the points are, text of the right size, rows in order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mitouts.visualization.hard_sample_sheet import (
    SHEET_PX,
    TEXT_PX,
    CaptionedPicture,
    ModelPoints,
    compare_tiles,
    difference_px,
    draw_hard_sample,
    hard_sample_key,
    outcome_key,
    sheet,
)
from mitouts.visualization.palette import ANNOTATED, FALSE_POSITIVE, MISSED, PAPER, TRUE_POSITIVE

GREY = np.full((120, 240, 3), 120, np.uint8)


def _centre(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Middle ``(x, y)`` of the box around all pixels of a colour."""
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    return np.array([columns.min() + columns.max(), rows.min() + rows.max()]) / 2


def test_marks_stand_on_their_points():
    picture = draw_hard_sample(GREY, [[60.0, 40.0]], [[180.0, 80.0]])
    assert picture.shape == (240, 480, 3)
    assert _centre(picture, ANNOTATED) == pytest.approx([(60 + 0.5) * 2 - 0.5, (40 + 0.5) * 2 - 0.5], abs=2)
    assert _centre(picture, FALSE_POSITIVE)[0] == pytest.approx((180 + 0.5) * 2 - 0.5, abs=2)
    # The line between them crosses the middle.
    assert (picture[100:140, 238:242] == 255).all(axis=2).any()


def test_without_a_prediction_there_is_no_line():
    picture = draw_hard_sample(GREY, [[60.0, 40.0]], [])
    assert not (picture == 255).all(axis=2).any()
    assert not (picture == FALSE_POSITIVE).all(axis=2).any()


def test_text_has_8_pt_on_16_cm():
    assert TEXT_PX / SHEET_PX * 16 / 2.54 * 72 >= 8


@pytest.mark.parametrize('columns', [1, 3, 5])
def test_tiles_stand_in_reading_order(columns: int):
    colours = [(10 * index + 20, 0, 0) for index in range(7)]
    tiles = [CaptionedPicture(np.full((8, 64, 3), colour, np.uint8), ['text']) for colour in colours]
    page = sheet(tiles, columns, title='A title', subtitles=['above'] * columns, entries=hard_sample_key())
    assert page.shape[1] == SHEET_PX
    centres = [_centre(page, colour) for colour in colours]
    for index, (first, second) in enumerate(itertools.pairwise(centres), start=1):
        if index % columns:
            assert second[0] > first[0]
            assert second[1] == first[1]
        else:
            assert second[1] > first[1]
            assert second[0] == centres[0][0]
    assert (page[:, :10] == PAPER).all()


def test_what_belongs_together_stands_closer():
    colours = [(10 * index + 20, 0, 0) for index in range(4)]
    page = sheet([CaptionedPicture(np.full((8, 64, 3), colour, np.uint8), []) for colour in colours], 4, together=2)
    x = [_centre(page, colour)[0] for colour in colours]
    assert x[2] - x[1] > x[1] - x[0] == x[3] - x[2]


def test_a_long_heading_is_broken_and_a_long_line_cut():
    tile = CaptionedPicture(np.zeros((30, 30, 3), np.uint8), ['case ' + 'x' * 200])
    short = sheet([tile] * 4, 4, subtitles=['a'] * 4)
    long = sheet([tile] * 4, 4, subtitles=['a heading of many words that needs lines'] * 4)
    assert long.shape[0] > short.shape[0]
    assert long.shape[1] == SHEET_PX


def test_no_tile_is_refused():
    with pytest.raises(ValueError, match='at least one tile'):
        sheet([], 3)


def test_difference_is_distance_of_pairs_and_radius_of_the_others():
    assert difference_px([[0, 0], [100, 100]], [[3, 4]], 30) == pytest.approx(5 + 30)
    assert difference_px([[0, 0]], [[31, 0]], 30) == pytest.approx(60)
    assert difference_px([], [], 30) == 0


def test_each_model_is_judged_on_its_own():
    truth = np.array([[60.0, 60.0]])
    good = ModelPoints(np.array([[62.0, 60.0, 0.9], [200.0, 60.0, 0.3]]), 0.5)
    bad = ModelPoints(np.array([[62.0, 60.0, 0.4], [200.0, 60.0, 0.3]]), 0.2)
    blind = ModelPoints(np.zeros((0, 3)), 0.5)
    tiles = compare_tiles(GREY, truth, [good, bad, blind], 30, 'case 7')
    assert [tile.lines[:2] for tile in tiles] == [
        ['1 found, 0 missed', '0 false'],
        ['1 found, 0 missed', '1 false'],
        ['0 found, 1 missed', '0 false'],
    ]
    assert [tile.lines[2] for tile in tiles] == ['case 7', '', '']
    colours = (TRUE_POSITIVE, FALSE_POSITIVE, MISSED)
    shown = [[(tile.picture == colour).all(axis=2).any() for colour in colours] for tile in tiles]
    assert shown == [[True, False, False], [True, True, False], [False, False, True]]
    assert len(outcome_key(30)) == 4
