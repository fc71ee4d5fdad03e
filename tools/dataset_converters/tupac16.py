"""Convert the mitosis labels of TUPAC16 (original or alternative csv files) to an annotation file.

    python tools/dataset_converters/tupac16.py mitoses_ground_truth --image-root images --out data/tupac16.json

SRC holds ``case/region.csv`` with rows ``row,col``, also deeper inside; a .tar.gz or .zip is read as it is:

    SRC/01/01.csv                            or SRC/TUPAC_AL/mitoses_ground_truth/01/01.csv

    DIR/01/01.tif                            or, as downloaded,
    DIR/mitoses_image_data_part_1/01/01.tif  (parts 1 to 3)

A region without a csv is one without figures, so give --image-root: only then are such regions known.
"""

from __future__ import annotations

import argparse

from mitouts.converters.cli import make_parser, write_converted
from mitouts.converters.tupac16 import read_tupac16
from mitouts.utils.cli import run

TOOL = 'tupac16'


def main() -> int:
    args = parse_args()
    source = read_tupac16(args.src, args.image_root, args.origin)
    write_converted(source, args, TOOL, {'origin': args.origin})
    return 0


def parse_args() -> argparse.Namespace:
    parser = make_parser(__doc__, 'tupac16', 'folder, .tar.gz or .zip of the csv files')
    parser.add_argument(
        '--origin',
        type=int,
        choices=(0, 1),
        help='number of the first row and column: 1 in the original release, 0 in the alternative labels '
        '(default: found out)',
    )
    return parser.parse_args()


if __name__ == '__main__':
    run(main)
