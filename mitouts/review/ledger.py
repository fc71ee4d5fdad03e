"""Keeps the current state of a review in memory, so that answers need not read the whole log."""

from __future__ import annotations

import threading
from collections import defaultdict

from mitouts.review.records import Decision
from mitouts.review.store import ReviewStore


class Ledger:
    """Follows the log, which other processes may write to; its methods may be called from any thread."""

    def __init__(self, store: ReviewStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._last_entry = 0
        # What each rater said of each item and did not take back, the last of it at the end.
        self._said: dict[str, dict[int, list[Decision]]] = defaultdict(dict)
        self._by_entry: dict[int, Decision] = {}
        self._ties: tuple[int, frozenset[int]] = (-1, frozenset())

    def of(self, rater: str) -> dict[int, Decision]:
        """Return this rater's decision on each item by item id."""
        with self._lock:
            self._catch_up()
            return {item_id: said[-1] for item_id, said in self._said[rater].items() if said}

    def decision(self, rater: str, item_id: int) -> Decision | None:
        """Return this rater's decision on this item, or None."""
        with self._lock:
            self._catch_up()
            said = self._said[rater].get(item_id)
            return said[-1] if said else None

    def all(self) -> list[Decision]:
        """Return the current decisions of all raters."""
        with self._lock:
            self._catch_up()
            return [said[-1] for items in self._said.values() for said in items.values() if said]

    def ties(self) -> frozenset[int]:
        """Return the ids of items on which the raters are divided."""
        with self._lock:
            self._catch_up()
            if self._ties[0] != self._last_entry:
                self._ties = self._last_entry, frozenset(self._store.ties())
            return self._ties[1]

    def _catch_up(self) -> None:
        for entry in self._store.log(after=self._last_entry):
            self._last_entry = entry.entry_id
            if entry.undoes is None:
                decision = entry.decision()
                self._by_entry[decision.decision_id] = decision
                self._said[decision.rater].setdefault(decision.item_id, []).append(decision)
            else:
                undone = self._by_entry.pop(entry.undoes)
                self._said[undone.rater][undone.item_id].remove(undone)
