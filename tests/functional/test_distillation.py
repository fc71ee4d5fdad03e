from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.functional.distillation import judge_sample, soft_weight

DIAGONAL_PX = 500.0
FIGURE = [100.0, 100.0]
OTHER_FIGURE = [300.0, 100.0]
NEAR = [118.0, 124.0]
FAR = [400.0, 400.0]


def judge(predicted, annotated, *, label=1, predicted_label=1, **arguments):
    return judge_sample(
        predicted, annotated, label=label, predicted_label=predicted_label, diagonal_px=DIAGONAL_PX, **arguments
    )


@pytest.mark.parametrize(
    ('predicted', 'annotated', 'any_true', 'no_false', 'perfect'),
    [
        ([NEAR], [FIGURE], 'agreement', 'agreement', 'agreement'),
        ([FAR], [FIGURE], '-no_true_prediction', '-false_prediction', '-false_prediction'),
        ([NEAR, FAR], [FIGURE], 'agreement', '-false_prediction', '-false_prediction'),
        ([NEAR, FIGURE], [FIGURE], 'agreement', 'agreement', 'agreement'),
        ([NEAR], [FIGURE, OTHER_FIGURE], 'agreement', 'agreement', '-missed_annotation'),
        ([NEAR, OTHER_FIGURE], [FIGURE, OTHER_FIGURE], 'agreement', 'agreement', 'agreement'),
        ([], [FIGURE], '-no_prediction', 'no_prediction', '-no_prediction'),
        ([NEAR], [], 'no_annotation', 'no_annotation', 'no_annotation'),
        ([], [], 'no_annotation', 'no_annotation', 'no_annotation'),
    ],
)
def test_policies_on_positives(predicted, annotated, any_true, no_false, perfect):
    for policy, expected in (('any_true', any_true), ('no_false', no_false), ('perfect', perfect)):
        verdict = judge(predicted, annotated, policy=policy)
        assert (verdict.keep, verdict.reason) == (not expected.startswith('-'), expected.lstrip('-')), policy
        assert verdict.new_label is None


def test_radius_is_inclusive():
    assert judge([NEAR], [FIGURE], radius_px=30.0).keep
    assert not judge([NEAR], [FIGURE], radius_px=np.nextafter(30.0, 0)).keep


def test_distance_is_the_least_of_all_pairs_or_the_diagonal():
    assert judge([FAR, NEAR], [OTHER_FIGURE, FIGURE]).distance_px == 30.0
    assert judge([], [FIGURE]).distance_px == DIAGONAL_PX
    assert judge([NEAR], []).distance_px == DIAGONAL_PX
    assert judge([NEAR], [], label=0).distance_px == DIAGONAL_PX


@pytest.mark.parametrize('policy', ['any_true', 'no_false', 'perfect'])
@pytest.mark.parametrize('predicted_label', [0, 1])
def test_negatives_are_kept(policy, predicted_label):
    verdict = judge([FAR], [], label=0, predicted_label=predicted_label, policy=policy)
    assert (verdict.keep, verdict.reason) == (True, 'negative')


@pytest.mark.parametrize('annotated', [[FIGURE], []])
@pytest.mark.parametrize('label', [0, 1])
def test_image_errors_are_dropped_first(label, annotated):
    wrong = judge([NEAR], annotated, label=label, predicted_label=1 - label, drop_image_errors=True)
    assert (wrong.keep, wrong.reason) == (False, 'image_error')
    assert judge([NEAR], annotated, label=label, predicted_label=label, drop_image_errors=True).keep


def test_without_drop_image_errors_only_the_points_count():
    assert judge([NEAR], [FIGURE], label=1, predicted_label=0).reason == 'agreement'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'policy': 'some_true'}, "unknown policy 'some_true'; known are any_true, no_false, perfect"),
        ({'label': 2}, 'label must be 0 or 1, found 2'),
        ({'predicted_label': -1}, 'predicted_label must be 0 or 1, found -1'),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        judge([NEAR], [FIGURE], **arguments)


def test_refuses_points_with_a_score():
    with pytest.raises(ValueError, match=r'predicted_xy: expected an array of shape \(N, 2\)'):
        judge([[1.0, 2.0, 0.5]], [FIGURE])


@given(distance_px=st.floats(0, 200), radius_px=st.floats(1, 60), softness_px=st.floats(1, 30))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_soft_weight_is_the_logistic_of_the_distance(distance_px, radius_px, softness_px):
    expected = 1 / (1 + math.exp((distance_px - radius_px) / softness_px))
    assert soft_weight(distance_px, radius_px=radius_px, softness_px=softness_px) == pytest.approx(expected, rel=1e-9)


def test_soft_weight_is_one_half_at_the_radius_and_a_step_when_it_is_hard():
    assert soft_weight(30.0, radius_px=30.0, softness_px=10.0) == 0.5
    assert soft_weight(20.0, radius_px=30.0, softness_px=10.0) == pytest.approx(0.7310586, abs=1e-7)
    # Far beyond what a float's exponent holds, without a warning.
    assert soft_weight(29.9, radius_px=30.0, softness_px=1e-4) == 1.0
    assert soft_weight(500.0, radius_px=30.0, softness_px=1e-4) == 0.0
