"""Draw true positives, false positives and misses of several methods, with precision, recall and F1 written.

    python tools/analysis/plot_confusion.py work_dirs/suite --out counts.pdf \\
        --rows noise30/teacher=Teacher noise30/student=Student
    python tools/analysis/plot_confusion.py work_dirs/demo --rows teacher student --kind grouped --out counts.png

Counts are summed over folds and are means over seeds; precision, recall and F1 are those of the counts.
"""

from __future__ import annotations

import argparse

from mitouts.experiments.figure_arguments import add_suite_arguments, open_rows, write_figure
from mitouts.utils.cli import run
from mitouts.visualization.confusion_plots import KINDS, Counts, plot_counts


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_suite_arguments(parser)
    parser.add_argument('--kind', choices=KINDS, default=KINDS[0], help='one bar a method, or three (default: stacked)')
    args = parser.parse_args()
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


if __name__ == '__main__':
    run(main)
