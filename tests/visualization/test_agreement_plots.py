"""The artists on the axes hold the numbers that were given."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mitouts.functional.agreement import agreement
from mitouts.visualization.agreement_plots import draw_bland_altman, draw_scatter, plot_agreement
from mitouts.visualization.canvas import figure_to_array, new_figure

X = np.array([1.0, 3.0, 4.0, 8.0, np.nan])
Y = np.array([2.0, 3.0, 6.0, 7.0, 1.0])


@pytest.fixture
def axes():
    return new_figure(500, 400).subplots()


def legend_of(axes) -> str:
    legend = axes.get_legend()
    return ' | '.join(text.get_text() for text in legend.get_texts()) if legend else ''


def title_of(axes) -> str:
    return axes.get_title(loc='left')


def test_scatter_shows_the_pairs_and_the_line(axes):
    result = agreement(X, Y)
    draw_scatter(axes, X, Y, result, x_name='reference', y_name='mai')
    assert_allclose(axes.collections[0].get_offsets(), np.stack([X[:4], Y[:4]], axis=1))
    (line,) = axes.get_lines()
    assert_allclose(line.get_xdata(), [1, 8])
    assert_allclose(line.get_ydata(), np.polyval(np.polyfit(X[:4], Y[:4], 1), [1, 8]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ('reference (n = 4)', 'mai')
    assert f'Pearson r = {result.pearson.value:.3f} (95% CI' in title_of(axes)
    assert legend_of(axes) == 'y = 0.731 x + 1.58'


def test_bland_altman_shows_differences_bias_and_limits(axes):
    result = agreement(X, Y).bland_altman
    draw_bland_altman(axes, X, Y, result, x_name='reference', y_name='mai')
    assert_allclose(axes.collections[0].get_offsets(), [[1.5, 1], [3, 0], [5, 2], [7.5, -1]])
    heights = sorted(line.get_ydata()[0] for line in axes.get_lines())
    assert_allclose(heights, sorted([0.0, result.bias, *result.limits]))
    assert axes.get_ylabel() == 'mai - reference'
    assert 'bias 0.5' in legend_of(axes)
    assert len(axes.patches) == 3


def test_what_is_not_available_is_said(axes):
    draw_scatter(axes, [1, 1, 1, 1], [1, 2, 3, 4], agreement([1, 1, 1, 1], [1, 2, 3, 4]))
    assert title_of(axes) == 'Pearson r: not available\nSpearman rho: not available'
    assert not axes.get_lines()
    few = new_figure(500, 400).subplots()
    draw_scatter(few, [1, 2, 4], [1, 3, 2], agreement([1, 2, 4], [1, 3, 2]))
    assert '95% interval not available' in title_of(few)
    pair = new_figure(500, 400).subplots()
    draw_bland_altman(pair, [1, 2], [1, 3], None)
    assert 'not available' in title_of(pair)


@pytest.mark.parametrize('values', [[], [np.nan, np.nan]])
def test_no_pairs_are_said(values):
    figure = new_figure(900, 400)
    scatter, differences = figure.subplots(1, 2)
    draw_scatter(scatter, values, values, agreement(values, values))
    draw_bland_altman(differences, values, values, None)
    assert [axes.texts[0].get_text() for axes in figure.axes] == ['no slide has both values'] * 2
    figure_to_array(figure)


def test_names_are_text_and_cut_to_the_axis(axes):
    name = 'cost $a_1$ of ' + 'a very long name ' * 20
    draw_scatter(axes, X, Y, agreement(X, Y), x_name=name, y_name=name)
    assert axes.get_ylabel().startswith('cost $a_1$ of')
    assert axes.get_ylabel().endswith('…')
    figure_to_array(axes.figure)


def test_the_file_is_reproducible(tmp_path):
    for name in ('a.png', 'b.png'):
        plot_agreement(X, Y, agreement(X, Y), tmp_path / name, title='cohort $5')
    assert (tmp_path / 'a.png').read_bytes() == (tmp_path / 'b.png').read_bytes()
    assert cv2.imread(str(tmp_path / 'a.png')).shape == (500, 1120, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.png', 'b.png']
    assert 'matplotlib.pyplot' not in sys.modules or not sys.modules['matplotlib.pyplot'].get_fignums()
