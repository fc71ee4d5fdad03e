"""Compare two columns of a table of slides, such as the pathologist's MAI and the predicted one.

    mitouts correlate cohort.csv --x pathologist_mai --y mai --out agreement.json --plot agreement.png

Pearson's and Spearman's correlation with 95% intervals (Fisher z, and bootstrap over slides), Bland-Altman (differences
y - x, for columns of one unit) and the least-squares line. The table goes to stderr and JSON to stdout (and to
``--out``). The CSV is UTF-8 with a header, separated by commas, semicolons or tabs; slides without a value in either
column are left out and counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mitouts.formats.coco import write_json
from mitouts.utils.arguments import at_least
from mitouts.utils.defaults import NUM_BOOTSTRAP
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.functional.agreement import Agreement, Correlation
    from mitouts.wsi.steps import CorrelateArguments

NOT_AVAILABLE = 'not available'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    from mitouts.wsi.steps import CorrelateArguments

    return correlate(CorrelateArguments(**vars(parse_args(argv))))


def correlate(args: CorrelateArguments) -> int:
    """Compare two columns; writes a table to stderr, and JSON to stdout and to the files that are asked for."""
    from mitouts.formats.columns import read_columns
    from mitouts.functional.agreement import agreement
    from mitouts.visualization.agreement_plots import plot_agreement

    columns = read_columns(args.table, args.x, args.y, args.by)
    overall = agreement(columns.x, columns.y, num_bootstrap=args.num_bootstrap, seed=args.seed)
    rows = [('all', overall)]
    if args.by:
        for name in np.unique(columns.group).tolist():
            members = columns.group == name
            pairs = columns.x[members], columns.y[members]
            rows.append((name, agreement(*pairs, num_bootstrap=args.num_bootstrap, seed=args.seed)))
    result: dict[str, Any] = {
        'table': args.table.name,
        'x': args.x,
        'y': args.y,
        'n_missing': columns.num_missing,
        'num_bootstrap': args.num_bootstrap,
        'seed': args.seed,
        **overall.to_dict(),
    }
    if args.by:
        result |= {'by': args.by, 'groups': {name: scores.to_dict() for name, scores in rows[1:]}}
    if args.plot:
        plot_agreement(columns.x, columns.y, overall, args.plot, x_name=args.x, y_name=args.y, title=args.table.name)
    if args.out:
        write_json(args.out, result)
    print_table(args, rows, columns.num_missing)
    Console(soft_wrap=True).print_json(data=result)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', type=Path, metavar='TABLE.csv', help='one line a slide, with a header')
    parser.add_argument('--x', required=True, metavar='COL', help='column of the reference')
    parser.add_argument('--y', required=True, metavar='COL', help='column of the prediction')
    parser.add_argument('--by', metavar='COL', help='add a block for each value of this column, such as the scanner')
    parser.add_argument('--out', type=Path, metavar='OUT.json', help='where the JSON goes as well')
    parser.add_argument('--plot', type=Path, metavar='OUT.png', help='scatter plot beside a Bland-Altman plot')
    parser.add_argument(
        '--num-bootstrap',
        type=at_least(0),
        default=NUM_BOOTSTRAP,
        metavar='N',
        help=f'replicates of the bootstrap intervals, 0 for none (default: {NUM_BOOTSTRAP})',
    )
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the replicates (default: 0)')
    return parser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse options that do not go together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.plot and args.plot.suffix.lower() != '.png':
        parser.error(f'--plot writes PNG, found {args.plot.name}')
    return args


def print_table(args: CorrelateArguments, rows: Sequence[tuple[str, Agreement]], num_missing: int) -> None:
    """Print one line for each group to stderr."""
    table = Table(title=escape(f'{args.y} (y) against {args.x} (x)'), box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column(escape(args.by or ''))
    headings = 'n', 'Pearson r\n95% CI', 'Spearman rho\n95% CI', 'Bias y - x\n95% limits', 'Line'
    for heading in headings:
        table.add_column(heading, justify='right')
    for name, result in rows:
        table.add_row(escape(name), *_cells(result))
        table.add_section()
    table.caption = 'intervals: Fisher z; those of the bootstrap are in the JSON'
    if num_missing:
        table.caption += f'\nleft out: {plural(num_missing, "slide")} without one of the values'
    Console(stderr=True).print(table)


def _cells(result: Agreement) -> list[str]:
    limits, line = result.bland_altman, result.line
    return [
        str(result.n),
        _correlation(result.pearson),
        _correlation(result.spearman),
        NOT_AVAILABLE if limits is None else f'{limits.bias:.4g}\n{limits.limits[0]:.4g} to {limits.limits[1]:.4g}',
        NOT_AVAILABLE if line is None else f'{line.slope:.3g} x\n{line.intercept:+.3g}',
    ]


def _correlation(value: Correlation) -> str:
    if value.value is None:
        return NOT_AVAILABLE
    interval = NOT_AVAILABLE if value.ci95_fisher is None else '{:.3f} to {:.3f}'.format(*value.ci95_fisher)
    return f'{value.value:.3f}\n{interval}'
