"""Builds answers to raters; in blinded mode without the annotators', the Teacher's or other raters' labels."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mitouts.review.crops import CropSource
from mitouts.review.items import Item, Point
from mitouts.review.ledger import Ledger
from mitouts.review.progress import AgreementBoard, agreement_with_annotation, summary
from mitouts.review.records import Decision
from mitouts.review.security import Session
from mitouts.review.store import ReviewStore
from mitouts.utils.version import code_version

OPEN_STATE = 'open'


class Presentation:
    """Builds answers as plain values, ready for JSON.

    Args:
        blinded: Whether label, prediction, reason, score and distance are hidden. Blinded, items come in the order of
            their random numbers, else by disagreement, largest first.
    """

    def __init__(self, store: ReviewStore, crops: CropSource, *, blinded: bool) -> None:
        self._store = store
        self._ledger = Ledger(store)
        self._crops = crops
        self.blinded = blinded
        self._items = sorted(store.items, key=lambda item: item.item_id if blinded else item.rank)
        self._ids = [item.item_id for item in self._items]
        self._columns = self._fixed_columns(self._items)
        self._version = code_version()
        self._agreement = AgreementBoard()
        self._of_image: dict[int, list[Item]] = defaultdict(list)
        for item in store.items:
            self._of_image[item.image_id].append(item)

    def shown_ids(self, session: Session, own: Mapping[int, Decision]) -> list[int]:
        """Return the ids of the items that a rater is to decide, in order: all, or for a tiebreaker the ties.

        Args:
            own: Their decisions; what a tiebreaker has decided stays in sight.
        """
        if session.role == 'rater':
            return self._ids
        theirs = {*self._ledger.ties(), *own}
        return [item_id for item_id in self._ids if item_id in theirs]

    def may_decide(self, session: Session, item_id: int) -> bool:
        """Whether the rater may decide the item."""
        if session.role == 'rater':
            return True
        return item_id in self.shown_ids(session, self._ledger.of(session.rater))

    def state(self, session: Session, item_id: int) -> str:
        """Return the rater's label of an item, or ``open``."""
        return state_of(self._ledger.decision(session.rater, item_id))

    def session(self, session: Session) -> dict[str, Any]:
        """Answer ``GET /api/session``."""
        total = len(self._ids)
        if session.role != 'rater':
            total = len(self.shown_ids(session, self._ledger.of(session.rater)))
        return {
            'rater': session.rater,
            'role': session.role,
            'blinded': self.blinded,
            'database': self._store.database_id,
            'total': total,
            'version': self._version,
        }

    def columns(self, session: Session) -> bytes:
        """Answer ``GET /api/items`` as JSON: one list per column, in the order of presentation."""
        own = self._ledger.of(session.rater)
        shown, fixed = self.shown_ids(session, own), self._columns
        if len(shown) != len(self._ids):
            fixed = self._fixed_columns([self._store.item(item_id) for item_id in shown])
        states = [own[item_id].label if item_id in own else OPEN_STATE for item_id in shown]
        return fixed[:-1] + b',"state":' + to_json(states) + b'}'

    def item(self, session: Session, item: Item) -> dict[str, Any]:
        """Answer ``GET /api/items/{id}``."""
        decision = self._ledger.decision(session.rater, item.item_id)
        field_px = self._crops.field_px(item)
        told = {
            'id': item.item_id,
            'kind': item.kind,
            'case': item.case_id,
            'scanner': item.scanner,
            'mpp': self._crops.mpp(item),
            'field_px': field_px,
            'image_px': _image_in_field(item, field_px),
            'state': state_of(decision),
            'decision': decision_of(decision),
        }
        if not self.blinded:
            told |= {
                'reason': item.reason,
                'distance_px': _finite(item.distance_px),
                'score': _score(item),
                'old_label': item.old_label,
                **self._points_of_image(item, field_px),
            }
        return told

    def progress(self, session: Session) -> dict[str, Any]:
        """Answer ``GET /api/progress``."""
        decisions = self._ledger.all()
        own = {decision.item_id: decision for decision in decisions if decision.rater == session.rater}
        agreement = None
        if session.role == 'rater':
            agreement = self._agreement.of(session.rater, decisions)
        told = {**summary(own, self.shown_ids(session, own)), 'agreement': agreement}
        if not self.blinded:
            told['agreement_with_annotation'] = agreement_with_annotation(own)
        return told

    def _fixed_columns(self, items: Sequence[Item]) -> bytes:
        columns: dict[str, Any] = {'id': [item.item_id for item in items]}
        columns['cases'], columns['case'] = _indexed([item.case_id for item in items])
        columns['scanners'], columns['scanner'] = _indexed([item.scanner for item in items])
        if not self.blinded:
            columns['reasons'], columns['reason'] = _indexed([item.reason for item in items])
            columns['distance_px'] = [_finite(item.distance_px) for item in items]
            columns['score'] = [_score(item) for item in items]
        return to_json(columns)

    def _points_of_image(self, item: Item, field_px: int) -> dict[str, Any]:
        annotated: list[list[float]] = []
        predicted: list[list[float | None]] = []
        for other in self._of_image[item.image_id]:
            if other.annotated_xy_px is not None and (offset := _offset_in(item, other.annotated_xy_px, field_px)):
                annotated.append([*offset])
            if other.predicted_xy_px is not None and (offset := _offset_in(item, other.predicted_xy_px, field_px)):
                predicted.append([*offset, _finite(other.predicted_score)])
        return {'annotated_px': annotated, 'predicted_px': predicted}


def state_of(decision: Decision | None) -> str:
    """Return the label of a decision, or ``open``."""
    return OPEN_STATE if decision is None else decision.label


def decision_of(decision: Decision | None) -> dict[str, Any] | None:
    """Return a rater's own decision as plain values."""
    if decision is None:
        return None
    return {'label': decision.label, 'moved_px': decision.moved_px, 'added_px': decision.added_px}


def to_json(value: object) -> bytes:
    """Encode as compact UTF-8; lone surrogates, which UTF-8 cannot hold, become question marks."""
    return json.dumps(value, separators=(',', ':'), ensure_ascii=False, allow_nan=False).encode('utf-8', 'replace')


def _indexed(values: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the distinct values in order, and the index of each value among them."""
    different = sorted(set(values))
    index = {value: position for position, value in enumerate(different)}
    return different, [index[value] for value in values]


def _offset_in(item: Item, xy: Point, field_px: int) -> Point | None:
    """Return a point's offset from the anchor; None outside the field."""
    dx, dy = xy[0] - item.anchor_px[0], xy[1] - item.anchor_px[1]
    return (dx, dy) if max(abs(dx), abs(dy)) <= field_px / 2 else None


def _image_in_field(item: Item, field_px: int) -> list[float]:
    """Return left, top, right and bottom edge of the image's part of the crop, as offsets from the anchor."""
    (x, y), half = item.anchor_px, field_px / 2
    right, bottom = item.width_px - 0.5 - x, item.height_px - 0.5 - y
    return [max(-half, -0.5 - x), max(-half, -0.5 - y), min(half, right), min(half, bottom)]


def _score(item: Item) -> float | None:
    return _finite(item.image_score if item.predicted_score is None else item.predicted_score)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
