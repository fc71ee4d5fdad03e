import random

import pytest
from sklearn.metrics import cohen_kappa_score

from mitouts.review.progress import AgreementBoard, agreement_with_annotation, summary
from mitouts.review.records import Decision

LABELS = ['mitotic', 'look_alike', 'unsure']


def decision(number, item_id, rater='anna', label='mitotic', *, role='rater', seconds=None, old_label=None):
    return Decision(
        number, item_id, rater, role, 'now', label, None, (), seconds, True, old_label, None, 'version', None
    )


def two_raters(number, seed=0):
    """Decisions of two raters on the same items, each in an order of their own."""
    rng = random.Random(seed)
    entries = [(rater, item_id) for rater in ('anna', 'ben') for item_id in range(1, number + 1)]
    rng.shuffle(entries)
    return [
        decision(count, item_id, rater, rng.choice(LABELS)) for count, (rater, item_id) in enumerate(entries, start=1)
    ]


def test_counts_and_the_median_are_of_what_is_shown():
    own = {
        1: decision(1, 1, seconds=4.0),
        2: decision(2, 2, label='unsure', seconds=1.0),
        3: decision(3, 3, label='look_alike'),
        9: decision(4, 9, seconds=100.0),
    }
    assert summary(own, [1, 2, 3, 4]) == {
        'done': 3,
        'total': 4,
        'mitotic': 1,
        'look_alike': 1,
        'unsure': 1,
        'median_seconds': 2.5,
    }
    assert summary({}, [1])['median_seconds'] is None


@pytest.mark.parametrize(('number', 'compared'), [(19, None), (20, 20), (29, 20), (30, 30), (47, 40)])
def test_agreement_is_told_in_steps(number, compared):
    decisions = two_raters(number)
    told = AgreementBoard().of('anna', decisions)
    if compared is None:
        assert told is None
        return
    by_rater = {rater: {each.item_id: each for each in decisions if each.rater == rater} for rater in ('anna', 'ben')}
    when = {item: max(by_rater[rater][item].decision_id for rater in by_rater) for item in range(1, number + 1)}
    first = sorted(when, key=when.get)[:compared]
    labels = [[by_rater[rater][item].label for item in first] for rater in ('anna', 'ben')]
    assert told['items'] == compared
    assert told['share'] == pytest.approx(sum(a == b for a, b in zip(*labels)) / compared)
    assert told['kappa'] == pytest.approx(cohen_kappa_score(*labels))


def test_no_single_decision_shows_in_the_agreement():
    board, decisions = AgreementBoard(), two_raters(25)
    told = board.of('anna', decisions)
    for _ in range(3):
        # Deciding an item again, or taking it back and deciding otherwise, tells nothing.
        last = next(each for each in reversed(decisions) if each.rater == 'anna')
        others = [each for each in decisions if each is not last]
        again = decision(1000, last.item_id, 'anna', LABELS[LABELS.index(last.label) - 1])
        decisions = [*others, again]
        assert board.of('anna', decisions) == told


def test_only_raters_are_compared():
    decisions = [decision(n, n) for n in range(1, 31)]
    decisions += [decision(100 + n, n, 'tom', role='tiebreaker') for n in range(1, 31)]
    assert AgreementBoard().of('anna', decisions) is None
    decisions += [decision(200 + n, n, 'ben', LABELS[n % 2]) for n in range(1, 21)]
    decisions += [decision(300 + n, n, 'eve', LABELS[0]) for n in range(11, 21)]
    # 20 pairs with Ben of which 10 agree, 10 with Eve of which all do.
    assert AgreementBoard().of('anna', decisions)['share'] == pytest.approx(20 / 30)
    assert AgreementBoard().of('ben', decisions)['items'] == 20


def test_kappa_is_left_out_where_it_is_undefined():
    decisions = [decision(n, n) for n in range(1, 21)] + [decision(100 + n, n, 'ben') for n in range(1, 21)]
    assert AgreementBoard().of('anna', decisions) == {'items': 20, 'share': 1.0, 'kappa': None}


def test_the_annotation_is_compared_where_there_is_one():
    own = {1: decision(1, 1, old_label='mitotic'), 2: decision(2, 2), 3: decision(3, 3, old_label='look_alike')}
    assert agreement_with_annotation(own) == {'items': 2, 'share': 0.5}
    assert agreement_with_annotation({2: own[2]}) is None
