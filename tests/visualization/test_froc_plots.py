"""Curves of detectors against counting at each threshold by hand, and against scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drawn_texts import check_legible
from image_records import changed, evaluated
from numpy.testing import assert_allclose
from sklearn.metrics import auc, roc_auc_score

from mitouts.functional.localization import count_points
from mitouts.structures import EvaluatedImages
from mitouts.visualization.froc_plots import (
    PANELS,
    curves_of,
    draw_froc,
    draw_pr,
    draw_roc,
    plot_methods,
    unit_of,
)
from mitouts.visualization.print_figure import print_figure

LONG = 'Instance head with max aggregation over all positions of the map, strong augmentation'
AREA_MM2 = 0.0036


def _detections(seed: int, images: int = 30) -> EvaluatedImages:
    """Figures far apart, so that every matching finds the same pairs."""
    generator = np.random.default_rng(seed)
    labels = np.arange(images) % 2
    truths = [np.array([[50.0, 50.0], [200.0, 200.0]])[:label] for label in 2 * labels]
    points = []
    for truth in truths:
        found = truth[generator.random(len(truth)) < 0.8]
        false = generator.uniform(90, 160, (generator.poisson(1.0), 2))
        xy = np.concatenate([found + generator.uniform(-9, 9, found.shape), false])
        # Two decimals make ties.
        scores = np.concatenate([generator.uniform(0.4, 1, len(found)), generator.uniform(0, 0.8, len(false))]).round(2)
        points.append(np.column_stack([xy, scores]))
    scores = np.clip(labels * 0.3 + generator.uniform(0, 0.7, images), 0, 1).round(2).tolist()
    records = map(evaluated, range(images), truths, points)
    return EvaluatedImages(tuple(changed(r, score=score) for r, score in zip(records, scores)), 0.4, 0.5)


def _each(run: EvaluatedImages, **changes: Any) -> EvaluatedImages:
    return replace(run, images=tuple(changed(record, **changes) for record in run.images))


def _counted(run: EvaluatedImages, threshold: float) -> tuple[int, int, int]:
    counts = count_points(run.points, run.truths, radius_px=30, threshold=threshold)
    return tuple(counts.sum(axis=0).tolist())


def test_one_run_passes_through_its_counts_at_every_threshold():
    run = _detections(0)
    method = curves_of('a', [run], radius_px=30, unit='mm2')
    assert method.froc is not None
    assert method.pr is not None
    area_mm2 = 30 * AREA_MM2
    for threshold in np.arange(0.005, 1, 0.01):
        tp, fp, fn = _counted(run, threshold)
        at = method.froc.x <= fp / area_mm2 + 1e-9
        assert method.froc.y[at].max() >= tp / (tp + fn) - 1e-9
        # On a level stretch only its ends are kept, so it is the line between them that holds the point.
        nearest = np.interp(fp / area_mm2, method.froc.x, method.froc.y)
        assert method.froc.y[method.froc.x < fp / area_mm2 - 1e-9].max(initial=0) <= nearest + 1e-9
    tp, fp, fn = _counted(run, 0.5)
    assert method.froc.point == pytest.approx((fp / area_mm2, tp / (tp + fn)))
    assert method.pr.point == pytest.approx((tp / (tp + fn), tp / (tp + fp)))
    assert min(np.abs(method.pr.x - tp / (tp + fn)) + np.abs(method.pr.y - tp / (tp + fp))) < 0.1


def test_roc_is_that_of_scikit_learn_with_the_operating_point_counted():
    run = _detections(1)
    roc = curves_of('a', [run], radius_px=30, unit='mm2').roc
    assert roc is not None
    labels, scores = run.labels, run.scores
    assert auc(roc.x, roc.y) == pytest.approx(roc_auc_score(labels, scores))
    called = scores > 0.4
    assert roc.point == pytest.approx((called[labels == 0].mean(), called[labels == 1].mean()))


def test_runs_are_averaged_at_an_equal_rate_of_false_positives():
    runs = [_detections(seed) for seed in (2, 3, 4)]
    # A second model of the same kind that works at another threshold.
    runs[1] = replace(runs[1], map_threshold=0.7)
    method = curves_of('a', runs, radius_px=30, unit='image')
    assert method.froc is not None
    thresholds = np.arange(-0.005, 1.01, 0.01)
    table = [[_counted(run, threshold) for threshold in thresholds] for run in runs]
    for rate in (0.05, 0.2, 0.5, 2.0):
        best = [max((tp for tp, fp, _ in counts if fp / 30 <= rate + 1e-9), default=0) for counts in table]
        drawn = method.froc.y[method.froc.x <= rate + 1e-9][-1]
        assert drawn == pytest.approx(sum(best) / sum(tp + fn for (tp, _, fn), *_ in table))
    own = [_counted(run, run.map_threshold) for run in runs]
    assert method.froc.point == pytest.approx((sum(fp for _, fp, _ in own) / 90, sum(tp for tp, *_ in own) / 90))
    same = curves_of('a', [runs[0]] * 3, radius_px=30, unit='image')
    once = curves_of('a', runs[:1], radius_px=30, unit='image')
    assert same.pr is not None
    assert once.pr is not None
    assert same.pr.point == pytest.approx(once.pr.point)


def test_a_map_draws_its_peaks_and_works_at_its_components():
    peaks = _detections(0)
    # One component where there are two peaks: the operating point has fewer false positives, the curve is the peaks'.
    merged = [
        changed(record, points=record.prediction.above(0.5)[:1], peaks=record.prediction.points)
        for record in peaks.images
    ]
    run = replace(peaks, images=tuple(merged))
    drawn, expected = (curves_of('a', [each], radius_px=30, unit='image').froc for each in (run, peaks))
    assert drawn is not None
    assert expected is not None
    assert_allclose(drawn.x, expected.x)
    assert_allclose(drawn.y, expected.y)
    tp, fp, fn = _counted(run, 0.5)
    assert drawn.point == pytest.approx((fp / 30, tp / (tp + fn)))
    assert drawn.point != pytest.approx(expected.point)


def test_without_areas_the_unit_is_the_image():
    known, unknown = _detections(0), _each(_detections(0), mpp=None)
    assert unit_of([[known], [known]]) == 'mm2'
    assert unit_of([[known], [known, unknown]]) == 'image'
    by_image = curves_of('a', [unknown], radius_px=30, unit='image').froc
    by_area = curves_of('a', [known], radius_px=30, unit='mm2').froc
    assert by_image is not None
    assert by_area is not None
    assert_allclose(by_image.x, by_area.x * AREA_MM2)


def test_the_axes_hold_the_curves_and_the_points():
    method = curves_of('a', [_detections(0)], radius_px=30, unit='mm2')
    for draw, curve in ((draw_froc, method.froc), (draw_pr, method.pr), (draw_roc, method.roc)):
        axes = print_figure(5).subplots()
        draw(axes, [method], 'mm2') if draw is draw_froc else draw(axes, [method])
        line, mark = axes.get_lines()[-2:]
        assert_allclose(line.get_ydata(), curve.y)
        assert_allclose(mark.get_xydata(), [curve.point])
    assert axes.get_xlabel().replace('\n', ' ') == 'false positive rate, images'


@pytest.mark.parametrize('panels', [PANELS, ('froc',), ('pr', 'roc')])
@pytest.mark.parametrize('labels', [['Teacher'], [LONG, *(f'method {index}' for index in range(7))]])
def test_methods_are_named_legibly(panels: tuple[str, ...], labels: list[str]):
    runs = _detections(0)
    methods = [curves_of(label, [runs], radius_px=30, unit='mm2') for label in labels]
    texts = check_legible(plot_methods(methods, 'mm2', panels, title='Test', note='A note.'))
    for label in labels:
        assert sum(text.replace('\n', ' ')[:20] == label[:20] for text in texts) == 1
    assert ('false positives per mm²' in texts) == ('froc' in panels)


def test_what_is_not_defined_is_said():
    bare = [evaluated(number, [], [], label=1) for number in range(30)]
    run = EvaluatedImages(tuple(bare), 0.4, 0.5)
    method = curves_of('a', [run], radius_px=30, unit='mm2')
    assert (method.froc, method.pr, method.roc) == (None, None, None)
    texts = check_legible(plot_methods([method], 'mm2'))
    assert texts.count('no annotated figure') == 2
    assert 'images of one class only' in texts
    assert check_legible(plot_methods([], 'image')).count('no run') == 3


def test_a_method_without_any_detection_lies_at_zero():
    run = _each(_detections(0), points=np.zeros((0, 3)))
    method = curves_of('a', [run], radius_px=30, unit='mm2')
    assert method.froc is not None
    assert method.froc.point == (0, 0)
    check_legible(plot_methods([method], 'mm2'))
