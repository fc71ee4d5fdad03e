"""Draw what trainings logged epoch by epoch: validation image F1, the mean distance on training images, any scalar.

    mitouts plot curves work_dirs/plain/teacher work_dirs/constrained/teacher \\
        --labels Plain Constrained --out fig7.pdf
    mitouts plot curves work_dirs/suite/noise30/seed*/student \\
        --metrics loss image/f1 one_to_one/f1 --out student.png

Runs with the same label are one line, their mean, with a band from the lowest to the highest of them. Without --labels
the runs of a suite's group and stage share one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mitouts.errors import MitoutsError
from mitouts.formats.coco import read_json
from mitouts.utils.arguments import Gather
from mitouts.utils.defaults import FIGURE_SUFFIXES
from mitouts.visualization.scalars import Entry, is_finite_number, read_scalars

METRICS = ('image/f1', 'train/distance_px')
MOST_LABELS = 28


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.visualization.print_figure import check_suffix, write_figure
    from mitouts.visualization.training_plots import MOST_BANDS, over_runs, plot_courses

    check_suffix(args.out)
    labels = args.labels or default_labels(args.runs)
    if len(labels) != len(args.runs):
        raise MitoutsError(f'{len(labels)} labels for {len(args.runs)} runs: expected one a run (a label may repeat)')
    if len(set(labels)) > MOST_LABELS:
        raise MitoutsError(f'{len(set(labels))} labels are more than lines can tell apart ({MOST_LABELS})')
    logs: dict[str, list[list[Entry]]] = {}
    for folder, label in zip(args.runs, labels):
        logs.setdefault(label, []).append(read_log(folder))
    metrics = choose_metrics(logs, args.metrics)
    several = sum(len(runs) > 1 for runs in logs.values())
    note = 'Lines: mean over trainings' + ('; bands: lowest to highest.' if several <= MOST_BANDS else '.')
    write_figure(args.out, plot_courses(logs, metrics, title=args.title, note=note if several else ''))
    for label, runs in logs.items():
        for key in metrics:
            course = over_runs(runs, key)
            last = f'{course.mean[-1]:.4g} at epoch {course.epochs[-1]:g}' if course.num_runs else 'not logged'
            print(f'{label}: {key} {last} ({course.num_runs} of {len(runs)} runs)')
    print(args.out)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='+', type=Path, metavar='RUN_STAGE_DIR', help='work dirs of single trainings')
    parser.add_argument('--labels', nargs='+', action=Gather, metavar='LABEL', help='one a run')
    parser.add_argument(
        '--metrics', nargs='+', action=Gather, metavar='KEY',
        help=f'scalars of the log, a panel each (default: those of {" ".join(METRICS)} that a run has logged)',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help=f'written; one of {", ".join(FIGURE_SUFFIXES)}'
    )
    parser.add_argument('--title', default='', help='above the figure')
    return parser


def default_labels(folders: Sequence[Path]) -> list[str]:
    """Label runs: by group and stage in a suite, otherwise by the shortest end of the path that tells them apart."""
    labels = [_suite_label(folder) for folder in folders]
    others = [folder.resolve().parts for folder, label in zip(folders, labels) if label is None]
    depth = next((n for n in range(1, 9) if len({parts[-n:] for parts in others}) == len(others)), 9)
    return [label or '/'.join(folder.resolve().parts[-depth:]) for folder, label in zip(folders, labels)]


def read_log(folder: Path) -> list[Entry]:
    """Read the scalar log of a training.

    Raises:
        MitoutsError: There is none.
    """
    if not folder.is_dir():
        raise MitoutsError(f'{folder}: no such folder; expected the work dir of a training, such as WORK_DIR/teacher')
    log = read_scalars(folder)
    if not log:
        stages = sorted(path.parent.parent.parent.name for path in folder.glob('*/*/vis_data/scalars.json'))
        hint = f': it is an experiment, give a stage of it ({", ".join(dict.fromkeys(stages))})' if stages else ''
        raise MitoutsError(f'{folder} has no scalar log (*/vis_data/scalars.json){hint}')
    return log


def choose_metrics(logs: dict[str, list[list[Entry]]], metrics: Sequence[str] | None) -> list[str]:
    """Choose the metrics to draw: those asked for, or those of the usual ones that a run has logged.

    A metric that was asked for and that nobody logged is a panel that says so, beside others that show something.

    Raises:
        MitoutsError: No run has logged any of the metrics.
    """
    known = {
        key for runs in logs.values() for log in runs for entry in log for key in entry if is_finite_number(entry[key])
    }
    logged = [key for key in metrics or METRICS if key in known]
    if not logged:
        shown = ', '.join(sorted(known - {'step', 'epoch', 'iter'}))
        raise MitoutsError(f'no run has logged {" or ".join(metrics or METRICS)}; the logs have {shown}')
    return list(metrics) if metrics else logged


def _suite_label(folder: Path) -> str | None:
    path = folder.parent / 'run.json'
    if not path.is_file():
        return None
    info = read_json(path)
    return f'{info["group"]}/{folder.name}' if isinstance(info, dict) and 'group' in info else None
