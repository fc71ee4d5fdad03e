"""Draw the settings of an ablation: localization F1 and image F1 with 95% intervals over cases and a dot a seed.

    mitouts plot ablation work_dirs/suite --out depth.pdf \\
        --rows depth1/model='1 stage' depth2/model='2 stages'
    mitouts plot ablation work_dirs/suite --out noise.svg --kind lines --x noise \\
        --rows 'noise*/student=Student' 'noise*/control=No distillation'
    mitouts plot ablation work_dirs/suite --out cost.png --kind cost \\
        --rows noise30/teacher+distill+student=UTS noise30/ema='One training'

Lines: the place of a row is @NUMBER (noise30/student@0.3=Student), or the number in the group's name. Cost: of stages
joined by + the last is scored, and the minutes of all count. All seeds and folds of a row are pooled.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mitouts.commands.plot import add_suite_arguments, open_rows
from mitouts.utils.arguments import Gather

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mitouts.experiments.figure_rows import FigureRow
    from mitouts.visualization.ablation_plots import Setting

SCORES = ('localization', 'image')
X_LABELS = {'noise': 'noise (share of positive training images that hold no figure)'}
NOTE = 'All seeds and folds pooled. Whiskers: 95% interval over cases. Dots: one a seed. Radius {radius_px:g} px.'
COST_NOTE = NOTE.replace(' Dots: one a seed.', ' Horizontal: range of the minutes over seeds.')


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.visualization.ablation_plots import score_in_words
    from mitouts.visualization.print_figure import write_figure

    reader, rows = open_rows(args, args.x if args.kind == 'lines' else None)
    settings = [reader.setting(row) for row, _ in rows]
    write_figure(args.out, draw(args, rows, settings))
    for (row, _), setting in zip(rows, settings):
        # An image F1 alone is that of images that have labels and no points.
        missing = 'n/a' if any(setting.scores.values()) else 'no run'
        values = (f'{name} {score_in_words(e, " ") if e else missing}' for name, e in setting.scores.items())
        print(f'{setting.label} ({row.source}): {", ".join(values)}')
    print(args.out)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_suite_arguments(parser)
    parser.add_argument('--kind', choices=('bars', 'lines', 'cost'), default='bars', help='form (default: bars)')
    parser.add_argument(
        '--x',
        default='noise',
        metavar='WORD',
        help='lines: what the horizontal axis is, such as stride (default: noise)',
    )
    parser.add_argument('--x-label', help='lines: words for the horizontal axis (default: that of --x)')
    parser.add_argument(
        '--scores',
        nargs='+',
        action=Gather,
        choices=SCORES,
        help='panels (default: all that are known; cost: localization alone)',
    )
    return parser


def default_scores(kind: str, settings: list[Setting]) -> list[str]:
    """Return both scores, without localization if no run was tested on annotated points."""
    if kind == 'cost':
        return ['localization']
    known = [score for score in SCORES if any(setting.scores.get(f'{score} F1') for setting in settings)]
    return known or list(SCORES)


def draw(args: argparse.Namespace, rows: list[FigureRow], settings: list[Setting]) -> Figure:
    """Draw the figure of the kind that was asked for."""
    from mitouts.visualization.ablation_plots import plot_bars, plot_cost, plot_lines

    names = [f'{score} F1' for score in args.scores or default_scores(args.kind, settings)]
    note = (COST_NOTE if args.kind == 'cost' else NOTE).format(radius_px=args.radius_px)
    if args.kind == 'bars':
        return plot_bars(settings, names, title=args.title, note=note)
    if args.kind == 'cost':
        return plot_cost(settings, names[0], title=args.title, note=note)
    arms: dict[str, list[tuple[float, Setting]]] = {}
    for (row, x), setting in zip(rows, settings):
        assert x is not None
        arms.setdefault(row.label, []).append((x, setting))
    return plot_lines(arms, names, args.x_label or X_LABELS.get(args.x, args.x), title=args.title, note=note)
