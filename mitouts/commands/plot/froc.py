"""Draw free-response (FROC), precision-recall and image-level ROC curves of several methods, with operating points.

    mitouts plot froc work_dirs/suite --out froc.pdf \\
        --rows noise30/teacher=Teacher noise30/student=Student
    mitouts plot froc work_dirs/demo --panels froc --out froc.png

A marker shows where the method works: at the thresholds that its runs chose on validation images. False positives are
given by mm2; where the resolution of an image is not known, by image, and the figure says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mitouts.commands.plot import add_suite_arguments, open_rows
from mitouts.utils.arguments import Gather
from mitouts.utils.defaults import CURVES

if TYPE_CHECKING:
    from mitouts.visualization.froc_plots import Method

UNKNOWN = 'No mpp for some images, so false positives are given by image.'
NOTE = 'Markers: the thresholds chosen on validation images.'
MEAN_NOTE = ' Mean over runs at an equal rate of false positives.'


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_suite_arguments(parser)
    parser.add_argument(
        '--panels', nargs='+', action=Gather, choices=CURVES, help='which curves (default: all that are defined)'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.visualization.froc_plots import PANELS, curves_of, plot_methods, unit_of
    from mitouts.visualization.print_figure import write_figure

    reader, rows = open_rows(args)
    detections = [reader.detections(row) for row, _ in rows]
    unit = unit_of(detections)
    methods = [
        curves_of(row.label, runs, radius_px=args.radius_px, unit=unit)
        for (row, _), runs in zip(rows, detections)
        if runs
    ]
    note = NOTE + MEAN_NOTE * any(len(runs) > 1 for runs in detections) + f' Radius {args.radius_px:g} px.'
    note += f' {UNKNOWN}' * (unit == 'image')
    panels = args.panels or [name for name in PANELS if any(getattr(method, name) for method in methods)]
    write_figure(args.out, plot_methods(methods, unit, panels or PANELS, title=args.title, note=note))
    for method in methods:
        print(describe(method, unit))
    for (row, _), runs in zip(rows, detections):
        if not runs:
            print(f'{row.label}: no run')
    print(args.out)


def describe(method: Method, unit: str) -> str:
    """Describe the operating point and the area under the ROC in words."""
    from sklearn.metrics import auc

    parts = []
    if method.froc is not None and method.pr is not None:
        rate, found = method.froc.point
        parts.append(f'finds {found:.3f} at {rate:.3g} false positives per {unit}, precision {method.pr.point[1]:.3f}')
    if method.roc is not None:
        parts.append(f'image AUC {auc(method.roc.x, method.roc.y):.3f}')
    return f'{method.label}: {", ".join(parts) or "no curve is defined"}'
