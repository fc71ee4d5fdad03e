"""Join the x40 frames of MITOS14 into the areas that they are quarters of: pyramidal TIFFs and their annotations.

    mitouts convert mitos14 mitos14 --image-root mitos14 --out data/mitos14.json
    mitouts join-frames data/mitos14.json --out data/mitos14_areas

writes ``OUT/AREA.tif`` for each area whose frames are all there, and ``OUT/ann.json``: mitouts prepare cuts them into
patches, and mitouts count counts on them as on slides.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mitouts.formats.coco import image_root, read_coco
from mitouts.formats.provenance import check_out
from mitouts.utils.arguments import add_image_root
from mitouts.utils.defaults import AREA_MAGNIFICATIONS
from mitouts.utils.words import plural


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.converters.mitos14_areas import ANN_NAME, TOOL, join_areas

    document = read_coco(args.ann_file)
    check_out(args.out / ANN_NAME, TOOL)
    joined = join_areas(document, image_root(args.ann_file, document, args.image_root), args.out, args.areas)
    print(
        f'{plural(len(joined["images"]), "area")} with {plural(len(joined["annotations"]), "annotated point")} '
        f'written to {args.out}'
    )


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ann_file', type=Path, metavar='ANN.json', help='what mitouts convert mitos14 wrote')
    add_image_root(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='where the areas go')
    parser.add_argument(
        '--areas',
        choices=AREA_MAGNIFICATIONS,
        default='x20',
        help='x20: areas of 4 frames; x10: areas of 16 (default: x20)',
    )
    return parser
