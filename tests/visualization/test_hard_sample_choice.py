"""Which hard samples a sheet shows, and what is written under them."""

from __future__ import annotations

from pathlib import Path

from mitouts.visualization.hard_sample_choice import caption, choose_samples


def _sample(image_id: int, distance_px: float | None, **extra) -> dict:
    sample = {'image_id': image_id, 'file_name': 'a.png', 'case_id': '7', 'verdict': 'drop', 'reason': 'no_prediction'}
    return {**sample, 'score': 0.4, 'distance_px': distance_px, **extra}


def test_the_largest_disagreement_comes_first():
    samples = [
        _sample(1, 31.0),
        _sample(2, 90.0),
        _sample(3, 90.0, score=0.1),
        _sample(4, None),
        _sample(5, 99.0, verdict='keep'),
        _sample(6, 95.0, reason='no_true_prediction'),
    ]
    path = Path('hard_samples.json')
    assert [s['image_id'] for s in choose_samples(path, samples, 'drop', None)] == [6, 3, 2, 1, 4]
    assert [s['image_id'] for s in choose_samples(path, samples, 'all', 'no_prediction')] == [5, 3, 2, 1, 4]
    assert [s['image_id'] for s in choose_samples(path, samples, 'keep', None)] == [5]


def test_a_caption_tells_case_reason_score_and_distance():
    both = {'predicted_points': [[1, 2, 0.9]], 'annotated_points': [[3, 4]], 'reason': 'no_true_prediction'}
    assert caption(_sample(1, 31.4, **both), None) == ['case 7', 'no true prediction', 'score 0.40, 31 px']
    # Without a prediction the distance is the diagonal by convention, which is no distance.
    assert caption(_sample(1, 339.4), {1}) == ['case 7, noise', 'no prediction', 'score 0.40']
    assert caption(_sample(2, None, score=None), {1}) == ['case 7, clean', 'no prediction', 'no score']
