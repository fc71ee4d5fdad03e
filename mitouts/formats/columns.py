"""Reads two columns of numbers, such as two counts of the same slides, out of a table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mitouts.errors import AnnotationError
from mitouts.formats.tables import read_table
from mitouts.functional.agreement import LARGEST

MISSING = frozenset({'', '-', 'na', 'n/a', '#n/a', 'nan', 'none', 'null', 'not available'})


class Columns(NamedTuple):
    """The rows of a table in which both values are present.

    Attributes:
        x: ``(N,)`` float64.
        y: ``(N,)`` float64.
        group: ``(N,)`` text; empty without ``--by``.
        num_missing: Number of rows in which a value is missing.
    """

    x: np.ndarray
    y: np.ndarray
    group: np.ndarray
    num_missing: int


def read_columns(path: Path, x: str, y: str, by: str | None = None) -> Columns:
    """Read two columns of numbers, and one of groups.

    Args:
        path: CSV file.
        x: Name of a column.
        y: Name of a column.
        by: Name of a column.

    Raises:
        AnnotationError: The file is not a table, lacks a column, or a cell is neither empty nor a finite number.
    """
    table = read_table(path)
    wanted = [table.index(name) for name in (x, y, *([by] if by else []))]
    values: list[tuple[float, float]] = []
    groups, num_missing = [], 0
    for line, cells in zip(table.lines, table.rows):
        first, second = (_number(path, line, table.names[index], cells[index]) for index in wanted[:2])
        if first is None or second is None:
            num_missing += 1
            continue
        values.append((first, second))
        groups.append(cells[wanted[2]] if by else '')
    numbers = np.array(values, dtype=np.float64).reshape(-1, 2)
    return Columns(numbers[:, 0], numbers[:, 1], np.array(groups, dtype=str), num_missing)


def _number(path: Path, line: int, column: str, cell: str) -> float | None:
    """Return the number in a cell, or None if it is missing."""
    if cell.lower() in MISSING:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    # float() reads 1_000 as well; no spreadsheet writes it.
    if not abs(value) <= LARGEST or '_' in cell:
        shown = cell if len(cell) <= 40 else cell[:40] + '...'
        hint = '; write decimals with a point' if ',' in cell else ''
        raise AnnotationError(f'{path}: line {line}, column {column!r}: expected a number, found {shown!r}{hint}')
    return value
