from __future__ import annotations

import json

import numpy as np
import pytest

from mitouts.functional.localization import (
    average_sensitivity,
    bootstrap_f1_ci95,
    froc_curve,
    score_localization,
    scores_from_counts,
    sensitivity_at,
)

POINTS = [
    np.array([[10.0, 10.0, 0.9], [12.0, 10.0, 0.8], [90.0, 90.0, 0.5]]),
    np.array([[50.0, 50.0, 0.7]]),
    np.zeros((0, 3)),
]
TRUTHS = [np.array([[10.0, 12.0]]), np.zeros((0, 2)), np.array([[5.0, 5.0]])]


def test_one_to_one_by_hand():
    scores = score_localization(POINTS, TRUTHS, radius_px=30, threshold=0.5)
    assert (scores.tp, scores.fp, scores.fn) == (1, 2, 1)
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((1 / 3, 1 / 2, 0.4))
    assert scores.protocol == 'one_to_one'


def test_presence_by_hand():
    scores = score_localization(POINTS, TRUTHS, radius_px=30, threshold=0.5, protocol='presence')
    assert (scores.tp, scores.fp, scores.fn) == (2, 1, 1)
    assert scores.f1 == pytest.approx(2 * (2 / 3) * (2 / 3) / (2 / 3 + 2 / 3))


def test_threshold_is_strict():
    strict = score_localization(POINTS, TRUTHS, radius_px=30, threshold=0.9)
    assert (strict.tp, strict.fp, strict.fn) == (0, 0, 2)
    below = score_localization(POINTS, TRUTHS, radius_px=30, threshold=np.nextafter(0.9, 0))
    assert (below.tp, below.fp, below.fn) == (1, 0, 1)


def test_where_nothing_is_annotated_nothing_is_scored():
    scores = score_localization([[]], [[]], radius_px=30, threshold=0.5)
    assert (scores.precision, scores.recall, scores.f1) == (None, None, None)
    false = score_localization([[[3.0, 4.0, 0.9]]] * 2, [[], []], radius_px=30, threshold=0.5, cases=['a', 'b'])
    assert (false.tp, false.fp, false.fn) == (0, 2, 0)
    assert (false.precision, false.recall, false.f1, false.f1_ci95) == (None, None, None, None)


def test_a_figure_that_is_missed_scores_zero():
    scores = score_localization([[]], [[[5.0, 5.0]]], radius_px=30, threshold=0.5)
    assert (scores.precision, scores.recall, scores.f1) == (0.0, 0.0, 0.0)


def test_one_radius_an_image():
    points, truths = [[[0.0, 0.0, 1.0]]] * 2, [[[10.0, 0.0]]] * 2
    scores = score_localization(points, truths, radius_px=[10.0, 9.0], threshold=0.5)
    assert (scores.tp, scores.fp, scores.fn) == (1, 1, 1)


def test_to_dict_is_plain_json():
    scores = score_localization(POINTS, TRUTHS, radius_px=30, threshold=0.5, cases=['a', 'b', 'c'])
    assert json.loads(json.dumps(scores.to_dict())) == scores.to_dict()
    assert isinstance(scores.to_dict()['f1_ci95'], list)


COUNTS = np.array([[3, 1, 0], [0, 2, 5], [4, 0, 1], [1, 1, 1], [0, 0, 0]])
CASES = ['b', 'a', 'b', 'c', 'd']


def test_interval_equals_drawing_whole_cases():
    low, high = bootstrap_f1_ci95(COUNTS, CASES, num_bootstrap=300, seed=7)
    weights = np.random.default_rng(7).multinomial(4, [0.25] * 4, size=300)
    f1 = []
    for draw in weights.tolist():
        drawn = [row for name, times in zip('abcd', draw) for row in COUNTS[np.array(CASES) == name].tolist() * times]
        tp, fp, fn = np.sum(drawn, axis=0)
        f1.append(2 * tp / (2 * tp + fp + fn) if 2 * tp + fp + fn else 0.0)
    assert (low, high) == pytest.approx(tuple(np.percentile(f1, [2.5, 97.5])))
    assert low < high


