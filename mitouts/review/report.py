"""Sums up a review: who decided what, how well raters agree, and what that means for the old labels."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from mitouts.functional.kappa import Kappa, cohen_kappa, fleiss_kappa
from mitouts.review.consensus import ItemConsensus, find_consensus
from mitouts.review.labels import LABELS, Label
from mitouts.review.records import Decision, LogEntry
from mitouts.review.store import ReviewStore
from mitouts.utils.defaults import NUM_BOOTSTRAP
from mitouts.utils.version import code_version

TOOL = 'review report'
NOT_ANNOTATED = 'not annotated'
OLD_LABELS = ('mitotic', 'look_alike', NOT_ANNOTATED)
NEW_LABELS = ('mitotic', 'look_alike', 'undecided', 'not_reviewed')
CASE_COLUMNS = ('items', *NEW_LABELS, 'changed')
_DEFINITE: tuple[str, ...] = ('mitotic', 'look_alike')


def build_report(
    store: ReviewStore, *, rule: str = 'majority', num_bootstrap: int = NUM_BOOTSTRAP, seed: int = 0
) -> dict[str, Any]:
    """Describe a review as plain values, ready for JSON.

    Kappas compare the raters' current decisions on items that both (or at least two) have decided, with intervals over
    cases: once over ``mitotic`` and ``look_alike``, with ``unsure`` as no rating, and once over all three labels.
    Tiebreakers, who see disputed items only, are left out.

    Args:
        rule: Rule that turns decisions into labels, see :func:`mitouts.review.consensus.find_consensus`.
        num_bootstrap: Replicates of the intervals; 0 leaves them out.
        seed: Seed of the replicates.

    Returns:
        ``items``, ``decisions``, ``raters``, ``confusion`` (old label -> new label -> items), ``agreement`` and
        ``cases``.

    Raises:
        ReviewError: The rule is unknown.
    """
    consensus = find_consensus(store, rule)
    found = list(consensus.items.values())
    confusion = Counter((each.item.old_label or NOT_ANNOTATED, new_label(each)) for each in found)
    log, decisions = list(store.log()), store.decisions()
    info = {'tool': TOOL, 'version': code_version(), 'database': store.database_id, 'rule': rule}
    cases = {item.item_id: item.case_id for item in store.items}
    return {
        'info': {'mitouts': {**info, 'review': store.provenance}},
        'items': {
            'total': len(found),
            **_new_labels(found),
            'tied': len(store.ties()),
            'why': dict(sorted(Counter(each.why for each in found).items())),
            'added_figures': sum(map(len, consensus.added.values())),
        },
        'decisions': _decision_counts(log, decisions),
        'raters': {rater: _rater_row(rater, log, decisions) for rater in store.raters()},
        'confusion': {old: {new: confusion[old, new] for new in NEW_LABELS} for old in OLD_LABELS},
        'agreement': _agreement(decisions, cases, num_bootstrap, seed),
        'cases': _case_rows(found),
    }


def new_label(found: ItemConsensus) -> str:
    """Return the label of an item after the review, one of ``NEW_LABELS``."""
    if found.label is not None:
        return found.label
    return 'not_reviewed' if found.why == 'not_reviewed' else 'undecided'


def _new_labels(found: Sequence[ItemConsensus]) -> dict[str, int]:
    counts = Counter(map(new_label, found))
    return {name: counts[name] for name in NEW_LABELS}


def _decision_counts(log: Sequence[LogEntry], decisions: Sequence[Decision]) -> dict[str, Any]:
    made = [entry for entry in log if entry.action == 'decide']
    return {
        'made': len(made),
        'undone': len(log) - len(made),
        'in_force': len(decisions),
        **_ways(made),
    }


def _rater_row(rater: str, log: Sequence[LogEntry], decisions: Sequence[Decision]) -> dict[str, Any]:
    made = [entry for entry in log if entry.rater == rater and entry.action == 'decide']
    now = [decision for decision in decisions if decision.rater == rater]
    return {
        'roles': sorted({entry.role for entry in made}),
        'items': len(now),
        **{label: sum(decision.label == label for decision in now) for label in LABELS},
        'moved': sum(decision.moved_px is not None for decision in now),
        'added': sum(len(decision.added_px) for decision in now),
        'decisions': len(made),
        'undone': sum(entry.rater == rater and entry.action == 'undo' for entry in log),
        **_ways(made),
    }


def _ways(made: Sequence[LogEntry]) -> dict[str, Any]:
    """Count blinded and open decisions, and compute their median time."""
    seconds = [entry.seconds for entry in made if entry.seconds is not None]
    return {
        'blinded': sum(entry.blinded for entry in made),
        'open_mode': sum(not entry.blinded for entry in made),
        'median_seconds': statistics.median(seconds) if seconds else None,
    }


def _case_rows(found: Sequence[ItemConsensus]) -> dict[str, dict[str, int]]:
    by_case: dict[str, list[ItemConsensus]] = defaultdict(list)
    for each in found:
        by_case[each.item.case_id].append(each)
    return {
        # A look-alike that nobody had annotated changes nothing.
        case: {
            'items': len(own),
            **_new_labels(own),
            'changed': sum(
                each.label is not None and (each.label == 'mitotic') != (each.item.old_label == 'mitotic')
                for each in own
            ),
        }
        for case, own in sorted(by_case.items())
    }


def _agreement(
    decisions: Sequence[Decision], cases: Mapping[int, str], num_bootstrap: int, seed: int
) -> dict[str, Any]:
    of_rater: dict[str, dict[int, Label]] = defaultdict(dict)
    for decision in decisions:
        if decision.role == 'rater':
            of_rater[decision.rater][decision.item_id] = decision.label
    drawn: dict[str, Any] = {'num_bootstrap': num_bootstrap, 'seed': seed}
    pairs = []
    for first, second in combinations(of_rater, 2):
        shared = sorted(of_rater[first].keys() & of_rater[second].keys())
        definite = [item for item in shared if {of_rater[first][item], of_rater[second][item]} <= set(_DEFINITE)]
        two, three = (
            cohen_kappa(
                *([labels[item] for item in items] for labels in (of_rater[first], of_rater[second], cases)), **drawn
            )
            for items in (definite, shared)
        )
        pairs.append({'raters': [first, second], 'two_labels': _kappa_row(two), 'three_labels': _kappa_row(three)})
    items = sorted({item for labels in of_rater.values() for item in labels})
    fleiss = {}
    for name, labels in (('two_labels', _DEFINITE), ('three_labels', LABELS)):
        given = [[own.get(item) for own in of_rater.values()] for item in items]
        counts = [[sum(each == label for each in own) for label in labels] for own in given]
        table = np.array(counts).reshape(-1, len(labels))
        owners = [cases[item] for item in items]
        fleiss[name] = _kappa_row(fleiss_kappa(table, owners, **drawn))
    return {'pairs': pairs, 'fleiss': fleiss}


def _kappa_row(kappa: Kappa) -> dict[str, Any]:
    return {
        'kappa': kappa.kappa,
        'ci95': None if kappa.ci95 is None else list(kappa.ci95),
        'share': kappa.observed,
        'items': kappa.num_items,
        'cases': kappa.num_cases,
    }
