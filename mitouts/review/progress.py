"""Computes how far a rater is, and how well they agree with others."""

from __future__ import annotations

import statistics
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mitouts.functional.kappa import cohen_kappa
from mitouts.review.labels import LABELS, Label
from mitouts.review.records import Decision

MIN_SHARED = 20
"""Items that must be shared before agreement is told."""
SHARED_STEP = 10
"""Agreement is told anew after this many further ones, so that it never tells a single decision."""

Pair = tuple[Label, Label]


def summary(own: Mapping[int, Decision], shown: Iterable[int]) -> dict[str, Any]:
    """Count a rater's decisions.

    Args:
        own: Item id -> the rater's decision.
        shown: Ids of the items that they are to decide.
    """
    shown = list(shown)
    decided = [own[item_id] for item_id in shown if item_id in own]
    seconds = [decision.seconds for decision in decided if decision.seconds is not None]
    counts = {label: sum(decision.label == label for decision in decided) for label in LABELS}
    return {
        'done': len(decided),
        'total': len(shown),
        **counts,
        'median_seconds': statistics.median(seconds) if seconds else None,
    }


def agreement_with_annotation(own: Mapping[int, Decision]) -> dict[str, Any] | None:
    """Compute the share of decisions that agree with the annotation file; None if it has a label for none of them."""
    compared = [decision for decision in own.values() if decision.old_label is not None]
    if not compared:
        return None
    same = sum(decision.label == decision.old_label for decision in compared)
    return {'items': len(compared), 'share': same / len(compared)}


class AgreementBoard:
    """Tells raters how well they agree with the others, without revealing any single decision.

    Only the first of the shared items are compared, in steps, and the result of a step never changes. Otherwise a rater
    could change a decision, and infer another rater's from how the agreement changes.
    """

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], dict[str, Any]] = {}
        self._lock = threading.Lock()

    def of(self, rater: str, decisions: Sequence[Decision]) -> dict[str, Any] | None:
        """Compute a rater's agreement with all others; tiebreakers, who see disputed items only, are left out.

        Args:
            decisions: Decisions of all raters.

        Returns:
            ``items`` that were compared, the ``share`` of pairs of decisions that are the same, and Cohen's ``kappa``
            (None where it is undefined); None with fewer than 20 shared items.
        """
        own = {each.item_id: each for each in decisions if each.rater == rater and each.role == 'rater'}
        others = [each for each in decisions if each.item_id in own and each.rater != rater and each.role == 'rater']
        number = len({each.item_id for each in others}) // SHARED_STEP * SHARED_STEP
        if number < MIN_SHARED:
            return None
        with self._lock:
            key = rater, number
            if key not in self._told:
                shared = _shared(own, others)[:number]
                mine, theirs = zip(*(pair for item in shared for pair in item))
                kappa = cohen_kappa(mine, theirs, num_bootstrap=0)
                self._told[key] = {'items': len(shared), 'share': kappa.observed, 'kappa': kappa.kappa}
            return self._told[key]


def _shared(own: Mapping[int, Decision], decisions: Sequence[Decision]) -> list[list[Pair]]:
    """Return pairs of labels (own, another's) of each shared item, in the order in which they became shared."""
    others: dict[int, list[Decision]] = defaultdict(list)
    for decision in decisions:
        others[decision.item_id].append(decision)
    order = sorted(
        others, key=lambda item_id: max(own[item_id].decision_id, min(each.decision_id for each in others[item_id]))
    )
    return [[(own[item_id].label, each.label) for each in others[item_id]] for item_id in order]
