"""Score predicted points against annotated ones: TP, FP, FN, precision, recall and F1 with its 95% interval over cases.

    mitouts evaluate test.json predictions.json --radius-um 7.5 --score-thr 0.5 --by scanner

The table goes to stderr and JSON to stdout (and to ``--out``). A prediction counts when its score is > ``--score-thr``,
by default the threshold that the predictions file holds; the radius is inclusive.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from mitouts.formats.coco import MITOTIC_FIGURE, read_coco, write_json
from mitouts.formats.predictions import map_threshold_of, read_predictions
from mitouts.utils.arguments import Gather, at_least, from_args, positive
from mitouts.utils.defaults import PROTOCOLS

if TYPE_CHECKING:
    from mitouts.functional.localization import LocalizationScores


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.evaluation.scored_file import FileScoring, score_file

    with _collector_paused():
        truth, predictions = read_coco(args.ground_truth), read_predictions(args.predictions)
    origin = 'option'
    if args.score_thr is None:
        args.score_thr, origin = map_threshold_of(args.predictions, predictions, '--score-thr'), 'predictions'
    scores = score_file(from_args(FileScoring, args), truth, predictions)
    uncounted = dict.fromkeys(('tp', 'fp', 'fn')) if scores.is_labelled_only else {}
    result: dict[str, Any] = {
        'ground_truth': args.ground_truth.name,
        'predictions': args.predictions.name,
        'matching': args.matching,
        'radius_px': args.radius_px,
        'radius_um': args.radius_um,
        'score_threshold': args.score_thr,
        'score_threshold_from': origin,
        'categories': args.category,
        'images': scores.images,
        'images_left_out': scores.left_out,
        'images_without_points': scores.without_points,
        'images_without_predictions': scores.without_predictions,
        **_plain(scores.overall),
        **uncounted,
    }
    if args.by:
        groups = {name: {'images': n, **_plain(of), **uncounted} for name, (n, of) in scores.groups.items()}
        result |= {'by': args.by, 'groups': groups}
    if not scores.is_labelled_only:
        told = ' (of the predictions file)' if origin == 'predictions' else ''
        rows = {'all': (scores.images, scores.overall), **scores.groups}
        Console(stderr=True).print(_table(args, rows, told))
    Console(soft_wrap=True).print_json(data=result)
    if args.out:
        write_json(args.out, result)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ground_truth', type=Path, metavar='GT.json', help='annotation file (COCO JSON with points)')
    parser.add_argument('predictions', type=Path, metavar='PRED.json', help='predictions of the same images')
    radius = parser.add_mutually_exclusive_group(required=True)
    radius.add_argument('--radius-px', type=positive, metavar='R', help='largest distance of a hit in pixels')
    radius.add_argument(
        '--radius-um', type=positive, metavar='R', help='the same in micrometres; images need their mpp'
    )
    parser.add_argument('--matching', choices=PROTOCOLS, default='one_to_one', help='protocol (default: one_to_one)')
    parser.add_argument(
        '--score-thr',
        type=_finite,
        metavar='T',
        help='predictions with a score > T count (default: info.map_threshold of the predictions)',
    )
    parser.add_argument(
        '--by', metavar='KEY', help='add a block for each value of this key of images[], such as case_id'
    )
    parser.add_argument(
        '--category', type=int, nargs='+', action=Gather, default=[MITOTIC_FIGURE], metavar='ID',
        help='categories of the annotations to be found (default: 1, mitotic figures)',
    )  # fmt: skip
    parser.add_argument(
        '--num-bootstrap', type=at_least(0), default=1000, help='replicates of the interval (default: 1000)'
    )
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the interval (default: 0)')
    parser.add_argument('--out', type=Path, metavar='OUT.json', help='where the JSON goes as well')
    return parser


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'must be finite, found {text}')
    return value


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the cyclic garbage collector, which would search a million small objects again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _plain(scores: LocalizationScores) -> dict[str, Any]:
    return {key: value for key, value in scores.to_dict().items() if key != 'protocol'}


def _table(args: argparse.Namespace, rows: Mapping[str, tuple[int, LocalizationScores]], told: str) -> Table:
    radius = f'{args.radius_px:g} px' if args.radius_um is None else f'{args.radius_um:g} um'
    table = Table(title=f'{args.matching}, radius {radius}, score > {args.score_thr:g}{told}')
    table.add_column(args.by or '')
    for column in ('images', 'TP', 'FP', 'FN', 'precision', 'recall', 'F1', '95% interval'):
        table.add_column(column, justify='right')
    for name, (num_images, scores) in rows.items():
        low_high = 'not available' if scores.f1_ci95 is None else '{:.3f} - {:.3f}'.format(*scores.f1_ci95)
        ratios = ('n/a' if each is None else f'{each:.3f}' for each in (scores.precision, scores.recall, scores.f1))
        table.add_row(name, str(num_images), str(scores.tp), str(scores.fp), str(scores.fn), *ratios, low_high)
    return table
