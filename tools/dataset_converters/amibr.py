"""Convert AMi-Br to a set of labelled crops: typical against atypical mitotic figures.

    python tools/dataset_converters/amibr.py AMi-Br --out data/amibr.json

SRC is a clone of the data set's repository; the crops stay where they are:

    SRC/AMI-BR.csv
    SRC/patches/normal/MIDOG21_6.png
    SRC/patches/atypical/MIDOG21_7.png

Each crop has a label (1: atypical) and one figure in its middle, with the experts' phases and votes. (amibr_fields.py
makes fields for detection of the same crops.)
"""

from __future__ import annotations

import argparse

from mitouts.converters.amibr import LABELS, read_source
from mitouts.converters.cli import make_parser, write_converted
from mitouts.utils.cli import run

TOOL = 'amibr'


def main() -> int:
    args = parse_args()
    source = read_source(args.src, args.label)
    args.image_root = args.image_root or args.src
    write_converted(source, args, TOOL, {'label': args.label})
    return 0


def parse_args() -> argparse.Namespace:
    parser = make_parser(__doc__, 'amibr', 'folder with AMI-BR.csv and patches/')
    parser.add_argument(
        '--label',
        choices=LABELS,
        default='atypical',
        help='image label: atypical (1) against typical (0) figures, or mitosis (1 for all) (default: atypical)',
    )
    return parser.parse_args()


if __name__ == '__main__':
    run(main)
