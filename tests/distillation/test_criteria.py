from __future__ import annotations

import math

import pytest

from mitouts.errors import ConfigError
from mitouts.registry import CRITERIA

IMAGE = {'id': 1, 'file_name': 'a.png', 'width': 300, 'height': 400}
TEACHER_SAYS_YES = {'score': 0.8, 'image_threshold': 0.5}
TEACHER_SAYS_NO = {'score': 0.5, 'image_threshold': 0.5}


def build(name: str, **arguments):
    return CRITERIA.build({'type': name, **arguments})


def test_defaults_are_the_paper():
    criterion = build('CentroidDisagreement')
    settings = criterion.radius_px, criterion.policy, criterion.drop_image_errors, criterion.threshold_from
    assert settings == (30.0, 'any_true', False, 'val')


@pytest.mark.parametrize(('x', 'keep'), [(130.0, True), (130.5, False)])
def test_positive_is_judged_by_distance(x, keep):
    verdict = build('CentroidDisagreement').judge(IMAGE, [[x, 100.0]], [[100.0, 100.0]], **TEACHER_SAYS_YES)
    assert (verdict.keep, verdict.distance_px) == (keep, x - 100.0)


def test_radius_and_policy_reach_the_verdict():
    predicted, annotated = [[110.0, 100.0], [200.0, 100.0]], [[100.0, 100.0]]
    verdicts = {
        arguments: build('CentroidDisagreement', **dict(arguments)).judge(
            IMAGE, predicted, annotated, **TEACHER_SAYS_YES
        )
        for arguments in ((('radius_px', 9.0),), (('policy', 'no_false'),), (('policy', 'perfect'),), ())
    }
    assert [verdict.keep for verdict in verdicts.values()] == [False, False, False, True]


def test_no_prediction_is_as_far_as_the_diagonal():
    verdict = build('CentroidDisagreement').judge(IMAGE, [], [[100.0, 100.0]], **TEACHER_SAYS_NO)
    assert (verdict.keep, verdict.reason, verdict.distance_px) == (False, 'no_prediction', 500.0)


def test_label_is_that_of_the_image_where_it_has_one():
    criterion = build('CentroidDisagreement')
    assert criterion.judge(IMAGE, [], [], **TEACHER_SAYS_NO).reason == 'negative'
    assert criterion.judge({**IMAGE, 'label': 1}, [], [], **TEACHER_SAYS_NO).reason == 'no_annotation'
    assert criterion.judge({**IMAGE, 'label': 0}, [], [[1.0, 1.0]], **TEACHER_SAYS_NO).reason == 'negative'
    assert criterion.judge({**IMAGE, 'label': None}, [], [[1.0, 1.0]], **TEACHER_SAYS_NO).reason == 'no_prediction'


def test_image_errors_need_a_score_above_the_threshold():
    criterion = build('CentroidDisagreement', drop_image_errors=True)
    assert criterion.judge(IMAGE, [], [], **TEACHER_SAYS_YES).reason == 'image_error'
    assert criterion.judge(IMAGE, [], [], **TEACHER_SAYS_NO).reason == 'negative'


def test_pseudo_label_keeps_all_and_takes_the_teachers_word():
    criterion = build('PseudoLabel')
    yes = criterion.judge({**IMAGE, 'label': 0}, [[10.0, 10.0]], [], **TEACHER_SAYS_YES)
    no = criterion.judge(IMAGE, [[10.0, 10.0]], [[13.0, 14.0]], **TEACHER_SAYS_NO)
    assert (yes.keep, yes.new_label, yes.reason, yes.distance_px) == (True, 1, 'pseudo_label', 500.0)
    assert (no.keep, no.new_label, no.distance_px) == (True, 0, 5.0)


@pytest.mark.parametrize(
    ('predicted', 'weight'),
    [
        ([[100.0, 100.0]], 1 / (1 + math.exp(-3))),
        ([[130.0, 100.0]], 0.5),
        ([[140.0, 100.0], [250.0, 390.0]], 1 / (1 + math.exp(1))),
        ([], 1 / (1 + math.exp(47))),
    ],
)
def test_soft_verdicts_keep_positives_with_a_weight(predicted, weight):
    verdict = build('SoftDisagreement').judge(IMAGE, predicted, [[100.0, 100.0]], **TEACHER_SAYS_NO)
    hard = build('CentroidDisagreement').judge(IMAGE, predicted, [[100.0, 100.0]], **TEACHER_SAYS_NO)
    assert verdict.keep
    assert verdict.weight == pytest.approx(weight, rel=1e-12)
    assert (verdict.reason, verdict.distance_px) == (hard.reason, hard.distance_px)
    assert hard.weight == 1.0


def test_soft_verdicts_leave_alone_what_has_nothing_to_compare():
    criterion = build('SoftDisagreement')
    for image, annotated in ((IMAGE, []), ({**IMAGE, 'label': 1}, []), ({**IMAGE, 'label': 0}, [[1.0, 1.0]])):
        verdict = criterion.judge(image, [[300.0, 390.0]], annotated, **TEACHER_SAYS_YES)
        assert (verdict.keep, verdict.weight) == (True, 1.0)


def test_hard_soft_verdicts_are_the_policy_any_true():
    soft, hard = build('SoftDisagreement', softness_px=1e-6), build('CentroidDisagreement')
    for x in (110.0, 129.0, 131.0, 250.0):
        arguments = IMAGE, [[x, 100.0]], [[100.0, 100.0]]
        keep = hard.judge(*arguments, **TEACHER_SAYS_YES).keep
        assert soft.judge(*arguments, **TEACHER_SAYS_YES).weight == float(keep)


@pytest.mark.parametrize(
    ('name', 'arguments', 'message'),
    [
        ('CentroidDisagreement', {'policy': 'some'}, "unknown policy 'some'; known are any_true, no_false, perfect"),
        ('CentroidDisagreement', {'threshold_from': 'test'}, "unknown threshold_from 'test'; known are val, train"),
        ('PseudoLabel', {'threshold_from': 'test'}, "unknown threshold_from 'test'; known are val, train"),
        ('SoftDisagreement', {'threshold_from': 'test'}, "unknown threshold_from 'test'; known are val, train"),
        ('SoftDisagreement', {'softness_px': 0.0}, 'softness_px must be positive, found 0'),
        ('SoftDisagreement', {'softness_px': math.nan}, 'softness_px must be positive, found nan'),
        ('SoftDisagreement', {'radius_px': -1.0}, 'radius_px must be positive, found -1'),
        ('CentroidDisagreement', {'radius_px': 0.0}, 'radius_px must be positive, found 0'),
        ('CentroidDisagreement', {'radius_px': math.inf}, 'radius_px must be positive, found inf'),
    ],
)
def test_refuses(name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        build(name, **arguments)
