"""Choose a model's thresholds anew for another scanner or laboratory, on a few labelled images or slides of it.

    mitouts calibrate best.pth --ann-file labelled.json --num 50 --out best_new.pth
    mitouts calibrate best.pth --ann-file labelled.json --objective localization --adapt-bn --out best_new.pth
    mitouts calibrate best.pth --ann-file labelled.json --rotations 4 --out best_4.pth
    mitouts calibrate best.pth --counts work_dirs/counts --reference known.csv --out best_new.pth

Writes a published copy of the checkpoint: weights as they are (with --adapt-bn, batch-norm statistics of the new
domain), thresholds, drift and where they come from in its meta. The table shows precision, recall and F1 (or the error
of the counts) before and after, and how uncertain so few cases leave the thresholds. The input is never written over.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

import mitouts
from mitouts.calibration.drawing import draw, draw_images, too_few
from mitouts.errors import CheckpointError, ConfigError
from mitouts.functional.thresholds import METHODS
from mitouts.utils.arguments import (
    Gather,
    add_adapt_bn,
    add_checkpoint,
    add_image_root,
    add_imports,
    add_rotations,
    at_least,
    from_args,
    positive,
    share,
)
from mitouts.utils.defaults import CALIBRATION_BOOTSTRAP, FIGURES_PER_MM2, OBJECTIVES, RADIUS_PX
from mitouts.utils.files import file_sha256
from mitouts.utils.words import plural

if TYPE_CHECKING:
    from mitouts.calibration.images import ThresholdSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse_args(argv)

    from mitouts.calibration.images import ThresholdSettings

    check_out(args.out, args.checkpoint)
    console = Console(soft_wrap=True, highlight=False)
    settings = from_args(ThresholdSettings, args)
    if args.ann_file is not None:
        on_images(args, settings, console)
    else:
        on_slides(args, settings, console)
    console.print(f'written to {args.out}', markup=False)
    return 0


def on_images(args: argparse.Namespace, settings: ThresholdSettings, console: Console) -> None:
    """Calibrate on labelled images."""
    from torch.utils.data import Subset

    from mitouts.calibration.adaptation import adapt_batch_norm, dataset_batches
    from mitouts.calibration.images import calibrate_images, calibrated_checkpoint, score_images
    from mitouts.calibration.labelled import open_labelled, with_stain
    from mitouts.calibration.report import image_table, in_px, threshold_change
    from mitouts.checkpoint import config_of, read_checkpoint, write_checkpoint
    from mitouts.datasets.preparation import prepare_dataset
    from mitouts.evaluation.predicting import predict_dataset
    from mitouts.evaluation.slide_threshold import slide_threshold_of
    from mitouts.inference import Localizer
    from mitouts.models.rotations import rotations_of, set_rotations
    from mitouts.registry import components_of

    checkpoint = read_checkpoint(args.checkpoint)
    model = Localizer.from_checkpoint(args.checkpoint, args.device).model
    old = dict(model.calibration)
    if args.stain is not None:
        model.calibration = old = with_stain(old, args.checkpoint, args.stain, args.stain_reference)
    with components_of(args.checkpoint, config_of(checkpoint, args.checkpoint)):
        dataset = open_labelled(
            checkpoint,
            args.checkpoint,
            args.ann_file,
            data_root=args.image_root,
            categories=args.category,
            split=args.split,
            cases=args.cases,
        )
    done = prepare_dataset(dataset, old, str(args.ann_file))
    if done is not None:
        console.print(done, markup=False)
    chosen, held = draw_images([dataset.get_data_info(i)['case_id'] for i in range(len(dataset))], args.num, args.seed)
    labelled, rest = Subset(dataset, chosen), Subset(dataset, held)
    samples, others = (list(predict_dataset(model, images)) for images in (labelled, rest))
    rows, held_out = [], []

    def score_old(name: str) -> None:
        rows.append((name, score_images(model, samples, old, settings.radius_px)))
        if others:
            held_out.append((name, score_images(model, others, old, settings.radius_px)))

    score_old('as it was')
    if args.rotations is not None and args.rotations != rotations_of(old):
        set_rotations(model, args.rotations)
        samples, others = (list(predict_dataset(model, images)) for images in (labelled, rest))
        score_old(plural(args.rotations, 'rotation'))
    adapted = None
    if args.adapt_bn is not None:
        # Not to the others: they show how the model does on images that nobody has touched.
        adapted = adapt_batch_norm(model, dataset_batches(labelled), prior=args.adapt_bn)
        samples, others = (list(predict_dataset(model, images)) for images in (labelled, rest))
        score_old('batch norm adapted')
    result = calibrate_images(model, dataset, samples, settings)
    rows.append(('calibrated', result.results))
    console.print(image_table(f'{plural(len(samples), "image")} that the thresholds were chosen on', rows))
    if others:
        held_out.append(('calibrated', score_images(model, others, result.calibration, settings.radius_px)))
        console.print(image_table(f'{plural(len(others), "labelled image")} of other cases', held_out))
    elif args.num is not None:
        console.print('no case is left that would show how far the thresholds carry', markup=False)
    for name, interval in result.intervals.items():
        console.print(threshold_change(name, old[name], result.calibration[name], interval), markup=False)
    if result.slides is not None:
        change = f'{slide_threshold_of(old).value:.3f} -> {result.slides.value:.3f}'
        console.print(f'slide_threshold: {change}: {result.slides.reason}', markup=False)
    console.print(f'drift: {in_px(old.get("drift_px"))} -> {in_px(result.calibration["drift_px"])}', markup=False)
    labels, cases = [sample.gt_label for sample in samples], [sample.case_id for sample in samples]
    for note in too_few(labels, cases):
        console.print(f'warning: {note}', markup=False, style='yellow')
    provenance = {
        **made_by(args),
        'ann_file': args.ann_file.name,
        'sha256': file_sha256(args.ann_file),
        'images': len(samples),
        'of_images': len(dataset),
        'cases': len(set(cases)),
        'positive_images': sum(labels),
        'selector': args.selector,
        'prevalence': args.prevalence,
        'objective': args.objective,
        'radius_px': args.radius_px,
        'figures_per_mm2': args.figures_per_mm2,
        'rotations': rotations_of(model.calibration),
        'intervals': result.intervals,
        'adapt_bn': None if adapted is None else adapted.to_dict(),
    }
    state = None if adapted is None else model.state_dict()
    write_checkpoint(
        args.out, calibrated_checkpoint(checkpoint, args.checkpoint, result.calibration, provenance, state)
    )


def on_slides(args: argparse.Namespace, settings: ThresholdSettings, console: Console) -> None:
    """Calibrate on counted slides."""
    from mitouts.calibration.images import calibrated_checkpoint
    from mitouts.calibration.report import slide_table, threshold_change
    from mitouts.calibration.slides import calibrate_slides, read_slides
    from mitouts.checkpoint import read_checkpoint, write_checkpoint
    from mitouts.evaluation.slide_threshold import SlideThreshold, slide_threshold_of
    from mitouts.inference import Localizer
    from mitouts.models.rotations import rotations_of

    checkpoint = read_checkpoint(args.checkpoint)
    old = Localizer.from_checkpoint(args.checkpoint).model.calibration
    sha256 = file_sha256(args.checkpoint)
    known, notes = read_slides(
        args.counts,
        args.reference,
        sha256,
        column=args.column,
        radius_px=args.radius_px,
        rotations=rotations_of(old),
    )
    slides = [known[number] for number in draw(len(known), args.num, args.seed)]
    result = calibrate_slides(slides, settings)
    rows = [(f'as counted, at {slides[0].map_threshold:.3f}', result.old), ('calibrated', result.new)]
    if result.left_out is not None:
        rows.append(('each by the others', result.left_out))
    console.print(slide_table(f'{len(slides)} of {len(known)} known slides', rows))
    used = slide_threshold_of(old).value
    console.print(threshold_change('slide_threshold', used, result.map_threshold, result.interval), markup=False)
    console.print('image_threshold and map_threshold: as they were, counting does not use them', markup=False)
    for note in (*notes, *result.notes):
        console.print(f'warning: {note}', markup=False, style='yellow')
    provenance = {
        **made_by(args),
        'reference': args.reference.name,
        'sha256': file_sha256(args.reference),
        'slides': [slide.name for slide in slides],
        'of_slides': len(known),
        'objective': 'count' if slides[0].figures is None else 'localization',
        'radius_px': args.radius_px,
        'intervals': {'slide_threshold': result.interval},
        'errors': {'old': result.old, 'new': result.new, 'left_out': result.left_out},
    }
    objective = 'least error of the count' if slides[0].figures is None else 'largest F1'
    reason = f'{objective} on {len(slides)} slides of {args.reference.name}'
    calibration = {**old, **SlideThreshold(result.map_threshold, reason).to_dict()}
    write_checkpoint(args.out, calibrated_checkpoint(checkpoint, args.checkpoint, calibration, provenance))


def check_out(out: Path, checkpoint: Path) -> None:
    """Refuse to overwrite anything but an earlier result of this tool.

    Raises:
        ConfigError: ``out`` is the input, or another file.
    """
    from mitouts.calibration.images import META_KEY
    from mitouts.checkpoint import read_checkpoint

    if not out.exists():
        return
    if checkpoint.exists() and out.samefile(checkpoint):
        raise ConfigError(f'--out {out} is the checkpoint that is read, which is never written over; choose another')
    try:
        is_ours = META_KEY in read_checkpoint(out)['meta']['mitouts']
    except (CheckpointError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise ConfigError(f'--out {out} was not written by this tool and is not touched; choose another')


def made_by(args: argparse.Namespace) -> dict[str, Any]:
    """Return the entries that the provenance of both kinds begins with."""
    return {
        'checkpoint': args.checkpoint.name,
        'checkpoint_sha256': file_sha256(args.checkpoint),
        'num': args.num,
        'seed': args.seed,
        'version': mitouts.__version__,
    }


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_checkpoint(parser, 'checkpoint', help='best.pth of a training, or a published checkpoint')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--ann-file', type=Path, metavar='JSON', help='annotation file of labelled images')
    what.add_argument('--counts', type=Path, metavar='DIR', help='slides that mitouts count has counted with it')
    parser.add_argument('--out', type=Path, required=True, metavar='CHECKPOINT', help='checkpoint to write')
    parser.add_argument(
        '--num',
        '--num-images',
        '--num-slides',
        dest='num',
        type=at_least(1),
        metavar='K',
        help='use K of them, drawn by --seed; images are drawn from half of the cases (more where these have less than '
        'K), and the other cases show how far the thresholds carry (default: all)',
    )
    parser.add_argument('--seed', type=at_least(0), default=0, help='of the draw and the bootstrap (default: 0)')
    parser.add_argument(
        '--radius-px', type=positive, default=RADIUS_PX, help='of a hit, at the resolution of the model'
    )
    parser.add_argument(
        '--num-bootstrap', type=at_least(0), default=CALIBRATION_BOOTSTRAP, metavar='N', help='replicates'
    )
    add_imports(parser)
    images = parser.add_argument_group('images')
    add_image_root(images)
    images.add_argument('--split', help="only images with this 'split'")
    images.add_argument('--cases', nargs='+', action=Gather, metavar='CASE', help='only images of these cases')
    images.add_argument(
        '--category', type=int, nargs='+', action=Gather, metavar='ID', help="categories that are figures (the model's)"
    )
    images.add_argument(
        '--selector',
        default='max_f1',
        metavar='NAME',
        help=f'how thresholds are chosen: {", ".join(METHODS)}, or a selector of your own (--import)',
    )
    images.add_argument(
        '--objective',
        choices=OBJECTIVES,
        default='image',
        help='the map threshold separates images by their label, or finds the figures best (one-to-one F1)',
    )
    images.add_argument('--prevalence', type=share, help='share of positive images where the model will be used')
    images.add_argument(
        '--figures-per-mm2',
        type=positive,
        default=FIGURES_PER_MM2,
        metavar='RATE',
        help='mitotic figures that a mm2 of a slide is taken to hold when the threshold for slides is chosen '
        f'(default: {FIGURES_PER_MM2:g}, as in the hottest regions of breast cancer)',
    )
    images.add_argument('--image-threshold', type=share, help='of --selector fixed')
    images.add_argument('--map-threshold', type=share, help='of --selector fixed')
    add_rotations(images, "the model's; slides are then counted with it, too")
    add_adapt_bn(images, 'images')
    images.add_argument(
        '--stain',
        metavar='METHOD',
        help='of a model that was trained on images as they are: normalize all images and slides from now on, by '
        'macenko, reinhard, ..., to the colours of --stain-reference',
    )
    images.add_argument(
        '--stain-reference',
        type=Path,
        metavar='IMG',
        help="image, or JSON of mitouts stain-reference: colours of the model's training images",
    )
    images.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1, ...')
    slides = parser.add_argument_group('slides')
    slides.add_argument(
        '--reference',
        type=Path,
        metavar='CSV_OR_JSON',
        help='table with columns slide and COLUMN (the threshold with the least absolute error of the counts is '
        'chosen), or annotation file of whole slides (that with the largest F1)',
    )
    slides.add_argument('--column', default='count', help='column of the table (default: count)')
    return parser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse options that do not go together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if (args.counts is None) != (args.reference is None):
        parser.error('--counts and --reference go together')
    if args.counts is not None and (
        args.adapt_bn is not None
        or args.selector != 'max_f1'
        or args.objective != 'image'
        or args.stain is not None
        or args.rotations is not None
    ):
        parser.error(
            '--adapt-bn, --selector, --objective, --stain and --rotations are for images: slides are counted already'
        )
    if (args.stain is None) != (args.stain_reference is None):
        parser.error('--stain and --stain-reference go together')
    return args
