"""Compare two columns of a table of slides, such as the pathologist's MAI and the predicted one.

    mitouts correlate cohort.csv --x pathologist_mai --y mai --out agreement.json --plot agreement.png
    mitouts correlate counts_fold0 counts_fold1 --truth areas/ann.json --out known.json --markdown known.md

Pearson's and Spearman's correlation with 95% intervals (Fisher z, and bootstrap over slides), Bland-Altman (differences
y - x, for columns of one unit) and the least-squares line. The table goes to stderr and JSON to stdout (and to
``--out``). The CSV is UTF-8 with a header, separated by commas, semicolons or tabs; slides without a value in either
column are left out and counted.

With ``--truth``, folders of ``mitouts count`` are compared with the annotated figures of the areas or slides: one
folder, or one of each fold's model with the cases that it has not seen. For each area the true number, the count at the
slide threshold and the relative error; the totals by case; and the correlations, also with an interval over resampled
cases, beside what a detector of this precision and recall reaches in simulation.
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
from mitouts.utils.arguments import at_least, from_args, positive
from mitouts.utils.defaults import NUM_BOOTSTRAP, RADIUS_PX
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.functional.agreement import Agreement, Correlation
    from mitouts.wsi.steps import CorrelateArguments

NOT_AVAILABLE = 'not available'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    from mitouts.wsi.steps import CorrelateArguments

    args = parse_args(argv)
    if args.truth:
        return compare_with_truth(args)
    return correlate(from_args(CorrelateArguments, args))


def compare_with_truth(args: argparse.Namespace) -> int:
    """Compare counts with annotated figures; writes tables to stderr, JSON to stdout and the files asked for."""
    from mitouts.functional.agreement import agreement
    from mitouts.utils.files import written_aside
    from mitouts.visualization.agreement_plots import plot_agreement
    from mitouts.wsi.known_counts import compare_known_counts, known_counts_markdown, read_known_counts

    areas, notes = read_known_counts(args.tables, args.truth, radius_px=args.radius_px)
    compared = compare_known_counts(areas, num_bootstrap=args.num_bootstrap, seed=args.seed)
    settings = {'radius_px': args.radius_px, 'num_bootstrap': args.num_bootstrap, 'seed': args.seed}
    result = {'truth': args.truth.name, **settings, 'notes': notes, **compared}
    if args.plot:
        true, counts = [area.num_true for area in areas], [area.count for area in areas]
        overall = agreement(true, counts, num_bootstrap=0)
        plot_agreement(
            np.array(true, dtype=float),
            np.array(counts, dtype=float),
            overall,
            args.plot,
            x_name='annotated',
            y_name='counted',
            title=args.truth.name,
        )
    text = known_counts_markdown(compared)
    if args.out:
        write_json(args.out, result)
    if args.markdown:
        with written_aside(args.markdown) as aside:
            aside.write_text(text, encoding='utf-8')
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for line in (*(f'- {note}' for note in notes), text):
        console.print(line, markup=False)
    Console(soft_wrap=True).print_json(data=result)
    return 0


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
    parser.add_argument(
        'tables',
        type=Path,
        nargs='+',
        metavar='TABLE.csv',
        help='one line a slide, with a header; with --truth: folders of mitouts count',
    )
    parser.add_argument('--x', metavar='COL', help='column of the reference')
    parser.add_argument('--y', metavar='COL', help='column of the prediction')
    parser.add_argument(
        '--truth', type=Path, metavar='ANN.json', help='figures of the counted areas, instead of --x, --y'
    )
    parser.add_argument(
        '--radius-px',
        type=positive,
        default=RADIUS_PX,
        help=f"with --truth: largest distance of a hit, at the model's resolution (default: {RADIUS_PX:g})",
    )
    parser.add_argument('--markdown', type=Path, metavar='OUT.md', help='with --truth: where the tables go')
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
    if args.truth:
        given = [f'--{name}' for name in ('x', 'y', 'by') if getattr(args, name)]
        if given:
            parser.error(f'--truth compares folders of counts, which have no columns: leave out {" and ".join(given)}')
        return args
    missing = [f'--{name}' for name in ('x', 'y') if not getattr(args, name)]
    if missing:
        parser.error(f'the following arguments are required: {", ".join(missing)}')
    if len(args.tables) > 1:
        parser.error(f'expected one table, found {len(args.tables)}; several folders of counts go with --truth')
    if args.markdown:
        parser.error('--markdown goes with --truth')
    args.table = args.tables[0]
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
