from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.functional.consensus import RULES, AgreedMark, Mark, Vote, agreed_marks, consensus_label, consensus_point

LABELS = st.sampled_from(['mitotic', 'look_alike', None])


def votes(*labels: str | None, tiebreak: str | None = '') -> list[Vote]:
    """Votes of a, b, c, ... in that order; ``m``, ``l`` or None each."""
    names = {'m': 'mitotic', 'l': 'look_alike', None: None}
    made = [Vote(chr(97 + number), names[label], number + 1) for number, label in enumerate(labels)]
    return made if tiebreak == '' else [*made, Vote('z', names[tiebreak], len(made) + 1, True)]


@pytest.mark.parametrize(
    ('given', 'label', 'why', 'voters'),
    [
        (votes(), None, 'not_reviewed', ''),
        (votes('m'), 'mitotic', 'agreed', 'a'),
        (votes('m', 'l', 'm'), 'mitotic', 'agreed', 'ac'),
        (votes('l', None), 'look_alike', 'agreed', 'a'),
        (votes('m', 'l'), None, 'tie', ''),
        (votes(None, None), None, 'unsure', ''),
        (votes('m', 'l', None), None, 'tie', ''),
        (votes('m', 'l', tiebreak='l'), 'look_alike', 'tie_broken', 'bz'),
        (votes('m', 'l', tiebreak=None), None, 'tie', ''),
        (votes(None, None, tiebreak='m'), 'mitotic', 'tie_broken', 'z'),
        (votes(None, None, tiebreak=None), None, 'unsure', ''),
        # There is no tie (any more), so the tiebreaker has no say.
        (votes('m', 'm', 'l', tiebreak='l'), 'mitotic', 'agreed', 'ab'),
    ],
)
def test_majority(given: list[Vote], label: str | None, why: str, voters: str) -> None:
    assert consensus_label(given, 'majority') == (label, why, tuple(voters))


@pytest.mark.parametrize(
    ('given', 'label', 'why', 'voters'),
    [
        (votes(), None, 'not_reviewed', ''),
        (votes('l', 'l'), 'look_alike', 'agreed', 'ab'),
        (votes('l', None), None, 'unsure', ''),
        (votes('l', 'm', 'm'), None, 'disagreement', ''),
        (votes('l', 'm', tiebreak='m'), None, 'disagreement', ''),
    ],
)
def test_unanimous(given: list[Vote], label: str | None, why: str, voters: str) -> None:
    assert consensus_label(given, 'unanimous') == (label, why, tuple(voters))


def test_the_last_vote_counts_whoever_cast_it_and_in_whatever_order_they_stand() -> None:
    given = votes('m', 'm', tiebreak='l')
    for order in itertools.permutations(given):
        assert consensus_label(order, 'last') == ('look_alike', 'agreed', ('z',))
    assert consensus_label(votes('m', None), 'last') == (None, 'unsure', ())
    assert consensus_label([], 'last') == (None, 'not_reviewed', ())


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown rule 'loudest'; known are majority, unanimous, last"):
        consensus_label(votes('m'), 'loudest')  # type: ignore[arg-type]


@given(st.lists(st.tuples(LABELS, st.booleans()), max_size=6), st.sampled_from(RULES), st.randoms())
@settings(derandomize=True, deadline=None, max_examples=80)
def test_any_votes(drawn: list[tuple[str | None, bool]], rule, shuffled: random.Random) -> None:
    given_votes = [Vote(str(number), label, number, late) for number, (label, late) in enumerate(drawn)]
    found = consensus_label(given_votes, rule)
    assert (found.label is None) == (found.why not in ('agreed', 'tie_broken'))
    assert (found.label is None) == (found.voters == ())
    assert all(drawn[int(rater)][0] == found.label for rater in found.voters)
    shuffled.shuffle(given_votes)
    again = consensus_label(given_votes, rule)
    assert (again.label, again.why, sorted(again.voters)) == (found.label, found.why, sorted(found.voters))
    if rule == 'majority' and found.label is not None:
        counted = [label for label, late in drawn if label and (not late or found.why == 'tie_broken')]
        assert Counter(counted)[found.label] > len(counted) / 2


def test_a_point_is_the_median_in_each_direction() -> None:
    assert consensus_point([(1, 10)]) == (1, 10)
    assert consensus_point([(0, 0), (4, -2)]) == (2, -1)
    assert consensus_point([(0, 0), (0, 0), (90, 5)]) == (0, 0)
    assert consensus_point([(0, 7), (1, 5), (99, 6)]) == (1, 6)


def test_figures_that_more_than_half_added() -> None:
    judges = {1: ['a', 'b', 'c']}
    two_of_three = [Mark(10, 10, 'a', 1), Mark(14, 12, 'b', 1), Mark(50, 50, 'c', 1)]
    assert agreed_marks(two_of_three, judges, radius_px=10) == [AgreedMark(12, 11, ('a', 'b'), (1,))]
    assert agreed_marks(two_of_three, judges, radius_px=10, unanimous=True) == []
    assert agreed_marks(two_of_three[:1], {1: ['a', 'b']}, radius_px=10) == []
    assert agreed_marks(two_of_three[2:], {1: ['c']}, radius_px=10) == [AgreedMark(50, 50, ('c',), (1,))]
    assert agreed_marks([], judges, radius_px=10) == []


def test_a_figure_that_raters_met_beside_different_items_is_one() -> None:
    marks = [Mark(10, 10, 'a', 1), Mark(12, 10, 'b', 2), Mark(10, 12, 'a', 2)]
    judges = {1: ['a', 'c'], 2: ['a', 'b']}
    assert agreed_marks(marks, judges, radius_px=10) == [AgreedMark(10, 10, ('a', 'b'), (1, 2))]
    assert agreed_marks(marks, judges, radius_px=10, unanimous=True) == []
    assert len(agreed_marks(marks, {1: ['a'], 2: ['a', 'b']}, radius_px=10, unanimous=True)) == 1


def test_the_radius_is_inclusive_and_marks_do_not_chain() -> None:
    judges = {1: ['a', 'b', 'c']}
    at_radius = [Mark(0, 0, 'a', 1), Mark(10, 0, 'b', 1)]
    assert agreed_marks(at_radius, judges, radius_px=10) == [AgreedMark(5, 0, ('a', 'b'), (1,))]
    assert agreed_marks(at_radius, judges, radius_px=9.9) == []
    chain = [Mark(0, 0, 'a', 1), Mark(8, 0, 'b', 1), Mark(17, 0, 'c', 1)]
    assert agreed_marks(chain, judges, radius_px=10) == [AgreedMark(4, 0, ('a', 'b'), (1,))]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.sampled_from('abc'), st.integers(1, 2)), max_size=7),
    st.randoms(),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_any_marks(drawn: list[tuple[int, int, str, int]], shuffled: random.Random) -> None:
    marks = [Mark(*each) for each in drawn]
    judges = {1: ['a', 'b', 'c'], 2: ['a', 'b']}
    found = agreed_marks(marks, judges, radius_px=10)
    shuffled.shuffle(marks)
    assert agreed_marks(marks, judges, radius_px=10) == found
    for each in found:
        assert len(each.raters) >= 2
        near = [mark for mark in marks if np.hypot(mark.x_px - each.x_px, mark.y_px - each.y_px) <= 15]
        assert set(each.raters) <= {mark.rater for mark in near}
