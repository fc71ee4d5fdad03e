"""Sums up the raters' decisions: one label and position for every item, and the figures that were added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from mitouts.errors import ReviewError
from mitouts.functional.consensus import (
    RULES,
    AgreedMark,
    Mark,
    Rule,
    Vote,
    Why,
    agreed_marks,
    consensus_label,
    consensus_point,
)
from mitouts.review.items import DEFAULT_RADIUS_PX, Item, Point
from mitouts.review.labels import Label
from mitouts.review.records import Decision
from mitouts.review.store import ReviewStore

FinalLabel = Literal['mitotic', 'look_alike']


@dataclass(frozen=True)
class ItemConsensus:
    """The raters' consensus on one item.

    Attributes:
        label: None where it is undecided.
        why: See :class:`mitouts.functional.consensus.Consensus`.
        xy_px: Its position in the image: the item's own point, unless raters who agree on the label moved it.
        is_moved: Whether raters moved it.
        votes: Rater -> label, abstentions and tiebreakers included.
    """

    item: Item
    label: FinalLabel | None
    why: Why
    xy_px: Point
    is_moved: bool
    votes: Mapping[str, Label]


@dataclass(frozen=True)
class ReviewConsensus:
    """The raters' consensus on all items, and the figures they added.

    Attributes:
        items: By ``item_id``, one for every item of the review.
        added: Image id -> the figures that were added there and accepted.
        added_outside: Marks that lie outside their image and do not count.
    """

    items: Mapping[int, ItemConsensus]
    added: Mapping[int, Sequence[AgreedMark]]
    added_outside: int


def review_radius_px(store: ReviewStore) -> float:
    """Return the radius within which two points are the same figure."""
    return float(store.provenance.get('radius_px') or DEFAULT_RADIUS_PX)


def check_rule(rule: str) -> Rule:
    """Return the rule of this name.

    Raises:
        ReviewError: There is none.
    """
    if rule not in RULES:
        raise ReviewError(f'unknown rule {rule!r}; known are {", ".join(RULES)}')
    return cast(Rule, rule)


def find_consensus(store: ReviewStore, rule: str = 'majority') -> ReviewConsensus:
    """Find the label and position of every item, and the added figures.

    A position is the median, in each direction, of the places given by the raters who voted for the item's label; a
    rater who did not move it gives its original place. Added figures are accepted if more than half of the raters who
    decided on the item added one there (``unanimous``: all of them; ``last``: the one who decided last); see
    :func:`mitouts.functional.consensus.agreed_marks`.

    Args:
        rule: See :func:`mitouts.functional.consensus.consensus_label`.

    Raises:
        ReviewError: The rule is unknown.
    """
    rule = check_rule(rule)
    decisions: dict[int, list[Decision]] = defaultdict(list)
    for decision in store.decisions():
        decisions[decision.item_id].append(decision)
    items = {item.item_id: _judge(item, decisions[item.item_id], rule) for item in store.items}
    marks: dict[int, list[Mark]] = defaultdict(list)
    judges: dict[int, list[str]] = {}
    outside = 0
    for item in store.items:
        counted = decisions[item.item_id]
        if rule == 'last':
            counted = sorted(counted, key=lambda decision: decision.decision_id)[-1:]
        judges[item.item_id] = [decision.rater for decision in counted]
        for decision in counted:
            for x, y in _marked(item, decision):
                if item.holds((x, y)):
                    marks[item.image_id].append(Mark(x, y, decision.rater, item.item_id))
                else:
                    outside += 1
    radius_px = review_radius_px(store)
    added = {
        image_id: agreed_marks(found, judges, radius_px=radius_px, unanimous=rule == 'unanimous')
        for image_id, found in marks.items()
    }
    return ReviewConsensus(items, added, outside)


def _judge(item: Item, decisions: Sequence[Decision], rule: Rule) -> ItemConsensus:
    cast_votes = [
        Vote(said.rater, None if said.label == 'unsure' else said.label, said.decision_id, said.role == 'tiebreaker')
        for said in decisions
    ]
    found = consensus_label(cast_votes, rule)
    own = (item.x_px, item.y_px)
    places = [_place(item, decision) for decision in decisions if decision.rater in found.voters]
    xy = own if not places or all(place == own for place in places) else consensus_point(places)
    votes = {decision.rater: decision.label for decision in decisions}
    return ItemConsensus(item, cast(FinalLabel | None, found.label), found.why, xy, xy != own, votes)


def _place(item: Item, decision: Decision) -> Point:
    """Return where a rater places the item; a place outside the image is moved to its border."""
    if decision.moved_px is None or item.kind == 'image':
        return item.x_px, item.y_px
    x, y = item.at(decision.moved_px)
    return min(max(x, 0.0), item.width_px - 1.0), min(max(y, 0.0), item.height_px - 1.0)


def _marked(item: Item, decision: Decision) -> list[Point]:
    """Return the figures that a decision adds; on a whole image, which has no point, a moved point is one as well."""
    offsets = list(decision.added_px)
    if item.kind == 'image' and decision.label == 'mitotic' and decision.moved_px is not None:
        offsets.append(decision.moved_px)
    return [item.at(offset) for offset in offsets]
