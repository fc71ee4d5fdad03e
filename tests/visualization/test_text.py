from __future__ import annotations

import numpy as np
import pytest

from mitouts.visualization import text as text_module
from mitouts.visualization.legend import round_length
from mitouts.visualization.text import draw_text, fit_text, printable, text_mask, text_size


def test_text_stays_inside_the_box_it_announces():
    page = np.full((60, 200, 3), 255, np.uint8)
    draw_text(page, '7.5 µm ≤ gjpq', 10, 20, 14)
    width, height = text_size('7.5 µm ≤ gjpq', 14)
    rows, columns = np.nonzero((page != 255).any(axis=2))
    assert 10 <= columns.min() < 13
    assert 10 + 0.9 * width < columns.max() < 10 + width
    assert rows.min() >= 20
    assert rows.max() < 20 + height


def test_holes_in_letters_stay_open():
    mask = text_mask('O', 60)
    rows, columns = np.nonzero(mask > 0.5)
    assert mask[(rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2] == 0


def test_dollar_and_space_have_no_special_meaning():
    assert text_size('$a_1$', 12)[0] > text_size('a1', 12)[0]
    assert text_size(' ', 12)[0] > 0
    assert text_size('', 12)[0] == 0


def test_characters_that_the_font_lacks_become_question_marks():
    assert printable('漢 µ\n≤') == '? µ?≤'


def test_text_across_the_border_is_cut_off():
    page = np.zeros((20, 20, 3), np.uint8)
    for left, top in ((-15, -5), (15, 15), (-400, 0), (0, 400)):
        draw_text(page, 'border', left, top, 12, (255, 255, 255), halo=(1, 1, 1))
    assert page.shape == (20, 20, 3)
    assert page[:10, :10].any()


def test_fit_text_shortens_to_the_width():
    short = fit_text('a caption that is too long', 12, 80)
    assert short.startswith('a cap')
    assert short.endswith('…')
    assert text_size(short, 12)[0] <= 80
    assert fit_text('fits', 12, 80) == 'fits'
    assert fit_text('nothing', 12, 3) == ''


@pytest.mark.parametrize('text', ['a caption of some words', 'AVAVAWATATo. VAV', 'iiii   WWWW', 'mm²µm'])
@pytest.mark.parametrize('bold', [False, True])
def test_fit_text_keeps_as_much_as_fits(text, bold):
    for width_px in range(2, text_size(text, 13, bold)[0] + 2, 3):
        beginnings = [text[:length].rstrip() + '…' for length in range(len(text) - 1, 0, -1)]
        shown = [whole for whole in (text, *beginnings, '') if text_size(whole, 13, bold)[0] <= width_px]
        assert fit_text(text, 13, width_px, bold) == shown[0]


def test_a_long_text_is_measured_a_few_times(monkeypatch):
    measured = []
    monkeypatch.setattr(text_module, 'text_size', lambda text, *_: (measured.append(text), (len(text), 1))[1])
    assert text_module.fit_text('x' * 5000, 12, 80) == 'x' * 79 + '…'
    assert len(measured) < 40


@pytest.mark.parametrize(('longest', 'length'), [(49.9, 20), (50, 50), (0.3, 0.2), (1000, 1000), (9.99, 5)])
def test_round_length(longest, length):
    assert round_length(longest) == pytest.approx(length)
