"""Draw sheets of images: what a Teacher rejected, or what two models found on the same images.

    mitouts hard-samples work_dirs/demo/distill/hard_samples.json --out rejected.png
    mitouts hard-samples work_dirs/demo/distill/hard_samples.json \\
        --reason no_prediction --out none.png
    mitouts hard-samples --compare plain.json constrained.json --labels Plain Constrained \\
        --ann-file data/amibr_fields/test.json --out compared.png

Rejected images are sorted by the distance between prediction and annotation, the largest first. Compared images are
sorted by how far the two models' points lie apart; a point without a partner counts as the radius. A sheet has its
text in 8 pt when it is printed 16 cm wide.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitouts.errors import MitoutsError
from mitouts.formats.coco import MITOTIC_FIGURE, image_root, read_coco
from mitouts.formats.image_truths import image_truths
from mitouts.formats.predictions import map_threshold_of, read_predictions
from mitouts.utils.arguments import Gather, add_image_root, at_least, positive
from mitouts.utils.words import case_words


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)

    from mitouts.visualization.print_figure import check_suffix

    check_suffix(args.out, ('.png',))
    (compare if args.compare else show_rejected)(args)
    print(args.out)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('samples', nargs='?', type=Path, metavar='HARD_SAMPLES.json', help='what a distillation wrote')
    parser.add_argument('--compare', nargs=2, type=Path, metavar=('A.json', 'B.json'), help='predictions of two models')
    parser.add_argument(
        '--ann-file', type=Path, metavar='ANN.json', help='annotations; says which samples are noise, if it knows'
    )
    add_image_root(parser, 'folder of the images (default: as the files say)')
    parser.add_argument('--out', type=Path, required=True, metavar='PNG', help='written')
    parser.add_argument('--num', type=at_least(1), help='images (default: 24, compared: 8)')
    parser.add_argument('--columns', type=at_least(1), help='images in a row (default: 5, compared: 2 pairs)')
    parser.add_argument('--reason', help='only samples with this reason')
    parser.add_argument(
        '--verdict', choices=('drop', 'keep', 'all'), default='drop', help='which samples (default: drop, the rejected)'
    )
    parser.add_argument('--labels', nargs=2, metavar='LABEL', help='names of the compared (default: their paths)')
    parser.add_argument(
        '--thresholds', nargs=2, type=float, metavar='T', help='on the scores (default: info.map_threshold of each)'
    )
    parser.add_argument(
        '--category',
        type=int,
        nargs='+',
        action=Gather,
        default=[MITOTIC_FIGURE],
        metavar='ID',
        help='annotations that are compared',
    )
    parser.add_argument('--radius-px', type=positive, default=30.0, metavar='R', help='of a hit (default: 30)')
    parser.add_argument('--title', default='', help='above the sheet')
    return parser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse options that do not go together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if bool(args.samples) == bool(args.compare):
        parser.error('expected either HARD_SAMPLES.json or --compare A.json B.json')
    if args.compare and args.ann_file is None:
        parser.error('--compare needs --ann-file, the annotations that both are compared with')
    return args


def show_rejected(args: argparse.Namespace) -> None:
    """Draw the rejected samples, the largest disagreement first."""
    from mitouts.formats.hard_samples import read_hard_samples
    from mitouts.imaging.image import read_rgb
    from mitouts.visualization.canvas import write_png
    from mitouts.visualization.hard_sample_choice import caption, choose_samples
    from mitouts.visualization.hard_sample_sheet import CaptionedPicture, draw_hard_sample, hard_sample_key, sheet

    document = read_hard_samples(args.samples)
    chosen = choose_samples(args.samples, document['images'], args.verdict, args.reason)
    noisy = None
    if args.ann_file is not None:
        images = read_coco(args.ann_file)['images']
        if any('is_noise' in image for image in images):
            noisy = {image['id'] for image in images if image.get('is_noise')}
    root = args.image_root or sample_root(args, document['info'])
    shown = chosen[: args.num or 24]
    tiles = []
    for sample in shown:
        predicted = np.asarray(sample.get('predicted_points') or [], dtype=np.float64).reshape(-1, 3)[:, :2]
        image = read_rgb(Path(root) / sample['file_name'])
        picture = draw_hard_sample(image, sample.get('annotated_points') or [], predicted)
        tiles.append(CaptionedPicture(picture, caption(sample, noisy)))
    write_png(args.out, sheet(tiles, args.columns or 5, title=args.title, entries=hard_sample_key()))
    print(f'{len(shown)} of {len(chosen)} samples, of {len(document["images"])} that were judged')


def sample_root(args: argparse.Namespace, info: dict[str, Any]) -> Path:
    """Return the folder of the images: that of the annotation file, or the one that the samples state.

    Raises:
        MitoutsError: Neither is known.
    """
    if args.ann_file is not None:
        return image_root(args.ann_file, read_coco(args.ann_file))
    if 'image_root' not in info:
        raise MitoutsError(f'{args.samples} does not say where its images are: give --image-root or --ann-file')
    return args.samples.parent / info['image_root']


def compare(args: argparse.Namespace) -> None:
    """Draw the images on which two models differ most, side by side."""
    from mitouts.imaging.image import read_rgb
    from mitouts.visualization.canvas import write_png
    from mitouts.visualization.hard_sample_sheet import ModelPoints, compare_tiles, difference_px, outcome_key, sheet

    document = read_coco(args.ann_file)
    models = [read_predictions(path) for path in args.compare]
    thresholds = args.thresholds or [
        map_threshold_of(path, model, '--thresholds') for path, model in zip(args.compare, models)
    ]
    truths = image_truths(document, args.category)
    images = {image['id']: image for image in document['images']}
    common = [image_id for image_id in images if all(image_id in model.images for model in models)]
    if not common:
        raise MitoutsError(
            f'no image of {args.ann_file} is in both {args.compare[0]} and {args.compare[1]}: expected predictions of '
            'these images'
        )
    if len(common) < len(images):
        print(f'warning: {len(images) - len(common)} of {len(images)} images lack a prediction', file=sys.stderr)
    pairs = {
        image_id: [
            ModelPoints(model.images[image_id].points, threshold) for model, threshold in zip(models, thresholds)
        ]
        for image_id in common
    }
    apart = {key: difference_px(pair[0].counted, pair[1].counted, args.radius_px) for key, pair in pairs.items()}
    order = sorted(common, key=lambda image_id: -apart[image_id])[: args.num or 8]
    root = image_root(args.ann_file, document, args.image_root)
    tiles = []
    for image_id in order:
        image = images[image_id]
        picture = read_rgb(root / image['file_name'], (image['width'], image['height']))
        name = f'{case_words(image["case_id"])}, image {image_id}'
        truth = truths[image_id].points if truths[image_id].is_located else None
        tiles += compare_tiles(picture, truth, pairs[image_id], args.radius_px, name)
    labels = args.labels or [str(path) for path in args.compare]
    columns = 2 * min(args.columns or 2, len(order))
    key = outcome_key(args.radius_px)
    write_png(
        args.out, sheet(tiles, columns, title=args.title, subtitles=labels * (columns // 2), together=2, entries=key)
    )
    differ = sum(value > 0 for value in apart.values())
    print(f'{len(order)} of {len(common)} images; {labels[0]} and {labels[1]} differ on {differ}')
