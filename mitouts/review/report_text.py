"""Formats a review's report: as tables in the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mitouts.review.labels import LABELS
from mitouts.review.report import CASE_COLUMNS, NEW_LABELS
from mitouts.utils.words import plural

TITLE = '# Review of hard samples'
"""First line of the Markdown."""


class _Block(NamedTuple):
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print the sentences and tables of :func:`mitouts.review.report.build_report`."""
    tables = []
    for block in _blocks(report):
        table = Table(title=escape(block.title), title_justify='left')
        for position, column in enumerate(block.columns):
            table.add_column(escape(column), justify='left' if position == 0 else 'right')
        for row in block.rows:
            table.add_row(*map(escape, row))
        tables.append(table)
    console.print(Group(*(Text(sentence) for sentence in _sentences(report)), *tables))


def report_markdown(report: Mapping[str, Any]) -> str:
    """Format a review's report as Markdown."""
    parts = [TITLE, '\n'.join(f'- {_cell(sentence)}' for sentence in _sentences(report))]
    for block in _blocks(report):
        lines = [block.columns, ['---', *['---:'] * (len(block.columns) - 1)], *block.rows]
        table = '\n'.join('| ' + ' | '.join(map(_cell, line)) + ' |' for line in lines)
        parts.append(f'## {block.title}\n\n{table}')
    return '\n\n'.join(parts) + '\n'


def _sentences(report: Mapping[str, Any]) -> list[str]:
    items, decisions, info = report['items'], report['decisions'], report['info']['mitouts']
    return [
        f'Database {info["database"]}, rule {info["rule"]}, code {info["version"]}.',
        f'{plural(items["total"], "item")}: {plural(items["mitotic"], "mitotic figure")}, '
        f'{plural(items["look_alike"], "look-alike")}, '
        f'{items["undecided"]} undecided, {items["not_reviewed"]} not reviewed; {items["tied"]} tied; '
        f'{plural(items["added_figures"], "figure")} added.',
        f'{plural(decisions["made"], "decision")} ({decisions["blinded"]} blinded, '
        f'{decisions["open_mode"]} in open mode), '
        f'{decisions["undone"]} taken back; median {_seconds(decisions["median_seconds"])} each.',
        *([] if report['agreement']['pairs'] else ['Agreement: not available, there are not two raters yet.']),
    ]


def _blocks(report: Mapping[str, Any]) -> list[_Block]:
    return [
        _raters(report),
        _Block(
            'Old label (rows) and new one',
            ('', *map(_words, NEW_LABELS)),
            [[_words(old), *(str(row[new]) for new in NEW_LABELS)] for old, row in report['confusion'].items()],
        ),
        *([_agreement(report['agreement'])] if report['agreement']['pairs'] else []),
        _Block(
            'Cases',
            ('case', *map(_words, CASE_COLUMNS)),
            [[case, *(str(row[column]) for column in CASE_COLUMNS)] for case, row in report['cases'].items()],
        ),
    ]


def _raters(report: Mapping[str, Any]) -> _Block:
    """Make a table with a column for each rater, since there are fewer raters than quantities."""
    counted = ('items', *LABELS, 'moved', 'added', 'undone', 'blinded', 'open_mode')
    raters = report['raters']
    rows = [
        ['role', *(', '.join(row['roles']) for row in raters.values())],
        *([_words(key), *(str(row[key]) for row in raters.values())] for key in counted),
        ['median time', *(_seconds(row['median_seconds']) for row in raters.values())],
    ]
    return _Block('Raters', ('', *raters), rows)


def _agreement(agreement: Mapping[str, Any]) -> _Block:
    compared = [
        *((' and '.join(pair['raters']) + ' (Cohen)', pair) for pair in agreement['pairs']),
        ('all raters (Fleiss)', agreement['fleiss']),
    ]
    rows = [
        [name, words, _share(row[key]['share']), _kappa(row[key]), str(row[key]['items']), str(row[key]['cases'])]
        for name, row in compared
        for key, words in (('two_labels', 'without unsure'), ('three_labels', 'with unsure'))
    ]
    return _Block(
        'Agreement: kappa with its 95% interval over cases', ('', 'labels', 'same', 'kappa', 'items', 'cases'), rows
    )


def _kappa(row: Mapping[str, Any]) -> str:
    if row['kappa'] is None:
        return 'not available'
    value = f'{row["kappa"]:.3f}'
    return value if row['ci95'] is None else f'{value} ({row["ci95"][0]:.3f} to {row["ci95"][1]:.3f})'


def _share(value: float | None) -> str:
    return 'not available' if value is None else f'{value:.1%}'


def _seconds(value: float | None) -> str:
    return 'unknown' if value is None else f'{value:.1f} s'


def _words(name: str) -> str:
    return name.replace('_', '-' if name == 'look_alike' else ' ')


def _cell(text: str) -> str:
    """Escape text for a Markdown table."""
    for sign in '\\|<>*_`[]':
        text = text.replace(sign, f'\\{sign}')
    return text
