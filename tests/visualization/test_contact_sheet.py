from __future__ import annotations

import numpy as np
import pytest

from mitouts.visualization.contact_sheet import contact_sheet, fit_image

GAP = 8


def tile(value: int, height: int = 50, width: int = 50) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_tiles_run_row_by_row():
    sheet = contact_sheet([tile(10), tile(60), tile(110)], None, columns=2, tile_px=50)
    assert sheet.shape == (2 * 58 + GAP, 2 * 58 + GAP, 3)
    centres = [(33, 33), (33, 91), (91, 33), (91, 91)]
    assert [int(sheet[row, column, 0]) for row, column in centres] == [10, 60, 110, 255]


def test_proportions_are_kept_and_the_rest_is_paper():
    sheet = contact_sheet([tile(10, height=20, width=40)], None, columns=3, tile_px=80)
    rows, columns = np.nonzero(sheet[..., 0] == 10)
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (40, 80)
    assert (sheet[sheet[..., 0] != 10] == 255).all()


def test_captions_stand_below_their_tile():
    plain, named = (contact_sheet([tile(255)] * 2, captions, 2, 100) for captions in (['', ''], ['', 'label 1']))
    rows, columns = np.nonzero((plain != named).any(axis=2))
    assert rows.min() >= GAP + 100
    assert columns.min() >= GAP + 108
    assert named.shape[0] > contact_sheet([tile(255)] * 2, None, 2, 100).shape[0]


def test_long_captions_do_not_run_into_the_next_tile():
    plain, named = (contact_sheet([tile(255)] * 2, [text, ''], 2, 100) for text in ('', 'a very long caption, ' * 9))
    _, columns = np.nonzero((plain != named).any(axis=2))
    assert len(columns)
    assert columns.max() < GAP + 100


@pytest.mark.parametrize(
    ('tiles', 'captions', 'columns', 'words'),
    [
        ([], None, 2, 'at least one tile'),
        ([tile(1)], ['a', 'b'], 2, '2 captions for 1 tiles'),
        ([tile(1)], None, 0, 'columns is 0'),
    ],
)
def test_impossible_sheets_are_refused(tiles, captions, columns, words):
    with pytest.raises(ValueError, match=words):
        contact_sheet(tiles, captions, columns, 50)


def test_fit_image_enlarges_only_when_asked():
    assert fit_image(tile(1, 10, 20), 100, 100).shape == (50, 100, 3)
    assert fit_image(tile(1, 10, 20), 100, 100, enlarge=False).shape == (10, 20, 3)
    assert fit_image(tile(1, 400, 20), 100, 100, enlarge=False).shape == (100, 5, 3)
