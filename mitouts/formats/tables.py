"""Reads tables of slides: CSV with a header, separated by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mitouts.errors import AnnotationError
from mitouts.utils.text_files import read_text

SEPARATORS = {',': 'commas', ';': 'semicolons', '\t': 'tabs'}


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        names: Names of the columns.
        lines: Line number of each row in the file, from 1.
        rows: Cells of each row, stripped, as many as there are columns.
        separator: Character between the cells.
    """

    path: Path
    names: Sequence[str]
    lines: Sequence[int]
    rows: Sequence[Sequence[str]]
    separator: str

    def index(self, name: str) -> int:
        """Return the position of a column.

        Raises:
            AnnotationError: There is none of that name, or several.
        """
        if list(self.names).count(name) == 1:
            return list(self.names).index(name)
        if name in self.names:
            raise AnnotationError(
                f'{self.path} has {list(self.names).count(name)} columns {name!r}; rename all but one'
            )
        raise AnnotationError(
            f'{self.path} has no column {name!r}; separated by {SEPARATORS[self.separator]}, its header has '
            f'{", ".join(self.names)}'
        )


def read_table(path: str | os.PathLike[str], expected: str = 'the columns') -> Table:
    """Read a table; empty lines and ``#`` lines above the header are skipped, and short rows are padded.

    Args:
        expected: Columns that the header should have, for the error message if there is no header.

    Raises:
        AnnotationError: Not UTF-8 text, no header, a row that is longer than it, or broken quotes.
    """
    path = Path(path)
    text = read_text(path, 'a table as CSV in UTF-8')
    comments = 0
    # The first column of a numbered list may be called '#'.
    while text and (re.match('#(?![,;\t])', text) or not text.partition('\n')[0].strip()):
        text = text.partition('\n')[2]
        comments += 1
    header, _, _ = text.partition('\n')
    separator = max(SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=separator, strict=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        names = [name.strip() for name in next(reader, [])]
        if not any(names):
            raise AnnotationError(f'{path} has no header: expected a header with {expected} in the first line')
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num + comments
            if len(cells) > len(names):
                raise AnnotationError(
                    f'{path}: line {line} has {len(cells)} cells, the header {len(names)}; put quotes around text that '
                    'holds a separator'
                )
            lines.append(line)
            rows.append([cell.strip() for cell in cells] + [''] * (len(names) - len(cells)))
    except csv.Error as error:
        raise AnnotationError(f'{path}: line {reader.line_num + comments} is no CSV: {error}') from error
    return Table(path, names, lines, rows, separator)
