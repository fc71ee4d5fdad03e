"""Draw free-response (FROC), precision-recall and image-level ROC curves of several methods, with operating points.

    python tools/analysis/plot_froc.py work_dirs/suite --out froc.pdf \\
        --rows noise30/teacher=Teacher noise30/student=Student
    python tools/analysis/plot_froc.py work_dirs/demo --panels froc --out froc.png

A marker stands where the method works: at the thresholds that its runs chose on validation images. False positives are
given by mm2; where the resolution of an image is not known, by image, and the figure says so.
"""

from __future__ import annotations

import argparse

from mitouts.experiments.figure_arguments import add_suite_arguments, open_rows, write_figure
from mitouts.utils.arguments import Gather
from mitouts.utils.cli import run
from mitouts.visualization.froc_plots import PANELS, Method, area_under, curves_of, plot_methods, unit_of

UNKNOWN = 'No mpp for some images, so false positives are given by image.'
NOTE = 'Markers: the thresholds chosen on validation images.'
MEAN_NOTE = ' Mean over runs at an equal rate of false positives.'


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_suite_arguments(parser)
    parser.add_argument(
        '--panels', nargs='+', action=Gather, choices=PANELS, help='which curves (default: all that are defined)'
    )
    args = parser.parse_args()
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
    """The operating point and the area under the ROC in words."""
    parts = []
    if method.froc is not None and method.pr is not None:
        rate, found = method.froc.point
        parts.append(f'finds {found:.3f} at {rate:.3g} false positives per {unit}, precision {method.pr.point[1]:.3f}')
    if method.roc is not None:
        parts.append(f'image AUC {area_under(method.roc):.3f}')
    return f'{method.label}: {", ".join(parts) or "no curve is defined"}'


if __name__ == '__main__':
    run(main)
