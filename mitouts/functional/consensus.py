"""Combines the votes of several raters into one label and position, and finds the figures that enough of them added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import fcluster, linkage

from mitouts.utils.defaults import RULES, Rule

Why = Literal['agreed', 'tie_broken', 'not_reviewed', 'unsure', 'tie', 'disagreement']


class Vote(NamedTuple):
    """A rater's vote on an item.

    Attributes:
        rater: Name of the rater; each rater votes once.
        label: None is an abstention: the rater has looked and is unsure.
        order: Later votes have larger numbers.
        breaks_ties: The vote counts only where the others tie.
    """

    rater: str
    label: str | None
    order: int
    breaks_ties: bool = False


class Consensus(NamedTuple):
    """The label that the votes give.

    Attributes:
        label: The agreed label; None if the votes give none.
        why: Reason for the result: ``agreed``; ``tie_broken`` by a vote that only breaks ties; and without a label
            ``not_reviewed`` (nobody has voted), ``unsure`` (an abstention was decisive), ``tie``, or ``disagreement``.
        voters: The raters whose votes carry the label.
    """

    label: str | None
    why: Why
    voters: tuple[str, ...]


class Mark(NamedTuple):
    """A figure that a rater added while judging an item.

    Attributes:
        x_px: Column in the image.
        y_px: Row in the image.
        rater: The rater who added it.
        item_id: The item that was judged.
    """

    x_px: float
    y_px: float
    rater: str
    item_id: int


class AgreedMark(NamedTuple):
    """A figure that enough raters added.

    Attributes:
        x_px: Column in the image.
        y_px: Row in the image.
        raters: Names of the raters who added it.
        items: The items that were judged when it was added, in order.
    """

    x_px: float
    y_px: float
    raters: tuple[str, ...]
    items: tuple[int, ...]


def consensus_label(votes: Sequence[Vote], rule: Rule = 'majority') -> Consensus:
    """Find the label of one item.

    - ``majority``: the label of more than half of the votes; abstentions are no votes. Where no label has that, votes
      that break ties are counted as well.
    - ``unanimous``: the label of all votes, if there is no abstention. A vote that breaks ties is one like the others,
      so that what raters disagree on stays undecided.
    - ``last``: the label of the latest vote; an abstention leaves the item undecided.

    Args:
        votes: One for each rater.
        rule: See above.

    Raises:
        ValueError: The rule is unknown.
    """
    if rule not in RULES:
        raise ValueError(f'unknown rule {rule!r}; known are {", ".join(RULES)}')
    if not votes:
        return Consensus(None, 'not_reviewed', ())
    if rule == 'last':
        last = max(votes, key=lambda vote: vote.order)
        return _carried([last], last.label, 'agreed') if last.label else Consensus(None, 'unsure', ())
    if rule == 'unanimous':
        labels = {vote.label for vote in votes}
        if None in labels:
            return Consensus(None, 'unsure', ())
        return _carried(votes, votes[0].label, 'agreed') if len(labels) == 1 else Consensus(None, 'disagreement', ())
    ordinary = [vote for vote in votes if not vote.breaks_ties]
    if label := _more_than_half(ordinary):
        return _carried(ordinary, label, 'agreed')
    if label := _more_than_half(votes):
        return _carried(votes, label, 'tie_broken')
    return Consensus(None, 'tie' if any(vote.label for vote in votes) else 'unsure', ())


def consensus_point(points_xy: ArrayLike) -> tuple[float, float]:
    """Find the position that raters mean: the median of theirs, in each direction.

    Of two it is the middle; of more, one who is far off does not count.

    Args:
        points_xy: ``(N, 2)`` in pixels, one for each rater, with the old position for those who did not move it.

    >>> consensus_point([[10, 20], [12, 20], [90, 70]])
    (12.0, 20.0)
    """
    x, y = np.median(np.asarray(points_xy, dtype=np.float64).reshape(-1, 2), axis=0).tolist()
    return x, y


def agreed_marks(
    marks: Sequence[Mark],
    judges: Mapping[int, Collection[str]],
    *,
    radius_px: float,
    unanimous: bool = False,
) -> list[AgreedMark]:
    """Find the figures of one image that enough raters added.

    Marks are one figure where all of them lie within the radius of each other (complete linkage): also those of one
    rater, who may have met the figure beside two items. A figure is accepted where more than half of the raters have
    added it that decided on any of the items in question; it lies at the median of its marks.

    Args:
        marks: All that were added in the image.
        judges: Item -> the raters who decided on it.
        radius_px: Inclusive.
        unanimous: Ask for all of these raters instead of more than half.

    Returns:
        The accepted ones, from left to right.
    """
    if not marks:
        return []
    # Sorted, so that the groups do not depend on who came first.
    marks = sorted(marks)
    points = np.array([[mark.x_px, mark.y_px] for mark in marks])
    groups = np.ones(1, dtype=np.int64)
    if len(marks) > 1:
        groups = fcluster(linkage(points, method='complete'), t=radius_px, criterion='distance')
    accepted = []
    for group in np.unique(groups):
        members = [mark for mark, own in zip(marks, groups) if own == group]
        raters = {mark.rater for mark in members}
        items = sorted({mark.item_id for mark in members})
        asked = raters.union(*(judges.get(item_id, ()) for item_id in items))
        if raters == asked if unanimous else 2 * len(raters) > len(asked):
            x, y = consensus_point(points[groups == group])
            accepted.append(AgreedMark(x, y, tuple(sorted(raters)), tuple(items)))
    return sorted(accepted)


def _more_than_half(votes: Sequence[Vote]) -> str | None:
    counts = Counter(vote.label for vote in votes if vote.label)
    label, count = counts.most_common(1)[0] if counts else (None, 0)
    return label if 2 * count > counts.total() else None


def _carried(votes: Sequence[Vote], label: str | None, why: Why) -> Consensus:
    return Consensus(label, why, tuple(vote.rater for vote in votes if vote.label == label))
