"""Convert Grand Challenge points files to an annotation file, or an annotation file to points files.

    python tools/dataset_converters/grand_challenge.py points --image-root images --out data/points.json
    python tools/dataset_converters/grand_challenge.py mitotic-figures.json --mpp 0.25 --out data/points.json
    python tools/dataset_converters/grand_challenge.py data/mine.json --export --out points

    points/<image>.json        such as points/007.json or points/007.tiff.json

Points are in millimetres, so the resolution of the images must be known; with ``--pixels`` they are pixels, as the
format has them for images without a resolution. Probabilities are kept as ``score``.
"""

from __future__ import annotations

import argparse
import sys

from mitouts.converters.cli import make_parser, write_converted, write_folder
from mitouts.formats.coco import read_coco
from mitouts.formats.grand_challenge import export_points, read_grand_challenge, write_points
from mitouts.utils.cli import run
from mitouts.utils.words import plural

TOOL = 'grand_challenge'


def main() -> int:
    """Run the tool."""
    args = parse_args()
    if args.export:
        document = read_coco(args.src, keep_outside=True)
        write_folder(args.out, export_points(document), write_points, overwrite=args.overwrite)
        in_pixels = sum(image['mpp'] is None for image in document['images'])
        print(f'{plural(len(document["images"]), "file")} written to {args.out}', file=sys.stderr)
        if in_pixels:
            print(f'- {in_pixels} of them in pixels, because no mpp is known for their images', file=sys.stderr)
        return 0
    source = read_grand_challenge(args.src, mpp=args.mpp, image_root=args.image_root, in_pixels=args.pixels)
    write_converted(source, args, TOOL, {'pixels': args.pixels})
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__, 'grand_challenge', 'a points file, or a folder of them; with --export an annotation file'
    )
    parser.add_argument('--pixels', action='store_true', help='the points are in pixels')
    parser.add_argument('--export', action='store_true', help='write points files from an annotation file')
    parser.add_argument('--overwrite', action='store_true', help='with --export, replace existing files')
    return parser.parse_args()


if __name__ == '__main__':
    run(main)
