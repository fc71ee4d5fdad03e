"""The artists on the axes hold the numbers that were given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mitouts.visualization.canvas import new_figure
from mitouts.visualization.plots import draw_losses, draw_score_histogram, draw_validation

LOG: list[dict[str, Any]] = [
    {'lr': 0.1, 'loss': 0.9, 'epoch': 1, 'iter': 5, 'step': 5},
    {'lr': 0.2, 'loss': 0.7, 'epoch': 1, 'iter': 10, 'step': 10},
    {'lr': 0.1, 'loss': 0.5, 'epoch': 2, 'iter': 15, 'step': 15},
    {'lr': 0.0, 'loss': 0.4, 'epoch': 2, 'iter': 20, 'step': 20},
    {
        'image/f1': 0.6,
        'image/auc': 0.7,
        'one_to_one/f1': 0.5,
        'one_to_one/tp': 12,
        'map_threshold': 0.4,
        'time': 0.3,
        'step': 1,
    },
    {
        'image/f1': 0.8,
        'image/auc': 0.9,
        'one_to_one/f1': 0.4,
        'one_to_one/tp': 11,
        'map_threshold': 0.4,
        'time': 0.3,
        'step': 2,
    },
]


@pytest.fixture
def axes():
    return new_figure(400, 300).subplots()


def texts(axes) -> str:
    legend = axes.get_legend()
    labels = [text.get_text() for text in legend.get_texts()] if legend else []
    return ' | '.join([text.get_text() for text in axes.texts] + labels + [axes.get_xlabel()])


def test_losses_run_over_epochs(axes):
    draw_losses(axes, LOG)
    (line,) = axes.get_lines()
    assert_allclose(line.get_xdata(), [0.5, 1, 1.5, 2])
    assert_allclose(line.get_ydata(), [0.9, 0.7, 0.5, 0.4])
    assert axes.get_xlabel() == 'epoch'


def test_losses_without_epochs_run_over_iterations(axes):
    draw_losses(axes, [{'loss': 1.0, 'iter': 3, 'step': 3}, {'loss': 0.5, 'iter': 6, 'step': 6}])
    assert_allclose(axes.get_lines()[0].get_xdata(), [3, 6])
    assert axes.get_xlabel() == 'iteration'


def test_parts_of_a_loss_are_named_and_a_single_part_is_not_drawn_twice(axes):
    parts = [{'loss': 1.0, 'loss_bce': 0.8, 'loss_centroid': 0.2, 'iter': step, 'step': step} for step in (1, 2)]
    draw_losses(axes, parts)
    assert [line.get_label() for line in axes.get_lines()] == ['loss', 'loss_bce', 'loss_centroid']
    other = new_figure(400, 300).subplots()
    draw_losses(other, [{'loss': 1.0, 'loss_bce': 1.0, 'iter': 1, 'step': 1}])
    assert len(other.get_lines()) == 1


def test_a_lone_value_has_a_marker(axes):
    draw_losses(axes, LOG[:1])
    assert axes.get_lines()[0].get_marker() == 'o'


def test_validation_shows_f1_and_auc_with_the_best_epoch(axes):
    draw_validation(axes, LOG)
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert list(lines) == [
        'image/auc: best 0.900, epoch 2',
        'image/f1: best 0.800, epoch 2',
        'one_to_one/f1: best 0.500, epoch 1',
    ]
    assert_allclose(lines['one_to_one/f1: best 0.500, epoch 1'], [0.5, 0.4])


def test_curves_differ_by_marker_and_line_and_colour(axes):
    draw_validation(axes, LOG)
    for look in ('get_marker', 'get_linestyle', 'get_color'):
        assert len({getattr(line, look)() for line in axes.get_lines()}) == 3


def test_unknown_metrics_are_drawn_when_there_are_no_others(axes):
    draw_validation(axes, [{'quality': 0.3, 'count': 17, 'step': 1}])
    assert [line.get_label() for line in axes.get_lines()] == ['quality: best 0.300, iteration 1']


def test_undefined_values_leave_a_gap_not_a_crash(axes):
    draw_validation(
        axes, [{'image/f1': 0.5, 'image/auc': float('nan'), 'step': 1}, {'image/f1': 0.6, 'image/auc': 0.7, 'step': 2}]
    )
    assert_allclose(axes.get_lines()[0].get_xdata(), [2])
    assert_allclose(axes.get_lines()[1].get_xdata(), [1, 2])


@pytest.mark.parametrize(
    ('draw', 'words'), [(draw_losses, 'no loss logged'), (draw_validation, 'no validation logged')]
)
def test_an_empty_log_says_so(axes, draw, words):
    draw(axes, [])
    assert words in texts(axes)


def test_histogram_bars_are_shares_of_each_class(axes):
    scores = [0.1, 0.1, 0.3, 0.5, 0.5, 0.7, 0.7, 0.7]
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    draw_score_histogram(axes, scores, labels, 0.45)
    outlines = [patch for patch in axes.patches if patch.get_label().startswith(('mitosis', 'no mitosis'))]
    heights = {patch.get_label(): patch.get_data().values for patch in outlines}
    assert set(heights) == {'no mitosis (n = 4)', 'mitosis (n = 4)'}
    for (label, value), score, share in (
        (('no mitosis (n = 4)', 0), 0.1, 50),
        (('mitosis (n = 4)', 1), 0.7, 75),
    ):
        edges = outlines[value].get_data().edges
        assert heights[label].sum() == pytest.approx(100)
        assert heights[label][np.searchsorted(edges, score, side='right') - 1] == pytest.approx(share)
    assert_allclose(axes.get_lines()[0].get_xdata(), [0.45, 0.45])
    assert 'threshold 0.45' in texts(axes)


def test_piled_up_scores_get_a_log_odds_axis(axes):
    draw_score_histogram(axes, [0.0, 0.001, 0.999, 1.0], [0, 0, 1, 1], 0.9)
    assert 'log-odds' in axes.get_xlabel()
    assert_allclose(axes.get_lines()[0].get_xdata(), np.log(0.9 / 0.1))
    ticks = dict(zip([text.get_text() for text in axes.get_xticklabels()], axes.get_xticks()))
    assert_allclose(ticks['0.99'], np.log(99))
    heights = [patch.get_data().values.sum() for patch in axes.patches]
    assert_allclose(heights, 100)


def test_classes_differ_by_hatch_and_colour(axes):
    draw_score_histogram(axes, [0.2, 0.8], [0, 1], None)
    outlines = [patch for patch in axes.patches if patch.get_hatch()]
    assert len({patch.get_hatch() for patch in outlines}) == 2
    assert len({patch.get_edgecolor() for patch in outlines}) == 2
    assert not axes.get_lines()


def test_one_class_and_no_images_are_said(axes):
    draw_score_histogram(axes, [0.2, 0.8], [1, 1], 0.5)
    assert 'one class only: AUC is not defined' in texts(axes)
    empty = new_figure(400, 300).subplots()
    draw_score_histogram(empty, [], [], None)
    assert 'no images' in texts(empty)


@pytest.mark.parametrize(
    ('scores', 'labels', 'words'), [([0.5], [0, 1], '1 scores and 2 labels'), ([1.2], [1], 'probabilities')]
)
def test_scores_that_fit_nothing_are_refused(axes, scores, labels, words):
    with pytest.raises(ValueError, match=words):
        draw_score_histogram(axes, scores, labels, None)
