"""Thresholds against a brute-force search that labels components with scipy and matches points by assignment."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_points import POINT_MODEL
from image_records import evaluated
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from tiny_experiment import write_split
from untrained import make_model

from mitouts.calibration.drawing import too_few
from mitouts.calibration.images import (
    LocalizationCurve,
    ThresholdSettings,
    bootstrap_interval,
    calibrate_images,
    calibrated_checkpoint,
    candidate_thresholds,
    middle_of_best,
    score_images,
)
from mitouts.errors import AnnotationError, ConfigError
from mitouts.evaluation.predicting import predict_dataset
from mitouts.functional.geometry import upsample_map
from mitouts.registry import DATASETS, MODELS, UnknownComponentError
from mitouts.structures import EvaluatedImage

CALIBRATION = {
    'image_threshold': 0.5,
    'map_threshold': 0.5,
    'drift_px': [3.0, -2.0],
    'min_area_px': 1,
    'centroid': 'geometric',
    'mpp': 0.25,
}
SIDE = 64


class Geometry4:
    """A localizer's geometry without a localizer."""

    def __init__(self) -> None:
        self.geometry = make_model().geometry


@pytest.fixture(scope='module')
def network() -> Geometry4:
    return Geometry4()


def draw_records(count: int, seed: int) -> tuple[list[EvaluatedImage], dict[int, np.ndarray]]:
    """Images with one or no figure, and maps with a bump near it and bumps elsewhere."""
    rng = np.random.default_rng(seed)
    records, maps = [], {}
    for number in range(1, count + 1):
        label = number % 2
        score_map = rng.uniform(0, 0.6, (4, 4)).astype(np.float32)
        truth = rng.uniform(8, SIDE - 8, (label, 2))
        for x, y in truth:
            score_map[min(int(y) // 16, 3), min(int(x) // 16, 3)] = rng.uniform(0.4, 1)
        maps[number] = score_map
        records.append(
            evaluated(
                number, truth, [], case_id=f'case {number % 3}', width=SIDE, height=SIDE, score=float(score_map.max())
            )
        )
    return records, maps


def brute_force_f1(records, maps, geometry, threshold, radius, weights) -> float:
    tp = fp = fn = 0.0
    for record, weight in zip(records, weights):
        full = upsample_map(maps[record.truth.image_id], SIDE, SIDE, geometry).astype(np.float64)
        labels, count = ndimage.label(full > threshold, structure=np.ones((3, 3)))
        centres = [np.argwhere(labels == k + 1).mean(axis=0)[::-1] for k in range(count)]
        points = np.clip(np.array(centres).reshape(-1, 2) - CALIBRATION['drift_px'], 0, SIDE - 1)
        near = np.hypot(*(points[:, None] - record.truth.points[None]).transpose(2, 0, 1)) <= radius
        hits = near[linear_sum_assignment(-near.astype(float))].sum()
        tp, fp, fn = tp + weight * hits, fp + weight * (count - hits), fn + weight * (len(record.truth.points) - hits)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0


@pytest.mark.parametrize('prevalence', [None, 0.1])
@pytest.mark.parametrize('seed', [0, 1])
def test_localization_threshold_is_the_best_of_a_brute_force_search(network, seed, prevalence) -> None:
    records, maps = draw_records(8, seed)
    settings = ThresholdSettings(objective='localization', radius_px=16.0, prevalence=prevalence)
    curve = LocalizationCurve.of(records, maps, network, CALIBRATION, settings)
    weights = np.ones(8) if prevalence is None else np.where(np.arange(8) % 2 == 0, 0.1 / 4, 0.9 / 4)
    expected = [
        brute_force_f1(records, maps, network.geometry, threshold, 16.0, weights) for threshold in curve.thresholds
    ]
    np.testing.assert_allclose(curve.f1(np.arange(8)), expected)
    assert len(set(np.round(expected, 6))) > 3
    chosen = curve.choose(np.arange(8))
    assert brute_force_f1(records, maps, network.geometry, chosen, 16.0, weights) == pytest.approx(max(expected))


def test_a_positive_image_without_points_does_not_count(network) -> None:
    records, maps = draw_records(4, 0)
    bare = [
        evaluated(1, [], [], label=1, width=SIDE, height=SIDE),
        *records[1:],
    ]
    settings = ThresholdSettings(objective='localization')
    with_it = LocalizationCurve.of(bare, maps, network, CALIBRATION, settings)
    without = LocalizationCurve.of(bare[1:], maps, network, CALIBRATION, settings)
    at = np.isin(with_it.thresholds, without.thresholds)
    assert at.sum() > 2
    matching = np.searchsorted(without.thresholds, with_it.thresholds[at])
    np.testing.assert_array_equal(with_it.f1(np.arange(4))[at], without.f1(np.arange(3))[matching])


def test_candidates_separate_all_scores_and_are_thinned_at_both_ends() -> None:
    np.testing.assert_allclose(candidate_thresholds([0.2, 0.6, 0.2, 0.4]), [0.3, 0.5, 0.8])
    scores = np.random.default_rng(0).uniform(0, 1, 5000) ** 6
    thinned = candidate_thresholds(scores, most=40)
    assert 30 <= len(thinned) <= 40
    assert np.isin(thinned, candidate_thresholds(scores, most=10_000)).all()
    assert np.count_nonzero(thinned < np.quantile(scores, 0.5)) >= 8
    assert np.count_nonzero(thinned > 0.5) >= 8
    with pytest.raises(AnnotationError, match='nothing was found'):
        candidate_thresholds([])


def test_the_middle_of_the_widest_run_is_taken() -> None:
    thresholds = np.array([0.1, 0.2, 0.4, 0.5, 0.8, 0.9])
    assert middle_of_best(thresholds, np.array([1, 1, 0, 1, 1, 0.5])) in (0.5, 0.8)
    assert middle_of_best(thresholds, np.array([0, 1, 1, 1, 1, 0.5])) == 0.5
    assert middle_of_best(thresholds, np.array([0, 0, 2, 0, 0, 1])) == 0.4


def test_interval_is_over_cases_and_knows_when_there_is_none() -> None:
    values = np.arange(6.0)
    settings = ThresholdSettings(num_bootstrap=200)
    spread = bootstrap_interval(lambda chosen: values[chosen].mean(), ['a', 'a', 'a', 'b', 'b', 'b'], settings)
    assert spread == (1.0, 4.0)
    assert bootstrap_interval(lambda chosen: 1.0, ['a'] * 6, settings) is None
    assert bootstrap_interval(lambda chosen: 1.0, list('abcdef'), ThresholdSettings(num_bootstrap=0)) is None

    def mostly_fails(chosen: np.ndarray) -> float:
        if len(set(chosen)) < 6:
            raise ValueError('one class')
        return 1.0

    assert bootstrap_interval(mostly_fails, list('abcdef'), settings) is None


def test_too_few_images_are_named() -> None:
    assert too_few([1, 0] * 10, list('ab') * 10) == []
    notes = too_few([1] * 3 + [0] * 20, ['a'] * 23)
    assert len(notes) == 2
    assert 'only 3 positive images' in notes[0]
    assert 'one case' in notes[1]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'selector': 'fixed'}, 'fixed takes image_threshold, map_threshold or both'),
        ({'map_threshold': 0.4}, 'the others take none'),
        ({'selector': 'youden', 'prevalence': 0.1}, 'not that of youden'),
        ({'selector': 'youden', 'objective': 'localization'}, 'goes with the selector max_f1'),
    ],
)
def test_settings_that_contradict_each_other_are_refused(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        ThresholdSettings(**options)


def test_a_selector_that_does_not_exist_is_told_before_anything_is_predicted() -> None:
    with pytest.raises(UnknownComponentError, match=r"'MaxF2Threshold' is not in .* Did you mean 'MaxF1Threshold'"):
        ThresholdSettings(selector='MaxF2Threshold')


@pytest.fixture(scope='module')
def predicted(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp('images')
    write_split(folder, 'new', 12, 0)
    model = make_model()
    model.calibration = dict(CALIBRATION)
    pipeline = [dict(type='LoadImage'), dict(type='PackPointSample')]
    dataset = DATASETS.build(dict(type='PointDataset', ann_file=str(folder / 'new.json'), pipeline=pipeline))
    return model, dataset, list(predict_dataset(model, dataset))


def brute_force_separation(scores: list[float], labels: list[int], threshold: float) -> float:
    tp = sum(s > threshold and y for s, y in zip(scores, labels))
    return 2 * tp / (sum(s > threshold for s in scores) + sum(labels))


@pytest.mark.parametrize('objective', ['image', 'localization'])
def test_image_threshold_has_the_largest_f1_of_all_cuts(predicted, objective) -> None:
    model, dataset, samples = predicted
    result = calibrate_images(
        model, dataset, samples, ThresholdSettings(objective=objective, radius_px=12, num_bootstrap=20)
    )
    scores, labels = [sample.pred_score for sample in samples], [sample.gt_label for sample in samples]
    best = max(brute_force_separation(scores, labels, cut) for cut in [0.0, *scores])
    found = result.calibration['image_threshold']
    assert brute_force_separation(scores, labels, found) == pytest.approx(best)
    assert result.results['image']['f1'] == pytest.approx(best)
    assert result.calibration['mpp'] == 0.25
    low, high = result.intervals['image_threshold']
    assert 0 <= low <= high <= 1


def test_localization_objective_localizes_at_least_as_well(predicted) -> None:
    model, dataset, samples = predicted
    plain, points = (
        calibrate_images(model, dataset, samples, ThresholdSettings(objective=each, radius_px=12, num_bootstrap=0))
        for each in ('image', 'localization')
    )
    assert points.results['one_to_one']['f1'] >= plain.results['one_to_one']['f1']
    assert points.calibration['image_threshold'] == plain.calibration['image_threshold']


def test_where_no_drift_can_be_measured_the_models_own_is_kept(predicted, monkeypatch) -> None:
    model, dataset, samples = predicted
    for measured, expected in (((0.0, 0.0), [3.0, -2.0]), ((1.5, 0.5), [1.5, 0.5])):
        monkeypatch.setattr('mitouts.calibration.images.measure_drift', lambda *_, m=measured, **__: m)
        result = calibrate_images(model, dataset, samples, ThresholdSettings(num_bootstrap=0))
        assert result.calibration['drift_px'] == expected


def test_fixed_thresholds_are_taken_and_the_other_one_kept(predicted) -> None:
    model, dataset, samples = predicted
    result = calibrate_images(model, dataset, samples, ThresholdSettings(selector='fixed', map_threshold=0.3))
    assert (result.calibration['image_threshold'], result.calibration['map_threshold']) == (0.5, 0.3)
    assert result.intervals == {'image_threshold': None, 'map_threshold': None}
    again = score_images(model, samples, result.calibration)
    assert again['one_to_one'] == result.results['one_to_one']


def test_the_copy_keeps_the_weights_and_says_where_its_thresholds_come_from(tmp_path: Path) -> None:
    model = make_model()
    meta = {'mitouts': dict(CALIBRATION), 'cfg': json.dumps({}), 'experiment_name': 'secret'}
    checkpoint = {'meta': meta, 'state_dict': dict(model.state_dict()), 'optimizer': {}}
    new = {**CALIBRATION, 'map_threshold': 0.7}
    copy = calibrated_checkpoint(checkpoint, 'a.pth', new, {'ann_file': 'new.json', 'k': np.int64(3)})
    assert set(copy) == {'meta', 'state_dict'}
    assert all(torch.equal(copy['state_dict'][key], value) for key, value in model.state_dict().items())
    record = copy['meta']['mitouts']['calibrated']
    assert copy['meta']['mitouts']['map_threshold'] == 0.7
    assert record['old'] == {'image_threshold': 0.5, 'map_threshold': 0.5, 'drift_px': [3.0, -2.0]}
    assert record['k'] == 3
    assert type(record['k']) is int
    twice = calibrated_checkpoint(copy, 'b.pth', CALIBRATION, {'ann_file': 'newer.json'})
    assert twice['meta']['mitouts']['calibrated']['earlier'] == record


def test_of_an_adapted_model_only_the_statistics_are_taken() -> None:
    model = make_model()
    checkpoint = {'meta': {'mitouts': dict(CALIBRATION)}, 'state_dict': dict(model.state_dict())}
    other = {key: value + 1 for key, value in model.state_dict().items()}
    state = calibrated_checkpoint(checkpoint, 'a.pth', CALIBRATION, {}, other)['state_dict']
    for key, value in model.state_dict().items():
        is_statistic = key.endswith(('running_mean', 'running_var'))
        assert torch.equal(state[key], other[key] if is_statistic else value), key


def test_the_localization_objective_needs_a_map() -> None:
    model = MODELS.build(POINT_MODEL)
    with pytest.raises(ConfigError, match="'localization' needs a score map, and a FakePointModel has none"):
        calibrate_images(model, [], [], ThresholdSettings(objective='localization'))
