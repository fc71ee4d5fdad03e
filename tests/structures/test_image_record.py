"""What a record of an image says of itself, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from image_records import changed, evaluated, predicted

from mitouts.structures import EvaluatedImages

SHOWN = evaluated(
    1,
    [[20, 20], [200, 200]],
    [[20, 20, 0.9], [30, 30, 0.5], [40, 40, 0.2]],
    counted=np.array([True, False]),
    cut=np.array([[0.0, 110.0]]),
)


def test_figures_are_counted_in_one_image_and_ignored_in_others() -> None:
    assert SHOWN.truth.counted_points.tolist() == [[20, 20]]
    assert SHOWN.truth.ignored.tolist() == [[200, 200], [0, 110]]
    assert not SHOWN.truth.is_ambiguous
    assert evaluated(2, [], [], cut=np.array([[0.0, 1.0]])).truth.is_ambiguous


def test_only_of_a_positive_image_without_points_nobody_knows_where_its_figures_are() -> None:
    negative, by_label = evaluated(2, [], []), evaluated(3, [], [], label=1)
    assert [record.truth.is_located for record in (SHOWN, negative, by_label)] == [True, True, False]
    images = EvaluatedImages((SHOWN, by_label, negative), 0.5, 0.4)
    located = images.located()
    assert located.images == (SHOWN, negative)
    assert (located.image_threshold, located.map_threshold) == (0.5, 0.4)
    assert (images.labels.tolist(), images.cases.tolist()) == ([1, 1, 0], ['case 0', 'case 1', 'case 1'])


def test_lengths_and_areas() -> None:
    truth = changed(SHOWN, width=300, height=400, mpp=0.5).truth
    assert truth.diagonal_px == 500
    assert truth.area_mm2 == pytest.approx(0.15 * 0.2)
    unknown = changed(SHOWN, mpp=None)
    assert unknown.truth.area_mm2 is None
    assert EvaluatedImages((SHOWN, unknown), 0.5, 0.5).areas_mm2 is None
    assert EvaluatedImages((SHOWN, SHOWN), 0.5, 0.5).areas_mm2 == pytest.approx([0.06**2] * 2)


def test_a_point_is_a_figure_above_the_threshold_not_at_it() -> None:
    assert SHOWN.prediction.above(0.5).tolist() == [[20, 20, 0.9]]


def test_curves_are_drawn_from_peaks_where_they_were_read() -> None:
    peaks = np.zeros((0, 3))
    assert predicted(1, 0.5, [[1, 2, 0.5]]).curve_points.tolist() == [[1, 2, 0.5]]
    assert predicted(1, 0.5, [[1, 2, 0.5]], peaks=peaks).curve_points is peaks


def test_places_are_rounded_as_a_data_set_holds_them() -> None:
    truth = changed(evaluated(1, [[0.1, 1 / 3]], []), cut=np.array([[0.7, 5.0]])).truth.in_float32()
    assert truth.points.dtype == truth.cut.dtype == np.float64
    assert truth.points.tolist() == [[float(np.float32(0.1)), float(np.float32(1 / 3))]]
    assert truth.cut.tolist() == [[float(np.float32(0.7)), 5.0]]
