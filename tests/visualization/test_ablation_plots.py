"""Bars, lines and costs show the numbers that they are given, legibly, whatever is missing."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_texts import check_legible
from numpy.testing import assert_allclose

from mitouts.visualization.ablation_plots import Score, Setting, draw_bars, draw_lines, plot_bars, plot_cost, plot_lines
from mitouts.visualization.print_figure import look, print_figure

F1, IMAGE = 'localization F1', 'image F1'
LONG = 'Instance head with max aggregation over all positions of the map, strong augmentation'


def _setting(label: str, value: float, minutes: tuple[float, ...] = (2.0, 3.0)) -> Setting:
    score = Score(value, (value - 0.1, value + 0.05), (value - 0.02, value + 0.02))
    return Setting(label, {F1: score, IMAGE: Score(value + 0.1, None, ())}, minutes)


def _whisker_ends(axes) -> list[np.ndarray]:
    """Ends of every error bar, ``(2, 2)``."""
    return [segment for each in axes.containers if hasattr(each, 'has_yerr') for segment in each[2][0].get_segments()]


def test_bars_have_length_interval_and_dots():
    axes = print_figure(5).subplots()
    scores = [Score(0.7, (0.5, 0.8), (0.6, 0.75)), None, Score(0.2, None, (0.2,))]
    draw_bars(axes, scores, F1)
    assert_allclose([bar.get_width() for bar in axes.patches], [0.7, 0.2])
    (interval,) = _whisker_ends(axes)
    assert_allclose(interval, [[0.5, 0], [0.8, 0]])
    dots = [line for line in axes.get_lines() if line.get_marker() == 'o']
    assert_allclose(np.concatenate([line.get_xdata() for line in dots]), [0.6, 0.75, 0.2])
    assert [text.get_text() for text in axes.texts] == ['0.700\n(0.500–0.800)', 'no run', '0.200']


@pytest.mark.parametrize('labels', [['Teacher'], [LONG], [LONG, 'cost $a_1$'] * 4, [f'row {i}' for i in range(20)]])
def test_bars_are_legible(labels: list[str]):
    figure = plot_bars([_setting(label, 0.6) for label in labels], [F1, IMAGE], title='A title', note='A note.')
    texts = check_legible(figure)
    assert texts.count('0.600\n(0.500–0.650)') == len(labels)
    assert {F1, IMAGE, 'A title', 'A note.'} <= set(texts)


def test_bars_without_rows_or_runs_say_so():
    assert 'no run has a\nlocalization F1' in check_legible(plot_bars([], [F1]))
    assert 'no run has a\nlocalization F1' in check_legible(plot_bars([Setting('a', {F1: None})], [F1]))


def test_lines_break_where_a_run_is_missing():
    axes = print_figure(5).subplots()
    points = [(0.3, Score(0.6, (0.55, 0.7), (0.5, 0.7))), (0.0, Score(0.8)), (0.15, None)]
    ends = draw_lines(axes, {'Student': points, 'Control': [(0.15, Score(0.5))]}, F1, 'noise')
    student, control = (line for line in axes.get_lines() if line.get_linestyle() != 'None')
    assert_allclose(student.get_ydata(), [0.8, np.nan, 0.6])
    assert_allclose(control.get_ydata(), [np.nan, 0.5, np.nan])
    assert_allclose(student.get_xdata(), [0, 0.15, 0.3], atol=0.01)
    assert (student.get_marker(), student.get_linestyle()) != (control.get_marker(), control.get_linestyle())
    (interval,) = _whisker_ends(axes)
    assert_allclose(interval[:, 1], [0.55, 0.7])
    assert ends['Student'] == pytest.approx((0.3, 0.6), abs=0.01)
    assert [label.get_text() for label in axes.get_xticklabels()] == ['0', '0.15', '0.3']


@pytest.mark.parametrize('names', [[F1], [F1, IMAGE]])
@pytest.mark.parametrize('count', [1, 4, 8])
def test_lines_name_every_arm_legibly(names: list[str], count: int):
    labels = [LONG, *(f'arm {index}' for index in range(1, count))]
    arms = {
        label: [(x, _setting(label, 0.5 + 0.01 * index)) for x in (0, 0.15, 0.3, 0.45)]
        for index, label in enumerate(labels)
    }
    texts = check_legible(plot_lines(arms, names, 'noise', note='A note.'))
    for label in labels:
        assert sum(text.replace('\n', ' ')[:12] == label[:12] for text in texts) == 1


def test_lines_without_values_say_so():
    texts = check_legible(plot_lines({'a': [(0.0, Setting('a', {F1: None}))]}, [F1], 'noise'))
    assert 'no run has a\nlocalization F1' in texts


def test_cost_is_the_mean_of_the_minutes_with_its_range():
    figure = plot_cost([_setting('UTS', 0.8, (6.0, 10.0)), _setting('EMA', 0.7, (4.0,)), _setting('x', 0.5, ())], F1)
    points = {line.get_marker(): line for line in figure.axes[0].get_lines() if line.get_linestyle() == 'None'}
    assert_allclose(points[look(0).marker].get_xydata(), [[8, 0.8]])
    assert_allclose(points[look(1).marker].get_xydata(), [[4, 0.7]])
    ends = np.concatenate(_whisker_ends(figure.axes[0]))
    assert [6, 0.8] in ends.round(9).tolist()
    assert [10, 0.8] in ends.round(9).tolist()
    assert {'UTS', 'EMA'} <= set(check_legible(figure))


def test_cost_of_points_on_one_spot_has_a_key():
    settings = [_setting(f'method {index} with a long name', 0.7, (5.0,)) for index in range(12)]
    texts = [text.replace('\n', ' ') for text in check_legible(plot_cost(settings, F1))]
    assert all(setting.label in texts for setting in settings)


def test_cost_without_minutes_says_so():
    texts = check_legible(plot_cost([_setting('a', 0.5, ())], F1))
    assert 'no run has both minutes\nand a localization F1' in texts
