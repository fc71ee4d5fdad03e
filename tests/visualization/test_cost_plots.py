"""The markers stand where cost and score say, every method is named, and nothing hides anything."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_texts import check_legible
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.testing import assert_allclose

from mitouts.visualization.ablation_plots import Score
from mitouts.visualization.cost_plots import PricedMethod, draw_costs, plot_costs
from mitouts.visualization.print_figure import look, print_figure

F1, GMAC, MINUTES = 'localization F1', 'GMAC per megapixel', 'minutes of training'
LOOKS = {'box': look(0), 'point': look(1)}
METHODS = (
    ('Teacher', 'image label', 3.1, 1.7), ('Student', 'image label, point', 3.1, 3.5), ('RetinaNet', 'box', 9.0, 3.0),
    ('Faster R-CNN', 'box', 14.0, 5.0), ('FCOS', 'box', 9.5, 3.2), ('Mask R-CNN', 'mask', 20.0, 7.0),
    ('RTMDet', 'box', 5.0, 4.0), ('SegMitos', 'point', 6.0, 2.4),
    ('Cascade on Student', 'image label, point', 4.0, 6.0),
)  # fmt: skip


def method(label: str, kind: str, gmac: float | None, minutes: float | None = 2.0, f1: float = 0.8) -> PricedMethod:
    return PricedMethod(label, kind, Score(f1, (f1 - 0.1, f1 + 0.05)), {GMAC: gmac, MINUTES: minutes})


def markers(axes: Axes) -> np.ndarray:
    """``(N, 2)`` in the order in which they were drawn."""
    return np.concatenate([line.get_xydata() for line in marker_lines(axes)])


def marker_lines(axes: Axes) -> list[Line2D]:
    shapes = {look(index).marker for index in range(7)}
    return [line for line in axes.get_lines() if line.get_marker() in shapes]


def whiskers(axes: Axes) -> list[np.ndarray]:
    return [segment for each in axes.containers if hasattr(each, 'has_yerr') for segment in each[2][0].get_segments()]


def test_a_marker_stands_at_cost_and_score_with_its_interval():
    axes = print_figure(5).subplots()
    drawn = draw_costs(axes, [method('A', 'box', 4.0, f1=0.7), method('B', 'point', 9.0)], GMAC, F1, LOOKS)
    assert_allclose(markers(axes), [[4, 0.7], [9, 0.8]])
    assert_allclose(whiskers(axes), [[[4, 0.6], [4, 0.75]], [[9, 0.7], [9, 0.85]]])
    assert [each.method.label for each in drawn] == ['A', 'B']
    assert [line.get_marker() for line in marker_lines(axes)] == [LOOKS['box'].marker, LOOKS['point'].marker]


def test_methods_of_one_cost_stand_beside_each_other():
    axes = print_figure(5).subplots()
    draw_costs(axes, [method(name, 'box', 5.0) for name in 'ABC'] + [method('D', 'box', 1.0)], GMAC, F1, LOOKS)
    place = axes.transData.transform(markers(axes))[:, 0]
    marker_px = marker_lines(axes)[0].get_markersize() * axes.figure.dpi / 72
    assert (np.diff(place[:3]) > marker_px).all()
    assert_allclose(markers(axes)[:, 0], [5, 5, 5, 1], rtol=0.1)
    assert_allclose(markers(axes)[1:, 0][[0, 2]], [5, 1], rtol=1e-6)


@pytest.mark.parametrize(('costs', 'scale'), [((2.0, 9.0), 'linear'), ((2.0, 10.0), 'log'), ((0.0, 9.0), 'linear')])
def test_costs_that_differ_by_much_have_a_logarithmic_axis(costs: tuple[float, ...], scale: str):
    axes = print_figure(5).subplots()
    draw_costs(axes, [method(str(cost), 'box', cost) for cost in costs], GMAC, F1, LOOKS)
    assert axes.get_xscale() == scale
    low, high = axes.get_xlim()
    assert low <= min(costs) < max(costs) < high
    assert_allclose(markers(axes)[:, 0], costs, atol=0.2)


@pytest.mark.parametrize('count', [1, 4, 9])
def test_every_method_is_named_in_every_panel_legibly(count: int):
    levels = {
        level: [method(label, kind, gmac, minutes, 0.8 - shift * index) for index, (label, kind, gmac, minutes) in
                enumerate(METHODS[:count])]
        for level, shift in (('noise 0', 0.01), ('noise 0.3', 0.02))
    }  # fmt: skip
    figure = plot_costs(levels, [GMAC, MINUTES], F1, title='A title', note='A note.')
    texts = [text.replace('\n', ' ') for text in check_legible(figure)]
    for label, *_ in METHODS[:count]:
        assert texts.count(label) == 4
    assert texts.count('noise 0') == texts.count('noise 0.3') == 2
    assert {'A title', 'A note.', *(kind for _, kind, *_ in METHODS[:count])} <= set(texts)


def test_a_leader_goes_from_each_name_to_its_own_interval():
    figure = plot_costs({'': [method('B', 'box', 8.0, f1=0.6), method('A', 'box', 4.0)]}, [GMAC], F1)
    axes, names = figure.axes[0], {}
    for text in axes.texts:
        names[text.get_text()] = text.get_position()[0]
    leaders = [line.get_xydata() for line in axes.get_lines() if line.get_transform() == axes.transAxes]
    to_share = axes.transScale + axes.transLimits
    for (label, x, top), leader in zip((('B', 8.0, 0.65), ('A', 4.0, 0.85)), leaders):
        assert leader[0, 0] == names[label]
        assert_allclose(leader[1:, 0], to_share.transform((x, top))[0])
        assert_allclose(leader[1:, 1], [1, to_share.transform((x, top))[1]])


def test_panels_of_one_cost_have_the_same_axes():
    levels = {'a': [method('A', 'box', 4.0, f1=0.5)], 'b': [method('A', 'box', 6.0, f1=0.9)]}
    first, second = plot_costs(levels, [GMAC], F1).axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()


def test_too_many_names_become_numbers_with_a_key():
    methods = [method(f'method {number} with a long name', 'box', float(number)) for number in range(1, 25)]
    texts = [text.replace('\n', ' ') for text in check_legible(plot_costs({'': methods}, [GMAC], F1))]
    for number in range(1, 25):
        assert str(number) in texts
        assert f'{number} method {number} with a long name' in texts


def test_methods_without_a_run_or_a_cost_are_left_out():
    unknown = PricedMethod('no run', 'box', None, {GMAC: 3.0})
    levels = {'': [method('A', 'box', 4.0), method('unmeasured', 'box', None), unknown]}
    figure = plot_costs(levels, [GMAC, MINUTES], F1)
    assert len(markers(figure.axes[0])) == 1
    assert len(markers(figure.axes[1])) == 2
    texts = check_legible(plot_costs({'noise 0': [unknown]}, [GMAC], F1))
    assert any(text.replace('\n', ' ').startswith('no run has a localization F1 and is known') for text in texts)
