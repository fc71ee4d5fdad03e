"""Writes tables of slides and figures for spreadsheets and scripts.

A table of slides begins with its header, and names the model of each row in columns, so that every reader can read it
whatever a slide is called. ``figures.csv`` holds only numbers, and may have no rows, so the model is named above the
table in lines that begin with ``#``: pandas and polars skip them with ``comment='#'`` (``comment_prefix``), R
with ``comment.char = '#'``, NumPy by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.utils.words import rounded

COLUMNS = ('x_px', 'y_px', 'x_um', 'y_um', 'score', 'in_counted_tile')
_PLACE = 'x and y are measured from the centre of the top left pixel of level 0'
_QUOTED = (',', '"', '#', '\n', '\r')


def write_figures(
    path: str | os.PathLike[str],
    figures: NDArray[np.float64],
    is_counted: ArrayLike,
    *,
    mpp: float,
    comments: Mapping[str, Any],
) -> None:
    """Write one figure per row, in the order given.

    Args:
        path: The CSV file; it appears only when it is complete.
        figures: ``(N, 3)`` of ``(x, y, score)`` in level-0 pixels.
        is_counted: ``(N,)`` bool, whether the figure lies in a counted tile; written as 0 and 1.
        mpp: Micrometres per pixel of level 0.
        comments: Comments above the table, one line for each key.
    """
    counted = np.asarray(is_counted, dtype=bool).tolist()
    rows = (
        (f'{x:.3f}', f'{y:.3f}', f'{x * mpp:.3f}', f'{y * mpp:.3f}', f'{score:.6f}', int(inside))
        for (x, y, score), inside in zip(figures.tolist(), counted)
    )
    write_table(path, COLUMNS, rows, {**comments, 'coordinates': _PLACE})


def write_table(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    comments: Mapping[str, Any] | None = None,
) -> None:
    """Write a CSV file (UTF-8, commas, lines end with a line feed).

    Args:
        path: The file; it appears only when it is complete.
        columns: Names of the columns.
        rows: Values of the rows; None is an empty cell. Text with a ``#`` is quoted, as text with a comma is:
            otherwise readers that skip comments would cut it there.
        comments: Comments above the table, one line for each key; only for tables of numbers.
    """
    path = Path(path)
    lines = [' '.join(f'# {key}: {value}'.split()) for key, value in (comments or {}).items()]
    lines += [','.join(map(_cell, cells)) for cells in (columns, *rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        # A file name may hold bytes that are no text.
        aside.write_text('\n'.join(lines) + '\n', encoding='utf-8', errors='backslashreplace')
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _cell(value: Any) -> str:
    text = '' if value is None else str(rounded(value) if isinstance(value, float) else value)
    if any(sign in text for sign in _QUOTED):
        return '"' + text.replace('"', '""') + '"'
    return text
