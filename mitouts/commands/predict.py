"""Find mitotic figures in images without labels.

    mitouts predict image.png --mpp 0.25 --out predictions.json --show-dir overlays
    mitouts predict fields/ more.png best.pth --mpp 0.25 --out predictions.json
    mitouts predict data/midog21/test.json best.pth --out predictions.json

Without a model, the starter model of the package is used (mitouts models starter). The images of an annotation file
(.json) keep their numbers, resolution and case; its labels are not used. All images are brought to the resolution and
the colours that the model was trained on. For research use only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from mitouts.errors import ConfigError, ImageError, MitoutsError
from mitouts.formats.predictions import read_predictions, write_predictions
from mitouts.imaging.walk import find_images, slide_file
from mitouts.utils.arguments import add_adapt_bn, add_checkpoint, add_imports, add_rotations, positive
from mitouts.utils.files import write_folder
from mitouts.utils.text_files import write_json
from mitouts.utils.words import plural
from mitouts.zoo import STARTER, starter

if TYPE_CHECKING:
    from mitouts.inference.images import ImagePredictor, ImageSource


def list_images(source: Path, leave_out: list[str]) -> list[Path]:
    """List the file, or all images in the folder and below it; folders in ``leave_out`` are not searched."""
    if not source.is_dir():
        if not source.exists():
            raise ImageError(f'{source} does not exist')
        return [slide_file(source)]
    found, notes = find_images(source, leave_out=leave_out)
    for note in notes:
        print(f'note: {note}', file=sys.stderr)
    if not found:
        raise ImageError(f'no image in {source}')
    return found


def find_sources(path: Path, mpp: float | None, leave_out: list[str]) -> list[ImageSource]:
    """Find the images of one argument: a file, those of a folder, or those of an annotation file."""
    from mitouts.inference.images import ImageSource, sources_of_annotations, stated_mpp

    if path.suffix.lower() == '.json':
        return sources_of_annotations(path, mpp)
    return [ImageSource(image, mpp or stated_mpp(image)) for image in list_images(path, leave_out)]


def tell_colours(predictor: ImagePredictor) -> None:
    """Print how the images' colours are normalized."""
    preparer = predictor.localizer.preparer
    if preparer.normalizer is None:
        return
    count, over = predictor.normalizes, preparer.measured_over
    print(
        f'{count} of {len(predictor.sources)} images are normalized by {preparer.normalizer.name} to the stain '
        f"reference of the model's training, measured over each {over}",
        file=sys.stderr,
    )
    if over == 'case' and count and any(source.case_id is None for source in predictor.sources):
        print(
            'warning: the model was trained with the stain measured over cases, and the case of some images is '
            'unknown, so it is measured over each of them: give an annotation file with their case_id',
            file=sys.stderr,
        )


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IMAGES',
        help='image files, folders or annotation files; the last word may be the checkpoint, if it ends in .pth',
    )
    add_checkpoint(
        parser,
        '--checkpoint',
        help=f'model with thresholds: a file, or a name out of the zoo (default: {STARTER}, of the zoo)',
    )
    parser.add_argument('--out', required=True, help='predictions to write, JSON')
    parser.add_argument('--show-dir', help='folder for one overlay an image')
    parser.add_argument(
        '--mpp', type=positive, help='micrometres per pixel of all images (default: as each file says, or as the model)'
    )
    parser.add_argument(
        '--is-normalized',
        action='store_true',
        help="the images have the model's colours already; patches of mitouts prepare are known by themselves",
    )
    parser.add_argument(
        '--qupath', type=Path, metavar='DIR', help='folder for one GeoJSON an image, which QuPath opens'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the files in --qupath')
    add_rotations(parser, "the number that the model's thresholds were chosen with")
    add_adapt_bn(parser, 'images')
    add_imports(parser)
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1, ...')
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.checkpoint is None and args.inputs[-1].endswith('.pth'):
        args.checkpoint = Path(args.inputs.pop())
    if not args.inputs:
        parser.error('expected IMAGES beside the model')
    args.checkpoint = args.checkpoint or starter()

    from mitouts.calibration.adaptation import adapt_to_images
    from mitouts.converters.qupath_predictions import export_predictions
    from mitouts.functional.he_colours import colour_doubt
    from mitouts.imaging.image import write_rgb
    from mitouts.inference import Localizer
    from mitouts.inference.images import ImagePredictor
    from mitouts.inference.training_record import introduce
    from mitouts.visualization.overlay import draw_overlay

    localizer = Localizer.from_checkpoint(args.checkpoint, args.device, rotations=args.rotations)
    print(introduce(args.checkpoint), file=sys.stderr)
    if localizer.threshold_doubt is not None:
        print(f'warning: {localizer.threshold_doubt}', file=sys.stderr)
    leave_out = [args.show_dir] if args.show_dir else []
    sources = [source for path in args.inputs for source in find_sources(Path(path), args.mpp, leave_out)]
    sources = list({source.path.resolve(): source for source in sources}.values())
    if localizer.mpp is not None and any(source.mpp is None for source in sources):
        print(
            f'images that do not say their resolution are taken to have {localizer.mpp:g} um/px, as the model; --mpp '
            'says otherwise',
            file=sys.stderr,
        )
    threshold = localizer.model.calibration['map_threshold']
    predictor = ImagePredictor(localizer, sources, is_normalized=args.is_normalized)
    tell_colours(predictor)
    adapted = {}
    if args.adapt_bn is not None:
        adapted = {'adapt_bn': adapt_to_images(predictor, prior=args.adapt_bn).to_dict()}
        predictor.unmeasured.clear()
    if args.qupath and not args.overwrite and any(args.qupath.rglob('*.geojson')):
        raise ConfigError(f'--qupath {args.qupath} holds GeoJSON, perhaps corrected: name another, or add --overwrite')
    # An annotation file's own numbers, so that the predictions can be compared with it.
    numbers = list(dict.fromkeys(source.image_id for source in sources if source.image_id is not None))
    if len(numbers) < len(sources):
        numbers = list(range(1, len(sources) + 1))
    entries, failed, figures = [], 0, 0
    for number, source in zip(numbers, track(sources, description='predicting')):
        path = source.path
        try:
            image, prediction = predictor.predict(source)
        except MitoutsError as error:
            print(f'skipped: {error}', file=sys.stderr)
            failed += 1
            continue
        doubt = colour_doubt(image)
        if doubt is not None:
            print(f'warning: {path}: {doubt}', file=sys.stderr)
        figures += len(prediction.figures)
        entries.append(replace(prediction, image_id=number, file_name=str(path)))
        if args.show_dir:
            mpp = source.mpp or localizer.mpp
            overlay = draw_overlay(image, None, prediction.figures, threshold=threshold, radius_px=30, mpp=mpp)
            write_rgb(Path(args.show_dir) / f'{path.stem}_{number:05d}.png', overlay)
    for path in predictor.unmeasured:
        print(f'warning: {path} kept its colours: its stain could not be measured', file=sys.stderr)
    info = {'checkpoint': Path(args.checkpoint).name, **localizer.model.calibration, **adapted}
    write_predictions(args.out, entries, info)
    if args.qupath:
        files = export_predictions(read_predictions(args.out), threshold=threshold)
        write_folder(args.qupath, files, write_json, overwrite=args.overwrite)
    print(
        f'{plural(figures, "mitotic figure")} in {plural(len(entries), "image")}, written to {args.out}; '
        f'{plural(failed, "image")} skipped'
    )
    return 1 if failed else 0
