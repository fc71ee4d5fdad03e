"""Figures for print: told apart without colour, written whole and always the same, with room for their foot."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import pytest
from drawn_texts import check_legible
from matplotlib.lines import Line2D

from mitouts.errors import MitoutsError
from mitouts.visualization.canvas import figure_to_array
from mitouts.visualization.print_figure import (
    add_foot,
    check_suffix,
    look,
    name_axes,
    print_figure,
    row_cm,
    row_labels,
    say_empty,
    wrapped,
    write_figure,
)


def test_no_two_of_28_lines_look_alike_even_without_colour_nearby():
    looks = [look(index) for index in range(28)]
    assert len({(each.colour, each.dash) for each in looks}) == 28
    for first, second in itertools.pairwise(looks):
        assert first.dash != second.dash
        assert first.marker != second.marker


def _figure():
    figure = print_figure(6)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1])
    name_axes(axes, 'cost $a_1$', 'F1')
    return figure


@pytest.mark.parametrize(('name', 'head'), [('a.png', b'\x89PNG'), ('a.svg', b'<?xml'), ('a.PDF', b'%PDF')])
def test_the_suffix_chooses_the_format_and_the_file_is_reproducible(tmp_path: Path, name: str, head: bytes):
    write_figure(tmp_path / 'first' / name, _figure())
    write_figure(tmp_path / 'second' / name, _figure())
    first = (tmp_path / 'first' / name).read_bytes()
    assert first.startswith(head)
    assert first == (tmp_path / 'second' / name).read_bytes()
    assert [path.name for path in (tmp_path / 'first').iterdir()] == [name]


def test_a_png_is_16_cm_wide_at_300_dots_an_inch(tmp_path: Path):
    write_figure(tmp_path / 'a.png', _figure())
    height, width, _ = cv2.imread(str(tmp_path / 'a.png')).shape
    assert width == pytest.approx(16 / 2.54 * 300, abs=2)
    assert height == pytest.approx(6 / 2.54 * 300, abs=2)


@pytest.mark.parametrize(('name', 'found'), [('a.jpg', "'.jpg'"), ('a', 'none')])
def test_another_suffix_is_named(name: str, found: str):
    with pytest.raises(MitoutsError, match=f'must end in .png, .svg, .pdf, found {found}'):
        check_suffix(name)


def test_wrapped_lines_keep_their_width_and_end_in_an_ellipsis():
    lines = wrapped('word ' * 60, 20, 3).split('\n')
    assert len(lines) == 3
    assert max(map(len, lines)) <= 20
    assert lines[-1].endswith('…')
    assert wrapped('a$b_c', 20) == 'a$b_c'


@pytest.mark.parametrize('names', [[], ['one'], ['a long name of a method and what it is made of'] * 8, ['x'] * 20])
@pytest.mark.parametrize('note', ['', 'A remark.', 'A very long remark that needs some lines. ' * 6])
def test_the_foot_covers_nothing_and_the_panel_keeps_its_size(names: list[str], note: str):
    figure = _figure()
    figure.draw_without_rendering()
    before = figure.axes[0].get_window_extent()
    add_foot(figure, note, names, [Line2D([], []) for _ in names])
    texts = check_legible(figure)
    after = figure.axes[0].get_window_extent()
    assert (after.width, after.height) == pytest.approx((before.width, before.height), abs=1.5)
    assert sum(text.replace('\n', ' ') in names for text in texts) == len(names)
    assert any('remark' in text for text in texts) == bool(note)


def test_labels_of_rows_are_text_and_their_rows_high_enough():
    labels = ['cost $a_1$', 'a setting with a long description of what was changed in it, and of why'] * 4
    figure = print_figure(2 + 8 * row_cm(labels, 0.3))
    axes = figure.subplots()
    row_labels(axes, labels)
    assert 'cost $a_1$' in check_legible(figure)
    assert axes.yaxis_inverted()


def test_an_empty_panel_says_why():
    figure = print_figure(4)
    say_empty(figure.subplots(), 'no log has train/distance_px')
    assert check_legible(figure) == ['no log has\ntrain/distance_px']
    figure_to_array(figure)
