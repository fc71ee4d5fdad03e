"""Makes tables of counted slides for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from mitouts.wsi.cohort import Outcome

NAME_COLUMNS = 30


def outcome_tables(outcomes: Sequence[Outcome]) -> list[Table]:
    """Make a table of the counted slides, and one of those that failed if there are any."""
    counted = Table(title='for research use only')
    counted.add_column('slide', overflow='fold')
    for name in ('count', 'per mm2 (95% interval)', 'MAI', 'counted mm2'):
        counted.add_column(name, justify='right')
    counted.add_column('remark', overflow='fold')
    failed = Table(title='failed', style='red')
    failed.add_column('slide', overflow='fold', max_width=NAME_COLUMNS)
    failed.add_column('why', overflow='fold')
    for outcome in outcomes:
        name = escape(outcome.slide.label)
        if outcome.report is None:
            failed.add_row(name, escape(outcome.reason or 'not counted yet'))
        else:
            counted.add_row(name, *map(escape, _cells(outcome.report)))
    return [table for table in (counted, failed) if table.row_count]


def _cells(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the cells of a counted slide."""
    counts = report['counts']
    density = (
        ''
        if counts['per_mm2'] is None
        else '{:.1f} ({:.1f} to {:.1f})'.format(counts['per_mm2'], *counts['per_mm2_ci95'])
    )
    mai = '' if counts['mai'] is None else f'{counts["mai"]:.3f}'
    return str(counts['count']), density, mai, f'{counts["counted_mm2"]:.2f}', '; '.join(report['remarks'])
