"""Curves of several trainings: values by epoch, means and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawn_texts import check_legible
from matplotlib.collections import FillBetweenPolyCollection
from numpy.testing import assert_allclose

from mitouts.visualization.print_figure import print_figure
from mitouts.visualization.training_plots import by_epoch, draw_courses, over_runs, plot_courses


def _log(epochs: int, shift: float = 0.0) -> list[dict[str, Any]]:
    training = [
        {
            'lr': 0.1,
            'loss': 1 / epoch + shift + part,
            'epoch': epoch,
            'iter': 2 * epoch + step,
            'step': 2 * epoch + step,
        }
        for epoch in range(1, epochs + 1)
        for step, part in ((-1, 0.1), (0, -0.1))
    ]
    return training + [
        {'image/f1': 0.5 + 0.1 * epoch + shift, 'train/distance_px': 40.0 / epoch, 'step': epoch}
        for epoch in range(1, epochs + 1)
    ]


def test_validation_is_taken_as_it_is_and_training_as_the_mean_of_its_epoch():
    for key, expected in (('image/f1', [0.6, 0.7, 0.8]), ('loss', [1, 1 / 2, 1 / 3])):
        epochs, values = by_epoch(_log(3), key)
        assert_allclose(epochs, [1, 2, 3])
        assert_allclose(values, expected)
    assert len(by_epoch(_log(3), 'unknown')[0]) == 0
    # A training without epochs is shown by its iterations.
    assert by_epoch([{'lr': 1, 'loss': 2.0, 'iter': 50, 'step': 50}], 'loss')[0].tolist() == [50]


def test_runs_of_one_name_give_mean_and_range_over_those_that_came_so_far():
    course = over_runs([_log(2, -0.1), _log(3, 0.1), []], 'image/f1')
    assert_allclose(course.mean, [0.6, 0.7, 0.9])
    assert_allclose(course.lowest, [0.5, 0.6, 0.9])
    assert_allclose(course.highest, [0.7, 0.8, 0.9])
    assert course.num_runs == 2


def test_lines_are_means_and_bands_ranges():
    axes = print_figure(5).subplots()
    ends = draw_courses(axes, {'a': over_runs([_log(3, -0.1), _log(3, 0.1)], 'image/f1')}, 'image/f1')
    (line,) = axes.get_lines()
    assert_allclose(line.get_ydata(), [0.6, 0.7, 0.8])
    (band,) = (each for each in axes.collections if isinstance(each, FillBetweenPolyCollection))
    assert_allclose(np.ptp(band.get_paths()[0].vertices[:, 1]), 0.4)
    assert ends == {'a': pytest.approx((3, 0.8))}
    assert axes.get_ylabel() == 'validation image F1'


@pytest.mark.parametrize(
    'names', [['Teacher'], ['Teacher trained with strong augmentation on all the data'] * 1, [*'abcdefgh']]
)
@pytest.mark.parametrize('keys', [['loss'], ['image/f1', 'train/distance_px'], ['image/f1', 'loss', 'lr']])
def test_every_name_is_written_once_and_legibly(names: list[str], keys: list[str]):
    logs = {name: [_log(4, 0.01 * index)] * (1 + index % 2) for index, name in enumerate(names)}
    texts = check_legible(plot_courses(logs, keys, title='A title', note='A note.'))
    for name in names:
        assert sum(text.replace('\n', ' ') == name for text in texts) == 1
    assert texts.count('epoch') == len(keys)


def test_a_scalar_that_no_log_has_is_said():
    texts = check_legible(plot_courses({'a': [_log(2)]}, ['image/f1', 'missing']))
    assert 'no log has missing' in texts
    assert 'a' in texts
    assert 'no log has missing' in check_legible(plot_courses({'a': [_log(2)]}, ['missing']))
