"""hard_samples.json: what is written, and what is refused, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from image_records import evaluated

from mitouts.errors import AnnotationError
from mitouts.formats.hard_samples import read_hard_samples, sample_entry
from mitouts.functional.distillation import Verdict

SAMPLE = {
    'image_id': 3, 'file_name': 'a.png', 'case_id': 'A', 'label': 1, 'verdict': 'drop', 'reason': 'no_prediction',
    'weight': 0.0, 'score': 0.25, 'distance_px': 12.5, 'is_noise': False, 'predicted_points': [[1, 2, 0.5]],
    'annotated_points': [[3, 4]],
}  # fmt: skip


def _read(folder: Path, content: Any) -> dict[str, Any]:
    path = folder / 'hard_samples.json'
    path.write_text(json.dumps(content))
    return read_hard_samples(path)


def test_what_a_distillation_writes_is_read_unchanged(tmp_path: Path) -> None:
    content = {'info': {'criterion': {'type': 'X', 'radius_px': 30}}, 'images': [SAMPLE]}
    assert _read(tmp_path, content) == content
    assert _read(tmp_path, {'info': None, 'images': []}) == {'info': {}, 'images': []}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, "expected a JSON object with a list 'images'"),
        ({'images': None}, "expected a JSON object with a list 'images'"),
        ({'info': 'text', 'images': []}, "'info' must be an object, found a str"),
        ({'info': {'criterion': 'x'}, 'images': []}, 'info.criterion must be an object'),
        ({'info': {'criterion': {'radius_px': '30'}}, 'images': []}, 'radius_px must be a number of pixels'),
        ({'info': {'image_root': 3}, 'images': []}, 'info.image_root must be text'),
        ({'images': ['x']}, r'images\[0\] must be an object'),
        ({'images': [{'image_id': 1}]}, r'images\[0\] lacks file_name, label, verdict, reason'),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        _read(tmp_path, content)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('image_id', '3', 'image_id must be an integer'),
        ('label', True, 'label must be 0 or 1'),
        ('verdict', 'maybe', 'verdict must be keep or drop'),
        ('reason', None, 'reason must be text'),
        ('is_noise', 'false', 'is_noise must be true or false'),
        ('score', float('nan'), 'score must be a finite number'),
        ('weight', '0', 'weight must be a finite number'),
        ('predicted_points', [[1, 2]], 'predicted_points: a point has 3 numbers'),
        ('annotated_points', [[1, float('inf')]], 'annotated_points: a point has 2 numbers'),
        ('annotated_points', 'x', 'annotated_points must be a list of points'),
    ],
)
def test_another_value_is_refused_by_name(tmp_path: Path, key: str, value: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=rf'images\[0\]: {message}'):
        _read(tmp_path, {'images': [{**SAMPLE, key: value}]})


IMAGE = {'id': 3, 'file_name': 'a.png', 'case_id': 'A', 'is_noise': 1}
DROP = Verdict(keep=False, reason='no_true_prediction', distance_px=50.0)


def test_an_entry_says_what_teacher_and_annotators_see(tmp_path: Path) -> None:
    record = evaluated(3, [[10, 20]], [[1 / 3, 20, 0.9]], score=0.75)
    entry = sample_entry(IMAGE, 1, DROP, record)
    assert entry == {
        'image_id': 3, 'file_name': 'a.png', 'case_id': 'A', 'label': 1, 'verdict': 'drop',
        'reason': 'no_true_prediction', 'weight': 0.0, 'is_noise': True, 'distance_px': 50.0, 'score': 0.75,
        'predicted_points': [[0.3333, 20.0, 0.9]], 'annotated_points': [[10.0, 20.0]],
    }  # fmt: skip
    assert _read(tmp_path, {'images': [entry]})['images'] == [entry]


def test_an_entry_has_no_distance_where_nothing_was_annotated_and_no_score_where_nobody_looked(tmp_path: Path) -> None:
    by_label = sample_entry(IMAGE, 1, DROP, evaluated(3, [], [], label=1))
    assert by_label['distance_px'] is None
    control = sample_entry({'id': 4, 'file_name': 'b.png', 'case_id': 7}, 0, Verdict(True, 'negative', 0.0))
    assert control == {
        'image_id': 4, 'file_name': 'b.png', 'case_id': '7', 'label': 0, 'verdict': 'keep', 'reason': 'negative',
        'weight': 1.0,
    }  # fmt: skip
    assert _read(tmp_path, {'images': [by_label, control]})['images'] == [by_label, control]