def test_interval_covers_the_estimate_and_follows_the_seed():
    counts = np.random.default_rng(0).integers(0, 20, (30, 3))
    cases = [f'case {index % 15}' for index in range(30)]
    first = scores_from_counts(counts, protocol='one_to_one', cases=cases, seed=1)
    assert first.f1_ci95[0] < first.f1 < first.f1_ci95[1]
    assert scores_from_counts(counts, protocol='one_to_one', cases=cases, seed=1) == first
    assert scores_from_counts(counts, protocol='one_to_one', cases=cases, seed=2) != first


@pytest.mark.parametrize('cases', [None, ['a'] * 5])
def test_interval_is_not_available(cases):
    assert scores_from_counts(COUNTS, protocol='one_to_one', cases=cases).f1_ci95 is None


def test_refuses_too_few_cases():
    with pytest.raises(ValueError, match='a case for each of 5 images, found 2'):
        scores_from_counts(COUNTS, protocol='one_to_one', cases=['a', 'b'])


@pytest.mark.parametrize('points', [[[1.0, 2.0]], [[1.0, 2.0, np.nan]]])
def test_refuses_points_without_a_score(points):
    with pytest.raises(ValueError, match='points: expected'):
        score_localization([points], [[]], radius_px=30, threshold=0.5)


def scene(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    generator = np.random.default_rng(seed)
    points = [
        np.column_stack([generator.random((size, 2)) * 150, generator.integers(0, 12, size) / 12])
        for size in (20, 0, 35, 5)
    ]
    return points, [generator.random((size, 2)) * 150 for size in (12, 3, 20, 0)]


def greedy_counts(points: list[np.ndarray], truths: list[np.ndarray], threshold: float) -> tuple[int, int]:
    tp = fp = 0
    for predicted, truth in zip(points, truths):
        free = list(range(len(truth)))
        for x, y, score in predicted[np.argsort(-predicted[:, 2], kind='stable')].tolist():
            if score <= threshold:
                continue
            near = [(np.hypot(x - truth[i, 0], y - truth[i, 1]), i) for i in free]
            if near and min(near)[0] <= 30:
                free.remove(min(near)[1])
                tp += 1
            else:
                fp += 1
    return tp, fp


def test_froc_equals_matching_at_each_threshold():
    points, truths = scene(0)
    curve = froc_curve(points, truths, radius_px=30)
    assert len(curve.thresholds) == len(np.unique(np.concatenate(points)[:, 2])) + 1
    assert (np.diff(curve.thresholds) < 0).all()
    for index, threshold in enumerate(curve.thresholds.tolist()):
        tp, fp = greedy_counts(points, truths, threshold)
        assert curve.sensitivity[index] == pytest.approx(tp / 35)
        assert curve.fp_per_image[index] == pytest.approx(fp / 4)
        assert curve.precision[index] == pytest.approx(tp / (tp + fp) if tp + fp else 0.0)


def test_froc_without_predictions_is_one_point():
    curve = froc_curve([[], []], [[[1.0, 1.0]], []], radius_px=30)
    assert curve.sensitivity.tolist() == [0.0]
    assert curve.fp_per_image.tolist() == [0.0]


def test_sensitivity_is_interpolated_and_ends_flat():
    # One image: hit, miss, hit, miss in descending score; sensitivities 1/2 at 0 and 1 false positives, then 1.
    points = [[[0.0, 0.0, 0.9], [500.0, 0.0, 0.8], [100.0, 0.0, 0.7], [600.0, 0.0, 0.6]]]
    curve = froc_curve(points, [[[0.0, 0.0], [100.0, 0.0]]], radius_px=30)
    assert curve.sensitivity.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert curve.fp_per_image.tolist() == [0.0, 0.0, 1.0, 1.0, 2.0]
    assert sensitivity_at(curve, [0, 0.5, 1, 8]).tolist() == [0.5, 0.75, 1.0, 1.0]
    assert average_sensitivity(curve, [0, 0.5, 1, 8]) == pytest.approx(3.25 / 4)


def test_froc_with_ignored_points_equals_the_curve_without_the_excused_predictions():
    ignored = [np.array([[92.0, 90.0], [12.0, 10.0]]), np.zeros((0, 2)), np.zeros((0, 2))]
    found = froc_curve(POINTS, TRUTHS, radius_px=30, ignored=ignored)
    expected = froc_curve([POINTS[0][:1], *POINTS[1:]], TRUTHS, radius_px=30)
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)
    scores = score_localization(POINTS, TRUTHS, radius_px=30, threshold=0.1, ignored=ignored)
    assert (scores.tp, scores.fp, scores.fn) == (1, 1, 1)
