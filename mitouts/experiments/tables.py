"""Renders tables of numbers as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mitouts.experiments.markdown import folded
from mitouts.experiments.rows import Estimate, MeanSd
from mitouts.visualization.tables import MISSING

Cell = str | int | float | MeanSd | Estimate | None
Kind = Literal['text', 'number', 'mean_sd', 'estimate']

INTERVAL = ' [95%]'
_LATEX = {
    '\\': r'\textbackslash{}',
    '&': r'\&',
    '%': r'\%',
    '$': r'\$',
    '#': r'\#',
    '_': r'\_',
    '{': r'\{',
    '}': r'\}',
    '~': r'\textasciitilde{}',
    '^': r'\textasciicircum{}',
    '<': r'$<$',
    '>': r'$>$',
    '±': r'$\pm$',
    '–': '--',
}
NOTES = 'How these numbers were made, and what is missing'


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Heading.
        kind: ``text``, ``number``, ``mean_sd`` or ``estimate`` (a value with its interval).
        digits: Decimals.
        signed: Whether a positive number has a plus.
        without_interval: Shown for an interval that an estimate does not have.
        missing: Shown for a number that does not exist.
    """

    name: str
    kind: Kind = 'text'
    digits: int = 3
    signed: bool = False
    without_interval: str = 'not available'
    missing: str = MISSING


@dataclass(frozen=True)
class ResultTable:
    """A table with its title and notes.

    Attributes:
        rows: Cells, as many as there are columns; None is a number that does not exist.
        title: Above it; may be empty.
        notes: Sentences below it.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ''
    notes: tuple[str, ...] = field(default=())


def fill(
    columns: Sequence[tuple[Column, Callable[[Any], Cell]]], lines: Sequence[Any]
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """Build the columns and rows of a table; each column comes with the function that reads its cell from a line."""
    rows = tuple(tuple(read(line) for _, read in columns) for line in lines)
    return tuple(column for column, _ in columns), rows


def render(tables: Sequence[ResultTable], style: str) -> str:
    """Render tables, one below the other.

    Args:
        style: ``markdown``, ``csv`` or ``latex``.
    """
    return '\n'.join(_STYLES[style](table) for table in tables)


def markdown(table: ResultTable) -> str:
    """Render a GitHub Markdown table, with its title bold above it and its notes as a paragraph below."""
    heading = [_escape_markdown(column.name) for column in table.columns]
    rule = [':--' if column.kind == 'text' else '--:' for column in table.columns]
    rows = [
        [_escape_markdown(cell_text(column, cell)) for column, cell in zip(table.columns, row)] for row in table.rows
    ]
    lines = ['| ' + ' | '.join(cells) + ' |' for cells in (heading, rule, *rows)]
    if table.title:
        lines = [f'**{table.title}**', '', *lines]
    if table.notes:
        lines += ['', folded(NOTES, ' '.join(table.notes))]
    return '\n'.join(lines) + '\n'


def csv_text(table: ResultTable) -> str:
    """Render comma-separated values; sd and ends of intervals have columns of their own, notes begin with ``#``."""
    buffer = io.StringIO()
    if table.title:
        buffer.write(f'# {table.title}\n')
    writer = csv.writer(buffer, lineterminator='\n')
    writer.writerow([name for column in table.columns for name in _part_names(column)])
    for row in table.rows:
        writer.writerow([part for column, cell in zip(table.columns, row) for part in _parts(column, cell)])
    for note in table.notes:
        buffer.write(f'# {note}\n')
    return buffer.getvalue()


def latex(table: ResultTable) -> str:
    """Render a ``tabular`` in the style of booktabs (``\\usepackage{booktabs}``), title as comment, notes small."""
    alignment = ''.join('l' if column.kind == 'text' else 'r' for column in table.columns)
    rows = [[_latex_cell(column, cell) for column, cell in zip(table.columns, row)] for row in table.rows]
    heading = [_escape_latex(column.name) for column in table.columns]
    lines = [f'% {table.title}'] if table.title else []
    lines += [rf'\begin{{tabular}}{{{alignment}}}', r'\toprule', ' & '.join(heading) + r' \\', r'\midrule']
    lines += [' & '.join(row) + r' \\' for row in rows]
    lines += [r'\bottomrule', r'\end{tabular}']
    if table.notes:
        lines += [rf'\par\smallskip\noindent{{\footnotesize {_escape_latex(" ".join(table.notes))}\par}}']
    return '\n'.join(lines) + '\n'


def cell_text(column: Column, cell: Cell) -> str:
    """Format a cell for reading.

    >>> cell_text(Column('F1', 'mean_sd'), MeanSd(0.75, 0.0123))
    '0.750 ± 0.012'
    >>> cell_text(Column('F1', 'estimate'), Estimate(0.75, (0.7, 0.8)))
    '0.750 [0.700, 0.800]'
    """
    if isinstance(cell, str):
        return cell
    if cell is None:
        return column.missing
    if isinstance(cell, MeanSd):
        return _number(column, cell.mean) + ('' if cell.sd is None else f' ± {cell.sd:.{column.digits}f}')
    if isinstance(cell, Estimate):
        return f'{_number(column, cell.value)} [{_interval(column, cell)}]'
    return _number(column, cell)


def _number(column: Column, value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f'{value:{"+" if column.signed else ""}.{column.digits}f}'


def _interval(column: Column, cell: Estimate) -> str:
    return column.without_interval if cell.ci95 is None else ', '.join(_number(column, end) for end in cell.ci95)


def _part_names(column: Column) -> list[str]:
    parts = {'mean_sd': [' mean', ' sd'], 'estimate': ['', ' low', ' high']}
    return [column.name.removesuffix(INTERVAL) + part for part in parts.get(column.kind, [''])]


def _parts(column: Column, cell: Cell) -> list[str]:
    empty = [''] * len(_part_names(column))
    if cell is None:
        return empty
    if isinstance(cell, MeanSd):
        return [_number(column, cell.mean), '' if cell.sd is None else f'{cell.sd:.{column.digits}f}']
    if isinstance(cell, Estimate):
        ends = ['', ''] if cell.ci95 is None else [_number(column, end) for end in cell.ci95]
        return [_number(column, cell.value), *ends]
    return [cell_text(column, cell), *empty[1:]]


def _latex_cell(column: Column, cell: Cell) -> str:
    if isinstance(cell, MeanSd) and cell.sd is not None:
        return rf'${_number(column, cell.mean)} \pm {cell.sd:.{column.digits}f}$'
    if isinstance(cell, Estimate):
        ends = column.without_interval if cell.ci95 is None else f'${_interval(column, cell)}$'
        return f'${_number(column, cell.value)}$ [{ends}]'
    if cell is None or isinstance(cell, str):
        return _escape_latex(cell_text(column, cell))
    return f'${cell_text(column, cell)}$'


def _escape_markdown(text: str) -> str:
    return text.replace('|', r'\|')


def _escape_latex(text: str) -> str:
    return ''.join(_LATEX.get(character, character) for character in text)


_STYLES: dict[str, Callable[[ResultTable], str]] = {'markdown': markdown, 'csv': csv_text, 'latex': latex}
