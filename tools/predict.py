"""Find mitotic figures in images without labels."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.progress import track

from mitouts.errors import ImageError, MitoutsError
from mitouts.exchange.predictions import write_predictions
from mitouts.imaging.image import SUFFIXES, read_rgb, write_rgb
from mitouts.inference import Localizer
from mitouts.inference.adaptation import adapt_to_files, add_adapt_bn
from mitouts.utils.cli import run
from mitouts.visualization.overlay import draw_overlay


def find_images(sources: list[str]) -> list[Path]:
    """The files named, and all images below the folders named, in order and once each."""
    found: list[Path] = []
    for source in map(Path, sources):
        if source.is_dir():
            found += sorted(path for path in source.rglob('*') if path.suffix.lower() in SUFFIXES)
        elif source.is_file():
            found.append(source)
        else:
            raise ImageError(f'{source} does not exist')
    if not found:
        raise ImageError(f'no image ({", ".join(SUFFIXES)}) in {" ".join(sources)}')
    return list(dict.fromkeys(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('inputs', nargs='+', metavar='IMAGES', help='image files or folders, then the CHECKPOINT')
    parser.add_argument('checkpoint', help='checkpoint with thresholds (best.pth, or a published one)')
    parser.add_argument('--out', required=True, help='predictions to write, JSON')
    parser.add_argument('--show-dir', help='folder for one overlay an image')
    parser.add_argument('--mpp', type=float, help='micrometres per pixel of the images (default: as the model)')
    add_adapt_bn(parser, 'images')
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1, ...')
    args = parser.parse_args()
    localizer = Localizer.from_checkpoint(args.checkpoint, args.device)
    if localizer.mpp is not None and args.mpp is None:
        print(f'images are taken to have {localizer.mpp} um/px, as the model; --mpp says otherwise', file=sys.stderr)
    threshold = localizer.model.calibration['map_threshold']
    images = find_images(args.inputs)
    adapted = {}
    if args.adapt_bn is not None:
        adapted = {'adapt_bn': adapt_to_files(localizer, images, args.mpp, prior=args.adapt_bn).to_dict()}
    entries, failed, figures = [], 0, 0
    for number, path in enumerate(track(images, description='predicting'), start=1):
        try:
            image = read_rgb(path)
            prediction = localizer.predict(image, args.mpp)
        except MitoutsError as error:
            print(f'skipped: {error}', file=sys.stderr)
            failed += 1
            continue
        figures += len(prediction.figures)
        entries.append(
            {
                'image_id': number,
                'file_name': str(path),
                'score': prediction.score,
                'points': prediction.points.tolist(),
            }
        )
        if args.show_dir:
            mpp = args.mpp or localizer.mpp
            overlay = draw_overlay(image, None, prediction.figures, threshold=threshold, radius_px=30, mpp=mpp)
            write_rgb(Path(args.show_dir) / f'{path.stem}_{number:05d}.png', overlay)
    info = {'checkpoint': Path(args.checkpoint).name, **localizer.model.calibration, **adapted}
    write_predictions(args.out, entries, info)
    print(f'{figures} mitotic figures in {len(entries)} images, written to {args.out}; {failed} images skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    run(main)
