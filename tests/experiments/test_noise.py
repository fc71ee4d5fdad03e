from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import auc, roc_curve

from mitouts.errors import MitoutsError
from mitouts.experiments.noise import detect_noise, read_samples, score_distillation
from mitouts.experiments.rows import parse_row, runs_of
from mitouts.experiments.suite_results import read_suite
from mitouts.utils.files import file_sha256


def area(noise: list[bool], scores: list[float]) -> float:
    """By sklearn's curve and the trapezoid rule."""
    false_rate, true_rate, _ = roc_curve(noise, scores)
    return float(auc(false_rate, true_rate))


def sample(verdict: str, distance_px: float, **more) -> dict:
    return {'image_id': 1, 'label': 1, 'verdict': verdict, 'distance_px': distance_px, **more}


def test_areas_against_sklearns_curve() -> None:
    generator = np.random.default_rng(0)
    noise = (generator.random(60) < 0.3).tolist()
    # Whole pixels, so that there are ties.
    distances = (generator.integers(0, 20, 60) + 8 * np.array(noise)).astype(float).tolist()
    soft, scores = generator.random(60).tolist(), generator.random(60).tolist()
    samples = [
        sample('keep' if d < 15 else 'drop', d, disagreement=s, score=p) for d, s, p in zip(distances, soft, scores)
    ]
    found = detect_noise(samples, noise)
    assert found.auc_distance == pytest.approx(area(noise, distances))
    assert found.auc_disagreement == pytest.approx(area(noise, soft))
    assert found.auc_score == pytest.approx(1 - area(noise, scores))


def test_images_that_were_not_compared_have_no_distance() -> None:
    samples = [sample('drop', 9.0, score=0.5), sample('keep', 2.0, score=0.9), sample('keep', 0.0, score=0.6)]
    samples[2]['distance_px'] = None
    found = detect_noise(samples, [True, False, True])
    assert (found.auc_distance, found.auc_score) == (1.0, 1.0)
    samples[0]['distance_px'] = None
    assert detect_noise(samples, [True, False, True]).auc_distance is None


def test_shares_by_hand() -> None:
    verdicts = [('drop', True), ('drop', True), ('keep', True), ('drop', False), ('keep', False), ('keep', False)]
    found = detect_noise([sample(verdict, 1.0) for verdict, _ in verdicts], [noise for _, noise in verdicts])
    assert (found.dropped, found.noise_dropped, found.clean_kept) == (0.5, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (found.noise_weight, found.clean_weight) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_weights_of_samples_that_are_kept_softly() -> None:
    found = detect_noise([sample('keep', 1.0, weight=0.25), sample('keep', 1.0, weight=0.75)], [True, False])
    assert (found.noise_dropped, found.noise_weight, found.clean_weight) == (0.0, 0.25, 0.75)


def test_a_step_that_looked_at_no_prediction_has_no_area() -> None:
    found = detect_noise([sample('drop', 0.0), sample('keep', 0.0)], [True, False])
    assert (found.noise_dropped, found.auc_distance, found.auc_score) == (1.0, None, None)


@pytest.mark.parametrize('noise', [None, [False, False]])
def test_without_known_noise_only_the_dropped_share_is_known(noise: list[bool] | None) -> None:
    found = detect_noise([sample('drop', 9.0, score=0.1), sample('keep', 0.0, score=0.9)], noise)
    assert (found.dropped, found.noise_dropped, found.clean_kept, found.auc_distance) == (0.5, None, None, None)


def test_mean_and_sd_over_the_runs_of_a_suite(suite_folder: Path) -> None:
    suite = read_suite(suite_folder)
    found = score_distillation(runs_of(suite, parse_row('noise30/distill')))
    summaries = [run.distillations['distill'] for run in suite.of_group('noise30') if run.is_done]
    shares = [summary['clean_kept'] / summary['clean_total'] for summary in summaries]
    assert found.over_runs['clean_kept'] == (pytest.approx(np.mean(shares)), pytest.approx(np.std(shares, ddof=1)))
    assert 0.5 < found.over_runs['auc_distance'].mean <= 1
    assert score_distillation(runs_of(suite, parse_row('noise00/distill'))).over_runs['noise_dropped'] is None


def write_hard_samples(folder: Path, sha256: str | None) -> Path:
    images = [sample('drop', 50.0) | {'image_id': 1}, sample('keep', 0.0) | {'image_id': 2}]
    images.append(sample('keep', 0.0) | {'image_id': 3, 'label': 0})
    info = {'distilled_from': 'train.json', 'image_root': '../data', 'source_sha256': sha256}
    (folder / 'distill').mkdir()
    (folder / 'distill' / 'hard_samples.json').write_text(json.dumps({'info': info, 'images': images}))
    return folder / 'distill'


def test_noise_is_looked_up_in_the_file_that_was_distilled(tmp_path: Path) -> None:
    source = tmp_path / 'data' / 'train.json'
    source.parent.mkdir()
    source.write_text(json.dumps({'images': [{'id': 1, 'is_noise': True}, {'id': 2}, {'id': 3}]}))
    samples, noise = read_samples(write_hard_samples(tmp_path, file_sha256(source)))
    assert [each['image_id'] for each in samples] == [1, 2]
    assert noise == [True, False]
    source.write_text(source.read_text() + ' ')
    assert read_samples(tmp_path / 'distill')[1] is None


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / 'hard_samples.json').write_text('[]')
    with pytest.raises(MitoutsError, match=r"hard_samples\.json: expected a JSON object with a list 'images'"):
        read_samples(tmp_path)
