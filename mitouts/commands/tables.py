"""Turn the runs of a suite into tables: methods, paired comparisons and the quality of distillations.

    mitouts tables work_dirs/fields --rows noise30/student=Student noise30/control=Undistilled
    mitouts tables work_dirs/fields --compare noise30/student noise30/control
    mitouts tables --spec configs/suites/fields_tables.yaml --into docs/results.md

The last one fills every part of the page between ``<!-- table: NAME -->`` and ``<!-- end -->``. A method is
GROUP/STAGE, and =LABEL its name in the table. See docs/analysis.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitouts.errors import MitoutsError
from mitouts.experiments.suite_results import RUN_FILE, Suite, describe_unfinished, read_suite
from mitouts.utils.arguments import Gather, add_root, at_least, from_args, positive
from mitouts.utils.defaults import PROTOCOLS, TABLE_FORMATS
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.experiments.cases import CaseCounter
    from mitouts.experiments.compare import Comparison
    from mitouts.experiments.spec import Spec
    from mitouts.experiments.tables import ResultTable


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.experiments.cases import CaseCounter
    from mitouts.experiments.pages import fill_pages
    from mitouts.experiments.spec import read_spec, suite_folders
    from mitouts.experiments.tables import render

    spec = read_spec(args.spec) if args.spec else None
    _check(args, spec)
    folders = suite_folders(args.suites, spec)
    if args.partial:
        # A suite that has not begun has no run to be read.
        folders = [folder for folder in folders if any(Path(folder).glob(f'*/*/{RUN_FILE}'))] or folders
    suite, counter = read_suite(*folders), CaseCounter(args.root)
    named = _spec_tables(spec, suite, counter, args) if spec else _asked_tables(args, suite, counter)
    if args.into:
        pages = fill_pages(args.into, named, args.block, whole=spec is not None and not args.block)
        print(f'{", ".join(map(str, pages))}: {plural(sum(map(len, named.values())), "table")} written')
    else:
        text = render([table for tables in named.values() for table in tables], args.format)
        if args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(text, encoding='utf-8')
            print(f'{args.out}: {plural(sum(map(len, named.values())), "table")} written')
        else:
            print(text, end='')
    if suite.unfinished:
        missing = f'{len(suite.unfinished)} of {len(suite.runs)} runs are not done'
        print(f'warning: {missing}: {describe_unfinished(suite.unfinished)}', file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('suites', nargs='*', metavar='SUITE_DIR', help='folders that mitouts suite has filled')
    parser.add_argument('--spec', type=Path, metavar='TABLES.yaml', help='the tables of a whole page')
    parser.add_argument(
        '--rows', nargs='+', action=Gather, default=[], metavar='GROUP/STAGE=LABEL', help='lines of a table of methods'
    )
    parser.add_argument(
        '--compare', nargs=2, action='append', default=[], metavar=('A', 'B'), help='paired difference A - B'
    )
    parser.add_argument(
        '--recovered', nargs=3, action='append', default=[], metavar=('A', 'B', 'ORACLE'),
        help='the same, and which share of the distance between B and the oracle A recovers',
    )  # fmt: skip
    parser.add_argument(
        '--distillation', nargs='+', action=Gather, default=[], metavar='GROUP/STAGE=LABEL', help='distillation stages'
    )
    parser.add_argument('--title', default='', help='above each table')
    parser.add_argument('--radius-px', type=positive, default=30.0, metavar='R', help='radius of a hit (default: 30)')
    parser.add_argument(
        '--second-radius-px', type=positive, default=15.0, metavar='R', help='of the column beside it (default: 15)'
    )
    parser.add_argument('--protocol', choices=PROTOCOLS, default='one_to_one', help='default: one_to_one')
    parser.add_argument(
        '--num-bootstrap', type=at_least(1), default=10_000, metavar='N', help='replicates (default: 10000)'
    )
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the replicates (default: 0)')
    parser.add_argument('--format', choices=TABLE_FORMATS, default='markdown', help='default: markdown')
    parser.add_argument('--out', type=Path, metavar='FILE', help='where the tables go; default: the terminal')
    parser.add_argument(
        '--into', type=Path, nargs='+', action=Gather, metavar='PAGE.md', help='pages with markers to be filled'
    )
    parser.add_argument('--block', metavar='NAME', help='the marker to fill; of a spec, the only block to make')
    add_root(parser)
    parser.add_argument(
        '--partial', action='store_true', help='groups and stages without any run yet are lines without numbers'
    )
    return parser


def _check(args: argparse.Namespace, spec: Spec | None) -> None:
    asked = [name for name in ('rows', 'compare', 'recovered', 'distillation') if getattr(args, name)]
    if spec and asked:
        raise MitoutsError(f'--{asked[0]} and --spec exclude each other: list the table in {args.spec}')
    if not spec and not asked:
        raise MitoutsError('nothing to make: give --spec, --rows, --compare, --recovered or --distillation')
    if args.into and (args.format != 'markdown' or args.out):
        raise MitoutsError('--into writes Markdown into a page: leave out --format and --out')
    if args.into and not spec and not args.block:
        raise MitoutsError('--into needs --block NAME, the marker where the tables go')
    if args.block and not (args.into or spec):
        raise MitoutsError('--block names a marker of a page: give --into PAGE.md')
    if spec and args.block and args.block not in [block.name for block in spec.blocks]:
        raise MitoutsError(f'{args.spec} has no block {args.block!r}; {_listed([b.name for b in spec.blocks])}')


def _spec_tables(
    spec: Spec, suite: Suite, counter: CaseCounter, args: argparse.Namespace
) -> dict[str, list[ResultTable]]:
    wanted = [block for block in spec.blocks if args.block in (None, block.name)]
    return {block.name: [block.table(suite, counter, partial=args.partial)] for block in wanted}


def _asked_tables(args: argparse.Namespace, suite: Suite, counter: CaseCounter) -> dict[str, list[ResultTable]]:
    from mitouts.experiments.blocks import comparison_table, distillation_table, methods_table
    from mitouts.experiments.methods import ScoreSettings
    from mitouts.experiments.rows import parse_row

    settings = from_args(ScoreSettings, args)
    more: dict[str, Any] = {'title': args.title, 'partial': args.partial}
    tables = []
    if args.rows:
        tables.append(methods_table(suite, counter, [parse_row(text) for text in args.rows], settings, **more))
    if args.compare or args.recovered:
        comparisons = [_comparison(*sides) for sides in [*args.compare, *args.recovered]]
        tables.append(comparison_table(suite, counter, comparisons, settings, **more))
    if args.distillation:
        tables.append(distillation_table(suite, [parse_row(text) for text in args.distillation], **more))
    return {args.block or '': tables}


def _comparison(a: str, b: str, oracle: str | None = None) -> Comparison:
    from mitouts.experiments.compare import Comparison
    from mitouts.experiments.rows import parse_row

    rows = parse_row(a), parse_row(b)
    label = f'{rows[0].label} against {rows[1].label}'
    return Comparison(*rows, label, None if oracle is None else parse_row(oracle))


def _listed(names: Sequence[str]) -> str:
    return f'it has {", ".join(names)}'
