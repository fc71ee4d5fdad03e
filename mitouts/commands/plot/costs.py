"""Draw what methods find over what they cost: localization F1 with its 95% interval over cases, a marker a method.

    mitouts plot costs --spec configs/suites/detection_tables.yaml --out costs.png

The methods are the lines of a block of kind baselines, scored as in its table; groups of lines are rows of panels.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mitouts.errors import MitoutsError
from mitouts.experiments.suite_results import read_suite
from mitouts.utils.arguments import Gather, add_root
from mitouts.utils.defaults import FIGURE_SUFFIXES

if TYPE_CHECKING:
    from mitouts.experiments.baselines import BaselineScores
    from mitouts.experiments.spec import Spec, TableBlock
    from mitouts.visualization.cost_plots import PricedMethod

COSTS = {
    'gmac': 'GMAC per megapixel',
    'minutes': 'minutes of training',
    'parameters': 'million parameters',
    'speed': 'megapixels predicted in a second',
}
KIND = 'baselines'


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.experiments.baselines import score_baselines
    from mitouts.experiments.cases import CaseCounter
    from mitouts.experiments.spec import read_spec
    from mitouts.visualization.cost_plots import plot_costs
    from mitouts.visualization.print_figure import check_suffix, write_figure

    check_suffix(args.out)
    spec = read_spec(args.spec)
    block = chosen_block(spec, args)
    costs = block.measured(partial=args.partial)
    suite, counter = read_suite(*spec.suites), CaseCounter(args.root)
    scores = score_baselines(suite, counter, block.baselines, costs, block.settings, partial=args.partial)
    levels: dict[str, list[PricedMethod]] = {}
    for method in scores:
        levels.setdefault(method.line.level, []).append(priced(method))
    note = (
        f'All runs pooled, one-to-one within {block.settings.radius_px:g} px. Whiskers: 95% interval over cases. '
        'Markers: what a training is told. Minutes: of all stages that a method needs. '
        'Methods of one cost are drawn a little beside each other.'
    )
    names = [COSTS[cost] for cost in args.costs]
    write_figure(args.out, plot_costs(levels, names, 'localization F1', title=args.title, note=note))
    for method in scores:
        print(described(method))
    print(args.out)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--spec', type=Path, required=True, metavar='TABLES.yaml', help='the tables of a page')
    parser.add_argument('--block', metavar='NAME', help='of several blocks of kind baselines, the one to draw')
    parser.add_argument(
        '--costs',
        nargs='+',
        action=Gather,
        choices=tuple(COSTS),
        default=['gmac', 'minutes'],
        help='panels (default: gmac minutes)',
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help=f'written; one of {", ".join(FIGURE_SUFFIXES)}'
    )
    parser.add_argument('--title', default='', help='above the figure')
    parser.add_argument('--partial', action='store_true', help='leave out what no run has yet, instead of an error')
    add_root(parser)
    return parser


def chosen_block(spec: Spec, args: argparse.Namespace) -> TableBlock:
    """Return the block to draw.

    Raises:
        MitoutsError: There is no such block of kind baselines, or several and none is named.
    """
    blocks = {block.name: block for block in spec.blocks if block.kind == KIND}
    if args.block is None and len(blocks) == 1:
        return next(iter(blocks.values()))
    if args.block not in blocks:
        asked = 'no --block is given' if args.block is None else f'found --block {args.block}'
        raise MitoutsError(
            f'{args.spec}: expected one block of kind {KIND}, {asked}; it has {", ".join(blocks) or "none"}'
        )
    return blocks[args.block]


def priced(scores: BaselineScores) -> PricedMethod:
    """Collect the score and costs of a line for the figure."""
    from mitouts.visualization.ablation_plots import Score
    from mitouts.visualization.cost_plots import PricedMethod

    found, cost = scores.one_to_one.f1_pooled, scores.cost
    return PricedMethod(
        label=scores.line.method,
        kind=scores.line.supervision,
        score=None if found is None else Score(found.value, found.ci95),
        costs={
            COSTS['gmac']: None if cost is None else cost.gmac_per_megapixel,
            COSTS['minutes']: scores.one_to_one.minutes,
            COSTS['parameters']: None if cost is None else cost.parameters / 1e6,
            COSTS['speed']: None if cost is None else cost.megapixels_per_second,
        },
    )


def described(scores: BaselineScores) -> str:
    """Format the numbers of a line."""
    from mitouts.visualization.ablation_plots import score_in_words

    method = priced(scores)
    found = 'no run' if method.score is None else score_in_words(method.score, ' ')
    costs = [f'{value:.3g} {name}' for name, value in method.costs.items() if value is not None]
    return f'{scores.line.row.label} ({scores.line.row.source}): {", ".join([found, *costs])}'
