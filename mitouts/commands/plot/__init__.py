"""Draw figures of trainings and suites: curves, counts, ablations, costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mitouts.errors import MitoutsError
from mitouts.utils.arguments import Gather, add_root, positive
from mitouts.utils.defaults import FIGURE_SUFFIXES

if TYPE_CHECKING:
    from mitouts.experiments.figure_rows import FigureRow, RowReader

MANY_ROWS = 28


def add_suite_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``suite``, ``--rows``, ``--out``, ``--radius-px``, ``--ann-file``, ``--root`` and ``--title``."""
    parser.add_argument(
        'suite', nargs='+', type=Path, metavar='SUITE', help='suite folders, or the work dir of one experiment'
    )
    parser.add_argument(
        '--rows', nargs='+', action=Gather, default=[], metavar='GROUP/STAGE=LABEL',
        help='what to show; GROUP may have * and ?, and is left out for one experiment (default: every tested stage)',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help=f'written; one of {", ".join(FIGURE_SUFFIXES)}'
    )
    parser.add_argument(
        '--radius-px', type=positive, default=30.0, metavar='R', help='largest distance of a hit (default: 30)'
    )
    parser.add_argument(
        '--ann-file', type=Path, metavar='TEST.json', help='test annotations, where results.json does not name them'
    )
    add_root(parser)
    parser.add_argument('--title', default='', help='above the figure')


def open_rows(args: argparse.Namespace, x_name: str | None = None) -> tuple[RowReader, list[FigureRow]]:
    """Read the suite and the rows; runs without results are named on stderr.

    Raises:
        MitoutsError: The suffix of ``--out`` is unknown, a row cannot be read, or there are more than lines differ.
    """
    from mitouts.experiments.figure_rows import RowReader, default_rows, open_suite, read_rows
    from mitouts.experiments.methods import ScoreSettings
    from mitouts.experiments.suite_results import describe_unfinished
    from mitouts.visualization.print_figure import check_suffix

    check_suffix(args.out)
    suite = open_suite(args.suite, args.ann_file)
    rows = read_rows(suite, args.rows, x_name) if args.rows else default_rows(suite)
    if not any(run.is_done for row, _ in rows for run in suite.of_group(row.group)):
        raise MitoutsError(f'{args.suite[0]}: no run of the rows is done: {describe_unfinished(suite.unfinished)}')
    if len({row.label for row, _ in rows}) > MANY_ROWS:
        raise MitoutsError(f'{len(rows)} rows are more than a figure can tell apart ({MANY_ROWS}): choose with --rows')
    shown = {row.group for row, _ in rows}
    unfinished = [run for run in suite.unfinished if run.group in shown]
    if unfinished:
        print(f'warning: without results: {describe_unfinished(unfinished)}', file=sys.stderr)
    return RowReader(suite, ScoreSettings(radius_px=args.radius_px), args.root), rows
