"""Counts as bars, and the same counts in words."""

from __future__ import annotations

import pytest
from drawn_texts import check_legible
from numpy.testing import assert_allclose

from mitouts.visualization.confusion_plots import KINDS, Counts, draw_grouped, draw_stacked, plot_counts
from mitouts.visualization.print_figure import print_figure

LONG = 'Instance head with max aggregation over all positions of the map, strong augmentation'


def _spans(axes) -> list[tuple[float, float]]:
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]


def test_stacked_bars_put_false_positives_left_and_figures_right():
    axes = print_figure(5).subplots()
    draw_stacked(axes, [Counts('a', 30, 12, 10)])
    assert_allclose(_spans(axes), [(0, 30), (-12, 0), (30, 40)])
    assert len({bar.get_hatch() for bar in axes.patches}) == 3
    low, high = axes.get_xlim()
    assert low < -12 < 40 < high


def test_grouped_bars_start_at_zero():
    axes = print_figure(5).subplots()
    draw_grouped(axes, [Counts('a', 30, 12, 10), Counts('b', 1, 2, 3)])
    assert_allclose(_spans(axes), [(0, 30), (0, 12), (0, 10), (0, 1), (0, 2), (0, 3)])


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('labels', [['Teacher'], [LONG, 'cost $a_1$'] * 4])
def test_counts_and_shares_are_written_legibly(kind: str, labels: list[str]):
    figure = plot_counts([Counts(label, 1234, 411.5, 617) for label in labels], kind=kind, title='T', note='A note.')
    texts = check_legible(figure)
    # P = 1234 / 1645.5, R = 2 / 3, F1 = 2468 / (2468 + 411.5 + 617)
    for cell in ('1234', '411.5', '617', '0.750', '0.667', '0.706'):
        assert texts.count(cell) == len(labels)
    assert {'TP', 'FP', 'FN', 'P', 'R', 'F1', 'false positive', 'A note.'} <= set(texts)


@pytest.mark.parametrize('kind', KINDS)
def test_nothing_found_and_nothing_counted(kind: str):
    assert check_legible(plot_counts([Counts('a', 0, 0, 0)], kind=kind)).count('0.000') == 3
    assert 'no run was counted' in check_legible(plot_counts([], kind=kind))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind is 'pie', expected one of stacked, grouped"):
        plot_counts([], kind='pie')
