"""The figures of a slide as a table for spreadsheets and scripts.

Where the numbers come from stands above the table in lines that begin with ``#``. Spreadsheets show them as rows of one
cell and the table below in its columns; pandas and polars skip them with ``comment='#'`` (``comment_prefix``), R with
``comment.char = '#'``, NumPy by itself. A column that repeats the model in every row would be easier to read for them,
but would say nothing about a slide without figures.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

COLUMNS = ('x_px', 'y_px', 'x_um', 'y_um', 'score', 'in_counted_tile')
_PLACE = 'x and y are measured from the centre of the top left pixel of level 0'


def write_figures(
    path: str | os.PathLike[str],
    figures: NDArray[np.float64],
    is_counted: ArrayLike,
    *,
    mpp: float,
    comments: Mapping[str, Any],
) -> None:
    """Write one figure a row, in the order given.

    Args:
        path: The CSV file; it appears only when it is complete.
        figures: ``(N, 3)`` of ``(x, y, score)`` in level-0 pixels.
        is_counted: ``(N,)`` whether the figure lies in a counted tile; written as 0 and 1.
        mpp: Micrometres per pixel of level 0.
        comments: What is said above the table, one line a key.
    """
    counted = np.asarray(is_counted, dtype=bool).tolist()
    rows = (
        (f'{x:.3f}', f'{y:.3f}', f'{x * mpp:.3f}', f'{y * mpp:.3f}', f'{score:.6f}', int(inside))
        for (x, y, score), inside in zip(figures.tolist(), counted)
    )
    write_table(path, COLUMNS, rows, {**comments, 'coordinates': _PLACE})


def write_table(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[Any]], comments: Mapping[str, Any]
) -> None:
    """Write a CSV file (UTF-8, commas, lines end with a line feed) below its comments.

    Args:
        path: The file; it appears only when it is complete.
        columns: Their names.
        rows: Their values; text with a ``#`` in it would be cut there by readers that skip comments.
        comments: What is said above the table, one line a key.
    """
    path = Path(path)
    text = io.StringIO()
    for key, value in comments.items():
        text.write(' '.join(f'# {key}: {value}'.split()) + '\n')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(columns)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        # A file name may hold bytes that are no text.
        aside.write_text(text.getvalue(), encoding='utf-8', errors='backslashreplace')
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
