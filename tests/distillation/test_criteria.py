from __future__ import annotations

import math

import pytest
from image_records import evaluated

from mitouts.errors import ConfigError
from mitouts.registry import CRITERIA

YES, NO = 0.8, 0.5
"""Image scores of a Teacher whose threshold is 0.5."""


def build(name: str, **arguments):
    return CRITERIA.build({'type': name, **arguments})


def judged(criterion, predicted, annotated, score, **known):
    """The verdict on an image of 300 x 400 px."""
    points = [[x, y, 0.9] for x, y in predicted]
    record = evaluated(1, annotated, points, score=score, width=300, height=400, **known)
    return criterion.judge({}, record, image_threshold=0.5)


def test_defaults_are_the_paper():
    criterion = build('CentroidDisagreement')
    settings = criterion.radius_px, criterion.policy, criterion.drop_image_errors, criterion.threshold_from
    assert settings == (30.0, 'any_true', False, 'val')


@pytest.mark.parametrize(('x', 'keep'), [(130.0, True), (130.5, False)])
def test_positive_is_judged_by_distance(x, keep):
    verdict = judged(build('CentroidDisagreement'), [[x, 100.0]], [[100.0, 100.0]], YES)
    assert (verdict.keep, verdict.distance_px) == (keep, x - 100.0)


def test_radius_and_policy_reach_the_verdict():
    predicted, annotated = [[110.0, 100.0], [200.0, 100.0]], [[100.0, 100.0]]
    verdicts = {
        arguments: judged(build('CentroidDisagreement', **dict(arguments)), predicted, annotated, YES)
        for arguments in ((('radius_px', 9.0),), (('policy', 'no_false'),), (('policy', 'perfect'),), ())
    }
    assert [verdict.keep for verdict in verdicts.values()] == [False, False, False, True]


def test_no_prediction_is_as_far_as_the_diagonal():
    verdict = judged(build('CentroidDisagreement'), [], [[100.0, 100.0]], NO)
    assert (verdict.keep, verdict.reason, verdict.distance_px) == (False, 'no_prediction', 500.0)


def test_the_image_s_label_decides():
    criterion = build('CentroidDisagreement')
    assert judged(criterion, [], [], NO).reason == 'negative'
    assert judged(criterion, [], [], NO, label=1).reason == 'no_annotation'
    assert judged(criterion, [], [[1.0, 1.0]], NO, label=0).reason == 'negative'
    assert judged(criterion, [], [[1.0, 1.0]], NO).reason == 'no_prediction'


def test_image_errors_need_a_score_above_the_threshold():
    criterion = build('CentroidDisagreement', drop_image_errors=True)
    assert judged(criterion, [], [], YES).reason == 'image_error'
    assert judged(criterion, [], [], NO).reason == 'negative'


def test_pseudo_label_keeps_all_and_takes_the_teachers_word():
    criterion = build('PseudoLabel')
    yes = judged(criterion, [[10.0, 10.0]], [], YES)
    no = judged(criterion, [[10.0, 10.0]], [[13.0, 14.0]], NO)
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
    verdict = judged(build('SoftDisagreement'), predicted, [[100.0, 100.0]], NO)
    hard = judged(build('CentroidDisagreement'), predicted, [[100.0, 100.0]], NO)
    assert verdict.keep
    assert verdict.weight == pytest.approx(weight, rel=1e-12)
    assert (verdict.reason, verdict.distance_px) == (hard.reason, hard.distance_px)
    assert hard.weight == 1.0


def test_soft_verdicts_leave_alone_what_has_nothing_to_compare():
    criterion = build('SoftDisagreement')
    for label, annotated in ((0, []), (1, []), (0, [[1.0, 1.0]])):
        verdict = judged(criterion, [[300.0, 390.0]], annotated, YES, label=label)
        assert (verdict.keep, verdict.weight) == (True, 1.0)


def test_hard_soft_verdicts_are_the_policy_any_true():
    soft, hard = build('SoftDisagreement', softness_px=1e-6), build('CentroidDisagreement')
    for x in (110.0, 129.0, 131.0, 250.0):
        keep = judged(hard, [[x, 100.0]], [[100.0, 100.0]], YES).keep
        assert judged(soft, [[x, 100.0]], [[100.0, 100.0]], YES).weight == float(keep)


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
