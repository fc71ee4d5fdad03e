from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_records import predicted

from mitouts.errors import AnnotationError
from mitouts.formats.predictions import (
    Predictions,
    from_dict,
    map_threshold_of,
    read_predictions,
    to_dict,
    write_predictions,
)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / 'deep' / 'predictions.json'
    points = np.array([[1.25, 2.5, 1 / 3], [0.1, 1e-7, 0.9]])
    predictions = [predicted(7, np.float32(0.5), points, map_max=0.9), predicted(np.int64(2), 0, [])]
    write_predictions(path, predictions, {'checkpoint': 'a.pth'})
    read = read_predictions(path)
    assert read.info == {'checkpoint': 'a.pth'}
    assert {key: image.score for key, image in read.images.items()} == {7: 0.5, 2: 0.0}
    assert read.images[7].points.tolist() == points.tolist()
    assert read.images[2].points.shape == (0, 3)
    assert json.loads(path.read_text())['images'][1] == {'image_id': 2, 'score': 0.0, 'points': []}
    assert read.images[7].curve_points.tolist() == points.tolist()


def test_curves_are_drawn_from_peaks_where_there_are_any(tmp_path):
    path = tmp_path / 'predictions.json'
    peaks = np.array([[1.5, 2.5, 0.9], [6.0, 2.0, 0.8]])
    predictions = [predicted(1, 0.9, [[3.5, 2.25, 0.9]], peaks=peaks), predicted(2, 0.1, [], peaks=np.zeros((0, 3)))]
    write_predictions(path, predictions, {})
    read = read_predictions(path).images
    assert read[1].points.tolist() == [[3.5, 2.25, 0.9]]
    assert read[1].curve_points.tolist() == peaks.tolist()
    assert read[2].curve_points.shape == (0, 3)


@given(
    number=st.integers(0, 10**6),
    score=st.floats(0, 1),
    points=st.lists(st.tuples(*[st.floats(-1e5, 1e5).map(lambda value: round(value, 9))] * 2, st.floats(0, 1))),
    has_peaks=st.booleans(),
    name=st.none() | st.text(min_size=1),
)
def test_an_entry_that_was_written_is_the_record_again(number, score, points, has_peaks, name):
    peaks = np.array(points[:2], dtype=float).reshape(-1, 3) if has_peaks else None
    record = predicted(number, score, points, peaks=peaks, file_name=name)
    read = from_dict(json.loads(json.dumps(to_dict(record))), 'p.json', 0)
    np.testing.assert_equal(vars(read), vars(record))


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        ('entry', r"images\[1\] must be an object, found 'entry'"),
        ({'image_id': 2, 'points': []}, r'images\[1\] lacks score'),
        ({'image_id': 1, 'score': 0.5, 'points': []}, 'image 1 occurs twice'),
        ({'image_id': '2', 'score': 0.5, 'points': []}, "image_id must be an integer, found '2'"),
        ({'image_id': 2, 'score': None, 'points': []}, 'image 2: score must be a finite number, found None'),
        ({'image_id': 2, 'score': float('nan'), 'points': []}, 'image 2: score must be a finite number, found nan'),
        ({'image_id': 2, 'score': 0.5, 'points': [[1, 2]]}, r'image 2: points .* shape \(1, 2\)'),
        ({'image_id': 2, 'score': 0.5, 'points': [[1, 2, 0.5], [3]]}, 'image 2: points .* not three numbers'),
        ({'image_id': 2, 'score': 0.5, 'points': [[1, 2, None]]}, r'image 2: point 0 is not finite: \[1.0, 2.0, nan\]'),
        ({'image_id': 2, 'score': 0.5, 'points': None}, 'image 2: points must be a list'),
        ({'image_id': 2, 'score': 0.5, 'points': [], 'peaks': [[1, 2]]}, r'image 2: peaks .* shape \(1, 2\)'),
    ],
)
def test_refuses_broken_entries(tmp_path, entry, message):
    path = tmp_path / 'predictions.json'
    entries = [{'image_id': 1, 'score': 0.5, 'points': []}, entry]
    path.write_text(json.dumps({'images': entries}))
    with pytest.raises(AnnotationError, match=message):
        read_predictions(path)


@pytest.mark.parametrize(
    ('prediction', 'message'),
    [
        (predicted(1, 0.5, []), 'image 1 occurs twice'),
        (predicted(2, float('nan'), []), 'image 2: score must be a finite number, found nan'),
        (predicted(2, 0.5, [[1, 2, float('inf')]]), 'image 2: point 0 is not finite'),
    ],
)
def test_what_makes_no_sense_is_not_written(tmp_path, prediction, message):
    with pytest.raises(AnnotationError, match=message):
        write_predictions(tmp_path / 'other.json', [predicted(1, 0.5, []), prediction], {})
    assert not (tmp_path / 'other.json').exists()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"images": [', 'not JSON'),
        ('[]', "expected predictions as a JSON object with a list 'images', found list"),
        ('{"annotations": []}', "with a list 'images', found the keys annotations"),
        ('{"images": [], "info": "x"}', "'info' must be an object"),
    ],
)
def test_refuses_other_files(tmp_path, text, message):
    path = tmp_path / 'predictions.json'
    path.write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_predictions(path)


def test_refuses_a_missing_file(tmp_path):
    with pytest.raises(AnnotationError, match='no such file'):
        read_predictions(tmp_path / 'absent.json')


@pytest.mark.parametrize('key', ['map_threshold', 'image_threshold'])
@pytest.mark.parametrize('value', ['0.5', [], True, float('nan'), 10**400])
def test_thresholds_are_numbers(tmp_path, key, value) -> None:
    path = tmp_path / 'p.json'
    path.write_text(json.dumps({'info': {key: value}, 'images': []}))
    with pytest.raises(AnnotationError, match=rf'info\.{key} must be a finite number'):
        read_predictions(path)


@pytest.mark.parametrize('entry', [{'score': 10**400}, {'points': [[1, 2, 10**400]]}])
def test_integers_beyond_every_float_are_refused(tmp_path, entry) -> None:
    path = tmp_path / 'p.json'
    path.write_text(json.dumps({'images': [{'image_id': 1, 'score': 0, 'points': [], **entry}]}))
    with pytest.raises(AnnotationError, match='image 1: '):
        read_predictions(path)


def test_places_are_written_without_the_digits_of_binary_arithmetic(tmp_path) -> None:
    points = [[255.99999999999997, 0.1 + 0.2, 0.30000000000000004]]
    write_predictions(tmp_path / 'p.json', [predicted(1, 0.5, points, peaks=np.array(points))], {})
    (image,) = json.loads((tmp_path / 'p.json').read_text())['images']
    assert image['points'] == image['peaks'] == [[256.0, 0.3, 0.30000000000000004]]


def test_the_threshold_of_a_file_or_what_gives_one() -> None:
    assert map_threshold_of('p.json', Predictions({'map_threshold': 0.25}, {}), '--score-thr') == 0.25
    with pytest.raises(AnnotationError, match=r'p\.json: info has no map_threshold: give --score-thr'):
        map_threshold_of('p.json', Predictions({}, {}), '--score-thr')
