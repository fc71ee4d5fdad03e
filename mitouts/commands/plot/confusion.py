"""Draw true positives, false positives and misses of several methods, with precision, recall and F1 written.

    mitouts plot confusion work_dirs/suite --out counts.pdf \\
        --rows noise30/teacher=Teacher noise30/student=Student
    mitouts plot confusion work_dirs/demo --rows teacher student --kind grouped --out counts.png

Counts are summed over folds and are means over seeds; precision, recall and F1 are those of the counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mitouts.commands.plot import add_suite_arguments, open_rows
from mitouts.utils.defaults import COUNT_BARS


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_suite_arguments(parser)
    parser.add_argument(
        '--kind', choices=COUNT_BARS, default=COUNT_BARS[0], help='one bar a method, or three (default: stacked)'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.visualization.confusion_plots import Counts, plot_counts
    from mitouts.visualization.print_figure import write_figure

    reader, rows = open_rows(args)
    counted = [(row, reader.counts(row)) for row, _ in rows]
    methods = [Counts(row.label, *counts) for row, counts in counted if counts is not None]
    note = f'Summed over folds, mean over seeds. One to one, radius {args.radius_px:g} px.'
    write_figure(args.out, plot_counts(methods, kind=args.kind, title=args.title, note=note))
    for method in methods:
        print(f'{method.label}: TP {method.tp:g}, FP {method.fp:g}, FN {method.fn:g}')
    for row, counts in counted:
        if counts is None:
            print(f'{row.label}: no run that was tested on annotated points')
    print(args.out)
