"""What every criterion and every control promises to a distillation."""

from __future__ import annotations

import copy
import itertools
import json
import math
from typing import Any, get_args

import numpy as np
import pytest
from image_records import evaluated
from outside import names_in

from mitouts.distillation import Control, Criterion, Verdict
from mitouts.distillation.base import ThresholdSplit
from mitouts.errors import ConfigError
from mitouts.formats.hard_samples import sample_entry
from mitouts.registry import CRITERIA
from mitouts.structures import EvaluatedImage

CRITERION_NAMES = names_in(CRITERIA, Criterion, 'KeepConfident', 'CountDisagreement')
CONTROL_NAMES = names_in(CRITERIA, Control)
ARGUMENTS: dict[str, dict[str, Any]] = {'RandomDrop': dict(number=2, seed=3)}
POINTS = np.array([[10.0, 20.0], [40.0, 12.0], [300.0, 250.0]])
DIAGONAL_PX = 500.0
CASES = list(itertools.product((0, 1), range(3), range(3), (0.1, 0.5, 0.9)))


def image_of(label: int) -> dict[str, Any]:
    """An image's entry in the annotation file."""
    return {'id': 7, 'file_name': 'a.png', 'case_id': 'c', 'width': 300, 'height': 400, 'label': label}


def record_of(label: int, predicted: np.ndarray, annotated: np.ndarray, score: float) -> EvaluatedImage:
    """The image's truth beside the Teacher's prediction of it."""
    points = [[x, y, 0.9] for x, y in predicted]
    return evaluated(7, annotated, points, label=label, score=score, width=300, height=400)


def check(verdict: Verdict) -> None:
    """Check what is promised of any verdict."""
    assert isinstance(verdict, Verdict)
    assert verdict.reason.strip()
    assert 0 <= verdict.weight <= 1
    assert math.isfinite(verdict.distance_px)
    assert 0 <= verdict.distance_px <= DIAGONAL_PX
    assert verdict.new_label in (None, 0, 1)


@pytest.mark.parametrize('name', CRITERION_NAMES)
def test_a_criterion_judges_any_image_by_its_arguments_alone(bring, name: str) -> None:
    bring(name)
    criterion = CRITERIA.build_kind({'type': name, **ARGUMENTS.get(name, {})}, Criterion, Control)
    assert isinstance(criterion, Criterion)
    assert not CRITERIA.is_kind({'type': name}, Control)
    assert isinstance(criterion.compares_points, bool)
    assert criterion.threshold_from in get_args(ThresholdSplit)
    for label, predicted, annotated, score in CASES:
        # A negative image has no figures; POINTS[1:] lie elsewhere than POINTS[:2].
        truth = POINTS[1 : 1 + annotated * label]
        image, record = image_of(label), record_of(label, POINTS[:predicted], truth, score)
        kept = copy.deepcopy((image, record))
        verdict = criterion.judge(image, record, image_threshold=0.5)
        check(verdict)
        assert image == kept[0]
        np.testing.assert_array_equal(record.truth.points, kept[1].truth.points)
        np.testing.assert_array_equal(record.prediction.points, kept[1].prediction.points)
        assert criterion.judge(image, record, image_threshold=0.5) == verdict
        turned = record_of(label, POINTS[:predicted][::-1], truth[::-1], score)
        assert criterion.judge(image, turned, image_threshold=0.5) == verdict
        if not criterion.compares_points:
            unlocated = record_of(label, POINTS[:predicted], POINTS[:0], score)
            nowhere = criterion.judge(image, unlocated, image_threshold=0.5)
            assert (nowhere.keep, nowhere.reason) == (verdict.keep, verdict.reason)


@pytest.mark.parametrize('name', CRITERION_NAMES)
def test_a_verdict_becomes_an_entry_of_the_hard_samples(bring, name: str) -> None:
    bring(name)
    criterion = CRITERIA.build_kind({'type': name}, Criterion, Control)
    assert isinstance(criterion, Criterion)
    record = record_of(1, POINTS[:1], POINTS[1:], 0.9)
    verdict = criterion.judge(image_of(1), record, image_threshold=0.5)
    entry = json.loads(json.dumps(sample_entry(image_of(1), 1, verdict, record), allow_nan=False))
    assert entry['reason'] == verdict.reason
    assert entry['verdict'] == ('keep' if verdict.keep else 'drop')


@pytest.mark.parametrize('name', CONTROL_NAMES)
def test_a_control_judges_every_image_and_the_same_again(name: str) -> None:
    control = CRITERIA.build_kind({'type': name, **ARGUMENTS.get(name, {})}, Criterion, Control)
    assert isinstance(control, Control)
    assert CRITERIA.is_kind({'type': name}, Control)
    labels = {number: number % 2 for number in range(1, 11)}
    images = {number: {**image_of(label), 'id': number, 'is_noise': number == 3} for number, label in labels.items()}
    kept = copy.deepcopy(images)
    verdicts = control.judge_all(images, labels)
    assert images == kept
    assert verdicts.keys() == images.keys()
    for number, verdict in verdicts.items():
        check(verdict)
        assert verdict.keep or labels[number] == 1
    assert control.judge_all(images, labels) == verdicts


def test_what_is_neither_is_refused() -> None:
    @CRITERIA.register_module(name='_Neither')
    class Neither:
        pass

    try:
        with pytest.raises(ConfigError, match=r'Neither cannot be used as a criterion here: .* derives from mitouts\.'):
            CRITERIA.build_kind({'type': '_Neither'}, Criterion, Control)
    finally:
        del CRITERIA.module_dict['_Neither']
    assert Neither


def test_a_verdict_needs_a_reason() -> None:
    with pytest.raises(ValueError, match='needs a reason'):
        Verdict(True, ' ', 0.0)
