"""Measure what trained models cost: parameters, GMAC per megapixel, and megapixels that they predict in a second.

    mitouts costs --spec configs/suites/detection_tables.yaml
    mitouts costs work_dirs/suites/fields --only noise00/student=Student --out costs.json

With --spec the lines of its blocks of kind baselines are measured, and their file of costs is written. Otherwise every
tested stage of the suites, or those of --only. One checkpoint a stage is measured, on its own test images, all models
in turns in one process: measure together what is to be compared. See docs/analysis.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mitouts.errors import MitoutsError
from mitouts.experiments.costs import Costs, write_costs
from mitouts.experiments.suite_results import Suite, read_suite
from mitouts.utils.arguments import Gather, add_imports, add_root, at_least
from mitouts.utils.memory import keep_freed_memory

if TYPE_CHECKING:
    from mitouts.experiments.cost_measurement import Trained
    from mitouts.experiments.rows import TableRow
    from mitouts.experiments.spec import Spec


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    import torch

    from mitouts.experiments.cost_measurement import Measuring, measure
    from mitouts.experiments.figure_rows import default_rows
    from mitouts.experiments.rows import parse_row
    from mitouts.experiments.spec import read_spec, suite_folders

    spec = read_spec(args.spec) if args.spec else None
    _check(args, spec)
    suite = read_suite(*suite_folders(args.suites, spec))
    if spec:
        wanted = _of_spec(spec, suite, args)
    else:
        rows = [parse_row(text) for text in args.only] or [row for row, _ in default_rows(suite)]
        wanted = {args.out: _trained(suite, rows, args)}
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    keep_freed_memory()
    settings = Measuring(args.images, args.batch_size, args.rounds, args.device)
    for out, models in wanted.items():
        costs = measure(models, settings, report=lambda text: print(text, file=sys.stderr, flush=True))
        write_costs(out, costs)
        print(described(costs))
        print(out)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('suites', nargs='*', metavar='SUITE_DIR', help='folders that mitouts suite has filled')
    parser.add_argument('--spec', type=Path, metavar='TABLES.yaml', help='measure the lines of its baselines')
    parser.add_argument(
        '--only',
        nargs='+',
        action=Gather,
        default=[],
        metavar='GROUP/STAGE=LABEL',
        help='what is measured (default: every stage)',
    )
    parser.add_argument('--out', type=Path, metavar='COSTS.json', help='written; with --spec, the file that it names')
    parser.add_argument(
        '--images', type=at_least(1), default=32, metavar='N', help='test images in a round (default: 32)'
    )
    parser.add_argument('--batch-size', type=at_least(1), default=16, metavar='N', help='default: 16')
    parser.add_argument('--rounds', type=at_least(1), default=7, metavar='N', help='default: 7')
    parser.add_argument('--threads', type=at_least(1), metavar='N', help='of torch (default: as OMP_NUM_THREADS says)')
    parser.add_argument('--device', default='cpu', help='default: cpu')
    add_imports(parser)
    parser.add_argument('--partial', action='store_true', help='leave out what no run has yet, instead of an error')
    add_root(parser)
    return parser


def described(costs: Costs) -> str:
    """Format the costs, one line for each model."""
    width = max(len(cost.label) for cost in costs.models.values())
    lines = [
        f'{cost.label:{width}s}  {cost.parameters / 1e6:6.2f} M parameters  {cost.gmac_per_megapixel:7.1f} GMAC/MPix  '
        f'{cost.megapixels_per_second:6.2f} MPix/s'
        for cost in costs.models.values()
    ]
    return '\n'.join([*lines, costs.describe()])


def _check(args: argparse.Namespace, spec: Spec | None) -> None:
    if spec and (args.only or args.out):
        raise MitoutsError(f'--only and --out exclude --spec: {args.spec} says what is measured, and where it goes')
    if not spec and not args.out:
        raise MitoutsError('--out COSTS.json is needed where there is no --spec')


def _of_spec(spec: Spec, suite: Suite, args: argparse.Namespace) -> dict[Path, list[Trained]]:
    """Return the models to measure for each file of costs; blocks that share a file are measured together."""
    wanted: dict[Path, dict[str, Trained]] = {}
    for block in spec.blocks:
        compared = block.baselines
        if compared.costs is not None:
            chosen = suite.restricted(compared.folds, compared.seeds)
            models = _trained(chosen, [line.row for line in compared.rows], args)
            wanted.setdefault(Path(compared.costs), {}).update({model.row.source: model for model in models})
    if not wanted:
        raise MitoutsError(f'{args.spec} has no block of kind baselines that names a file of costs')
    return {out: list(models.values()) for out, models in wanted.items()}


def _trained(suite: Suite, rows: Sequence[TableRow], args: argparse.Namespace) -> list[Trained]:
    from mitouts.experiments.cost_measurement import trained_models
    from mitouts.experiments.rows import runs_of

    if args.partial:
        missing = [row for row in rows if not runs_of(suite, row, partial=True).done]
        for row in missing:
            print(f'warning: {row.source}: no run is done', file=sys.stderr)
        rows = [row for row in rows if row not in missing]
    models = trained_models(suite, rows, args.root)
    if not models:
        raise MitoutsError('no run is done, so there is nothing to measure')
    return models
