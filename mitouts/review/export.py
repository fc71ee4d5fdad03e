"""Writes a review as tables, for spreadsheets and scripts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mitouts.errors import ReviewError
from mitouts.formats.slide_csv import write_table
from mitouts.review.consensus import find_consensus
from mitouts.review.items import Item
from mitouts.review.records import Decision, LogEntry
from mitouts.review.store import ReviewStore

ITEM_COLUMNS = ('item', 'kind', 'image_id', 'file_name', 'case_id', 'scanner', 'x_px', 'y_px', 'annotation_id')
DECISION_COLUMNS = (
    *('decision', 'at', 'rater', 'role', 'label', 'old_label', 'moved_x_px', 'moved_y_px', 'added_xy_px'),
    *('seconds', 'blinded', 'version', 'teacher_sha256'),
)
CURRENT_COLUMNS = (*ITEM_COLUMNS, *DECISION_COLUMNS, 'rule', 'consensus', 'why')
LOG_COLUMNS = (*ITEM_COLUMNS, *DECISION_COLUMNS, 'action', 'previous', 'undoes', 'request')

# Spreadsheets take a cell that begins so for a formula.
_FORMULA = ('=', '+', '-', '@', '\t', '\r', '\n')


def write_decisions(store: ReviewStore, path: str | os.PathLike[str], *, rule: str = 'majority') -> int:
    """Write the raters' current decisions, one per row, with the label that the rule gives the item.

    Places are in image pixels, ``added_xy_px`` is ``x y; x y``. Text that a spreadsheet would run as a formula has an
    apostrophe before it.

    Args:
        path: CSV file; one of the same columns is replaced.
        rule: See :func:`mitouts.review.consensus.find_consensus`.

    Returns:
        The number of rows.

    Raises:
        ReviewError: The file exists and is something else, or the rule is unknown.
    """
    consensus = find_consensus(store, rule).items
    rows = []
    for decision in sorted(store.decisions(), key=lambda each: (each.item_id, each.decision_id)):
        found = consensus[decision.item_id]
        item_cells = _item_cells(found.item)
        decision_cells = _decision_cells(found.item, decision, decision.decision_id)
        rows.append([*item_cells, *decision_cells, rule, found.label, found.why])
    return _write(path, CURRENT_COLUMNS, rows)


def write_log(store: ReviewStore, path: str | os.PathLike[str]) -> int:
    """Write the whole log in order, including decisions that were taken back or replaced.

    Args:
        path: CSV file; one of the same columns is replaced.

    Returns:
        The number of rows.

    Raises:
        ReviewError: The file exists and is something else.
    """
    rows = []
    for entry in store.log():
        item = store.item(entry.item_id)
        of_entry = [entry.action, entry.previous, entry.undoes, entry.request]
        rows.append([*_item_cells(item), *_decision_cells(item, entry, entry.entry_id), *of_entry])
    return _write(path, LOG_COLUMNS, rows)


def _item_cells(item: Item) -> list[Any]:
    place = [_number(item.x_px), _number(item.y_px)]
    names = [item.file_name, item.case_id, item.scanner]
    return [item.item_id, item.kind, item.image_id, *names, *place, item.annotation_id]


def _decision_cells(item: Item, said: Decision | LogEntry, number: int) -> list[Any]:
    moved = ('', '') if said.moved_px is None else tuple(map(_number, item.at(said.moved_px)))
    added = '; '.join(' '.join(map(_number, item.at(offset))) for offset in said.added_px)
    seconds = None if said.seconds is None else _number(said.seconds)
    who = [number, said.at, said.rater, said.role, said.label, said.old_label]
    return [*who, *moved, added, seconds, int(said.blinded), said.version, said.teacher_sha256]


def _number(value: float) -> str:
    return f'{value:.4f}'.rstrip('0').rstrip('.')


def _write(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    path = Path(path)
    if path.exists():
        with path.open('rb') as file:
            if file.readline().rstrip() != ','.join(columns).encode():
                raise ReviewError(f'{path} is no table of this kind and is not touched; choose another name')
    safe = [[_safe(cell) for cell in row] for row in rows]
    write_table(path, columns, safe, {})
    return len(safe)


def _safe(cell: Any) -> Any:
    """Quote a cell that a spreadsheet would take for a formula; numbers may begin with a minus."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
