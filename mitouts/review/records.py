"""Defines the records of a review's log, and checks them before they are written."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields

from mitouts.errors import ReviewError
from mitouts.review.items import Point
from mitouts.review.labels import LABELS, ROLES, Label, Role

MAX_REQUEST_CHARS = 64
MAX_RATER_CHARS = 64


@dataclass(frozen=True)
class Decision:
    """A rater's decision on an item.

    Attributes:
        decision_id: Number of the log entry; later ones are larger.
        rater: Name of the rater.
        role: ``rater`` or ``tiebreaker``.
        at: Time of the decision, ISO 8601 in UTC.
        label: Label that the rater gave.
        moved_px: Place of the figure, ``(dx, dy)`` from the item's anchor; None if it was not moved.
        added_px: Further mitotic figures, ``(dx, dy)`` from the anchor.
        seconds: From the crop's appearance to the decision; None where unknown.
        blinded: Whether label and prediction were hidden.
        old_label: Label in the annotation file.
        previous: The rater's own label until then.
        version: Version of the code.
        teacher_sha256: The checkpoint that disagreed.
        repeated: The request had been answered before, and nothing was written now.
    """

    decision_id: int
    item_id: int
    rater: str
    role: Role
    at: str
    label: Label
    moved_px: Point | None
    added_px: tuple[Point, ...]
    seconds: float | None
    blinded: bool
    old_label: Label | None
    previous: Label | None
    version: str
    teacher_sha256: str | None
    repeated: bool = False


@dataclass(frozen=True)
class Undone:
    """A decision that was taken back.

    Attributes:
        entry_id: Number of the log entry.
        item_id: The item it was about.
        undoes: The decision.
        now: The rater's decision on the item that holds since then.
        repeated: The request had been answered before.
    """

    entry_id: int
    item_id: int
    undoes: int
    now: Decision | None
    repeated: bool


@dataclass(frozen=True)
class LogEntry:
    """An entry of the log: a decision, or the taking back of one; see :class:`Decision`."""

    entry_id: int
    request: str
    at: str
    action: str
    rater: str
    role: Role
    item_id: int
    label: Label | None
    old_label: Label | None
    previous: Label | None
    moved_px: Point | None
    added_px: tuple[Point, ...]
    seconds: float | None
    blinded: bool
    undoes: int | None
    version: str
    teacher_sha256: str | None

    def decision(self) -> Decision:
        """Return the decision that this entry records.

        Raises:
            ReviewError: It takes one back.
        """
        if self.label is None:
            raise ReviewError(f'entry {self.entry_id} is no decision, it takes {self.undoes} back')
        known = {field.name: getattr(self, field.name) for field in fields(Decision) if hasattr(self, field.name)}
        return Decision(decision_id=self.entry_id, **known)


def check_entry(
    request: str, rater: str, role: str, label: str, points: Sequence[Point], seconds: float | None
) -> None:
    """Refuse an entry that must not get into the log.

    Raises:
        ReviewError: A value makes no sense.
    """
    if not 1 <= len(request) <= MAX_REQUEST_CHARS:
        raise ReviewError(f'a request has 1 to {MAX_REQUEST_CHARS} characters, found {len(request)}')
    if not 1 <= len(rater) <= MAX_RATER_CHARS or not rater.isprintable() or rater != rater.strip():
        raise ReviewError(
            f'a rater is called by 1 to {MAX_RATER_CHARS} printable characters without spaces at the ends, found '
            f'{rater!r:.80}'
        )
    if role not in ROLES:
        raise ReviewError(f'a role is one of {", ".join(ROLES)}, found {role!r}')
    if label not in LABELS:
        raise ReviewError(f'a label is one of {", ".join(LABELS)}, found {label!r}')
    if not all(len(point) == 2 and all(map(math.isfinite, point)) for point in points):
        raise ReviewError(f'a point is two finite numbers, found {list(points)!r:.80}')
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise ReviewError(f'seconds must be a finite number from 0, found {seconds}')


def read_entry(row: sqlite3.Row) -> LogEntry:
    """Parse a row of ``log``."""
    values = dict(row)
    moved, added = (json.loads(values.pop(name) or default) for name, default in (('moved', 'null'), ('added', '[]')))
    values |= {'moved_px': None if moved is None else (moved[0], moved[1]), 'added_px': tuple((x, y) for x, y in added)}
    return LogEntry(**{**values, 'blinded': bool(values['blinded'])})
