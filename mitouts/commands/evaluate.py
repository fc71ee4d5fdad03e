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
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import MITOTIC_FIGURE, read_coco, write_json
from mitouts.formats.image_truths import image_truths
from mitouts.formats.predictions import Predictions, map_threshold_of, read_predictions
from mitouts.structures.image_record import ImageTruth
from mitouts.utils.arguments import Gather, at_least, positive
from mitouts.utils.defaults import PROTOCOLS

if TYPE_CHECKING:
    from mitouts.functional.localization import LocalizationScores

NO_POINTS = np.zeros((0, 3))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.functional.localization import count_points

    with _collector_paused():
        truth, predictions = read_coco(args.ground_truth), read_predictions(args.predictions)
    origin = 'option'
    if args.score_thr is None:
        args.score_thr, origin = map_threshold_of(args.predictions, predictions, '--score-thr'), 'predictions'
    known = _truths(args, truth)
    # A patch that shows only parts of figures is neither positive nor negative; the data set leaves it out as well.
    clear = [image for image in truth['images'] if not known[image['id']].is_ambiguous]
    images = [image for image in clear if known[image['id']].is_located]
    if len(images) < len(clear):
        warnings.warn(
            f'{args.ground_truth}: {len(clear) - len(images)} of {len(clear)} images are labelled positive without an '
            'annotated point, so nothing can be said about where their figures are; they are left out',
            AnnotationWarning,
            stacklevel=1,
        )
    num_missing = _check_images(args, truth['images'], images, predictions)
    predicted = predictions.images
    counts = count_points(
        [predicted[image['id']].points if image['id'] in predicted else NO_POINTS for image in images],
        [known[image['id']].counted_points for image in images],
        ignored=[known[image['id']].ignored for image in images],
        radius_px=_radius_px(args, images),
        threshold=args.score_thr,
        protocol=args.matching,
    )
    cases = np.array([image['case_id'] for image in images])
    # With labels alone the negative images are left, and their counts are no result.
    is_labelled_only = len(images) < len(clear) and not any(len(known[image['id']].points) for image in images)
    uncounted = dict.fromkeys(('tp', 'fp', 'fn')) if is_labelled_only else {}
    overall = _score(args, counts, cases)
    groups: dict[str, dict[str, Any]] = {}
    tables = [('all', len(images), overall)]
    if args.by:
        group = _groups(args, images)
        for name in np.unique(group).tolist():
            members = group == name
            scores = _score(args, counts[members], cases[members])
            tables.append((name, int(members.sum()), scores))
            groups[name] = {'images': int(members.sum()), **_plain(scores), **uncounted}
    result = {
        'ground_truth': args.ground_truth.name,
        'predictions': args.predictions.name,
        'matching': args.matching,
        'radius_px': args.radius_px,
        'radius_um': args.radius_um,
        'score_threshold': args.score_thr,
        'score_threshold_from': origin,
        'categories': args.category,
        'images': len(images),
        'images_left_out': len(truth['images']) - len(images),
        'images_without_points': len(clear) - len(images),
        'images_without_predictions': num_missing,
        **_plain(overall),
        **uncounted,
    }
    if args.by:
        result |= {'by': args.by, 'groups': groups}
    if not is_labelled_only:
        told = ' (of the predictions file)' if origin == 'predictions' else ''
        Console(stderr=True).print(_table(args, tables, told))
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


def _check_images(
    args: argparse.Namespace, known: list[dict[str, Any]], images: list[dict[str, Any]], predictions: Predictions
) -> int:
    """Refuse predictions of other images; returns the number of images without predictions."""
    unknown = sorted(set(predictions.images) - {image['id'] for image in known})
    if unknown:
        listed = ', '.join(map(str, unknown[:5])) + (', ...' if len(unknown) > 5 else '')
        raise AnnotationError(
            f'{args.predictions}: {len(unknown)} of {len(predictions.images)} image ids are not in {args.ground_truth} '
            f'({listed}); predict the images of that very file'
        )
    num_missing = len({image['id'] for image in images} - set(predictions.images))
    if num_missing:
        warnings.warn(
            f'{args.predictions} says nothing of {num_missing} of {len(images)} images; their figures count as missed',
            AnnotationWarning,
            stacklevel=2,
        )
    return num_missing


def _truths(args: argparse.Namespace, truth: dict[str, Any]) -> dict[int, ImageTruth]:
    names = {category['id']: category['name'] for category in truth['categories']}
    unknown = [category for category in args.category if category not in names]
    if unknown:
        known = ', '.join(f'{key} ({name})' for key, name in sorted(names.items()))
        raise AnnotationError(f'{args.ground_truth} has no category {unknown[0]}; it has {known}')
    return image_truths(truth, args.category)


def _radius_px(args: argparse.Namespace, images: list[dict[str, Any]]) -> float | list[float]:
    if args.radius_um is None:
        return args.radius_px
    unknown = [image for image in images if image['mpp'] is None]
    if unknown:
        raise AnnotationError(
            f'{args.ground_truth}: {len(unknown)} of {len(images)} images have no mpp, the first is image '
            f'{unknown[0]["id"]} ({unknown[0]["file_name"]}); add it or give --radius-px'
        )
    return [args.radius_um / image['mpp'] for image in images]


def _groups(args: argparse.Namespace, images: list[dict[str, Any]]) -> NDArray[np.str_]:
    without = [image for image in images if args.by not in image]
    if without:
        raise AnnotationError(
            f'{args.ground_truth}: {len(without)} of {len(images)} images have no key {args.by!r}; image '
            f'{without[0]["id"]} has {", ".join(without[0])}'
        )
    return np.array([str(image[args.by]) for image in images])


def _score(args: argparse.Namespace, counts: NDArray[np.int64], cases: NDArray[np.str_]) -> LocalizationScores:
    from mitouts.functional.localization import scores_from_counts

    return scores_from_counts(
        counts, protocol=args.matching, cases=cases.tolist(), num_bootstrap=args.num_bootstrap, seed=args.seed
    )


def _plain(scores: LocalizationScores) -> dict[str, Any]:
    return {key: value for key, value in scores.to_dict().items() if key != 'protocol'}


def _table(args: argparse.Namespace, rows: list[tuple[str, int, LocalizationScores]], told: str) -> Table:
    radius = f'{args.radius_px:g} px' if args.radius_um is None else f'{args.radius_um:g} um'
    table = Table(title=f'{args.matching}, radius {radius}, score > {args.score_thr:g}{told}')
    table.add_column(args.by or '')
    for column in ('images', 'TP', 'FP', 'FN', 'precision', 'recall', 'F1', '95% interval'):
        table.add_column(column, justify='right')
    for name, num_images, scores in rows:
        low_high = 'not available' if scores.f1_ci95 is None else '{:.3f} - {:.3f}'.format(*scores.f1_ci95)
        ratios = ('n/a' if each is None else f'{each:.3f}' for each in (scores.precision, scores.recall, scores.f1))
        table.add_row(name, str(num_images), str(scores.tp), str(scores.fp), str(scores.fn), *ratios, low_high)
    return table
