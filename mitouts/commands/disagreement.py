"""Measure whether a Teacher's disagreement finds labels that are wrong, or that annotators doubted.

    mitouts disagreement work_dirs/uts/distill/hard_samples.json
    mitouts disagreement work_dirs/uts/distill/hard_samples.json \\
        work_dirs/uts/crossfit/hard_samples.json --labels in-sample cross-fitted --about confidence

About noise, the positive images that are mislabelled are looked for among all positive images (is_noise of the file,
or look-alikes that train as positives). About confidence, the mitotic figures whose annotators agreed less are looked
for among all figures (annotations[].confidence). Suspicious is a large distance from annotated to predicted points, or
a low image score: both are measured by the area under the ROC curve.

Files of one label (--labels) are put together: those of folds that were judged by a Teacher each.

Within cases, labels of one case alone are compared; cases are weighted by their pairs, and the 95% interval is over
resampled cases. Pooled, all labels are compared. Cases: those with labels of both kinds, of all.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitouts.errors import MitoutsError
from mitouts.utils.arguments import Gather, at_least, positive
from mitouts.utils.defaults import NUM_BOOTSTRAP
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.experiments.disagreement import Suspects
    from mitouts.functional.stratified_auc import AucDifference, StratifiedAuc

ABOUT = ('noise', 'confidence')
FEW_CASES = 5
"""Below this many cases the output says that an interval over them says little."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)

    from mitouts.experiments.disagreement import join
    from mitouts.formats.coco import write_json

    parts: dict[str, list[Suspects]] = {}
    files = args.ann_file or [None]
    files = files * len(args.samples) if len(files) == 1 else files
    for label, path, ann_file in zip(args.labels or names_of(args.samples), args.samples, files):
        parts.setdefault(label, []).append(read(path, ann_file, args))
    suspects = {label: join(each) for label, each in parts.items()}
    options = {'num_bootstrap': args.num_bootstrap, 'seed': args.seed}
    scores = {label: each.scores(**options) for label, each in suspects.items()}
    differences = compare(suspects, options)
    print_scores(scores, differences, args.about)
    left_out = {label: each.left_out for label, each in suspects.items() if each.left_out}
    for label, count in left_out.items():
        print(f'{label}: left out {plural(count, "positive image")} without an annotated point')
    if args.json is not None:
        write_json(
            args.json,
            {
                'about': args.about,
                **({'below': args.below} if args.about == 'confidence' else {}),
                **options,
                'teachers': {
                    label: {name: score.to_dict() for name, score in each.items()} for label, each in scores.items()
                },
                'differences': {name: difference.to_dict() for name, difference in differences.items()},
                'left_out': left_out,
            },
        )
        print(args.json)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'samples', nargs='+', action=Gather, type=Path, metavar='HARD_SAMPLES.json', help='what a distillation wrote'
    )
    parser.add_argument('--about', choices=ABOUT, default='noise', help='which labels are to be found (default: noise)')
    parser.add_argument(
        '--ann-file',
        type=Path,
        nargs='+',
        action=Gather,
        metavar='ANN.json',
        help='the annotations that were distilled, one file for all or one for each (default: found)',
    )
    parser.add_argument(
        '--below',
        type=positive,
        default=1.0,
        metavar='C',
        help='figures with a confidence below this were doubted (default: 1)',
    )
    parser.add_argument(
        '--labels',
        nargs='+',
        action=Gather,
        metavar='LABEL',
        help='names of the distillations; files of one name are put together (default: folders)',
    )
    parser.add_argument('--json', type=Path, metavar='OUT.json', help='where the figures of each case go')
    parser.add_argument(
        '--num-bootstrap',
        type=at_least(0),
        default=NUM_BOOTSTRAP,
        metavar='N',
        help=f'times that cases are resampled; 0 for no interval (default: {NUM_BOOTSTRAP})',
    )
    parser.add_argument('--seed', type=at_least(0), default=0, help='of the resampling (default: 0)')
    return parser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse options that do not go together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.labels is not None and len(args.labels) != len(args.samples):
        parser.error(f'--labels must name each of the {len(args.samples)} files, found {len(args.labels)} names')
    if args.about == 'noise' and args.ann_file is not None:
        parser.error('--ann-file goes with --about confidence')
    if args.ann_file is not None and len(args.ann_file) not in (1, len(args.samples)):
        parser.error(f'--ann-file takes one file or one for each of {len(args.samples)}, found {len(args.ann_file)}')
    return args


def names_of(paths: Sequence[Path]) -> list[str]:
    """Name each file by its folder, or by its path where two folders have one name.

    Raises:
        MitoutsError: A file is given twice.
    """
    folders = [path.resolve().parent.name for path in paths]
    names = folders if len(set(folders)) == len(folders) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise MitoutsError(f'a file was given twice: {", ".join(names)}')
    return names


def read(path: Path, ann_file: Path | None, args: argparse.Namespace) -> Suspects:
    """Read the labels that a distillation judged."""
    from mitouts.experiments.disagreement import doubted_figures, noisy_images

    return noisy_images(path) if args.about == 'noise' else doubted_figures(path, ann_file, below=args.below)


def compare(suspects: Mapping[str, Suspects], options: Mapping[str, int]) -> dict[str, AucDifference]:
    """Compare the two measures of each distillation, and each measure of the later ones with the first."""
    from mitouts.experiments.disagreement import MEASURES

    (first, start), *others = suspects.items()
    distance, score = MEASURES
    differences = {
        f'{label}: {distance} - {score}': each.difference(distance, each, score, **options)
        for label, each in suspects.items()
    }
    for label, each in others:
        shared = each.shared(start)
        some = '' if shared == len(each.keys) == len(start.keys) else f' ({plural(shared, "label")})'
        for name in MEASURES if shared else ():
            differences[f'{name}: {label} - {first}{some}'] = each.difference(name, start, name, **options)
    return differences


def print_scores(
    scores: Mapping[str, Mapping[str, StratifiedAuc]], differences: Mapping[str, AucDifference], about: str
) -> None:
    """Print a table of areas, and one of differences."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    found = {'noise': 'Mislabelled', 'confidence': 'Doubted'}[about]
    console = Console(soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column('AUC within cases')
    for heading in ('', '95% interval', 'Pooled', found, 'Cases'):
        table.add_column(heading, justify='right', no_wrap=True)
    for label, each in scores.items():
        for name, score in each.items():
            counts = (
                f'{score.positives:,} of {score.positives + score.negatives:,}',
                f'{score.mixed_cases} of {len(score.cases)}',
            )
            areas = _number(score.auc), _interval(score.ci95), _number(score.pooled)
            table.add_row(escape(f'{label}: {name}'), *areas, *counts)
    console.print(table)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column('Difference of the AUC within cases')
    for heading in ('', '95% interval'):
        table.add_column(heading, justify='right', no_wrap=True)
    for name, difference in differences.items():
        table.add_row(escape(name), _number(difference.difference, '+.3f'), _interval(difference.ci95, '+.3f'))
    console.print()
    console.print(table)
    fewest = min(score.mixed_cases for each in scores.values() for score in each.values())
    if fewest < FEW_CASES:
        print(f'only {plural(fewest, "case")} with labels of both kinds: an interval over so few says little')


def _number(value: float | None, form: str = '.3f') -> str:
    return '-' if value is None else format(value, form)


def _interval(interval: Any, form: str = '.3f') -> str:
    return '-' if interval is None else ' to '.join(format(bound, form) for bound in interval)
