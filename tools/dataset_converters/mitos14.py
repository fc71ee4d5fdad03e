"""Convert the mitosis labels of MITOS-ATYPIA 2014 (MITOS14) to an annotation file.

    python tools/dataset_converters/mitos14.py mitos14 --image-root mitos14 --out data/mitos14.json

SRC holds the csv files of frames at x40 with rows ``x,y,confidence``, and DIR their images, as the challenge lays them
out (other trees with the same file names do as well; frames at x10 and x20 are passed over):

    SRC/A03/mitosis/A03_00Aa_mitosis.csv
    SRC/A03/mitosis/A03_00Aa_not_mitosis.csv
    DIR/A03/frames/x40/A03_00Aa.tiff

Slides A03 (Aperio) and H03 (Hamamatsu) are one biopsy, and so one case.
"""

from __future__ import annotations

import argparse

from mitouts.converters.cli import make_parser, write_converted
from mitouts.converters.mitos14 import read_mitos14
from mitouts.utils.cli import run

TOOL = 'mitos14'


def main() -> int:
    args = parse_args()
    write_converted(read_mitos14(args.src, args.image_root), args, TOOL)
    return 0


def parse_args() -> argparse.Namespace:
    return make_parser(__doc__, 'mitos14', 'folder, .zip or .tar.gz of the csv files').parse_args()


if __name__ == '__main__':
    run(main)
