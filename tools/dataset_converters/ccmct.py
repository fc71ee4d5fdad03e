"""Convert CCMCT, 32 whole slides of canine cutaneous mast cell tumours.

    python tools/dataset_converters/ccmct.py data/CCMCT/databases/MITOS_WSI_CCMCT_MEL.sqlite \\
        --image-root data/CCMCT/WSI --out data/CCMCT/mel.json

    CCMCT/
      databases/MITOS_WSI_CCMCT_{MEL,HEAEL,ODAEL}.{sqlite,json}
      WSI/*.svs

SRC is one of the variants: MEL (labelled by experts), HEAEL (hard examples added) or ODAEL (what a detector found
added). Mitotic figures and look-alikes are kept, granulocytes and tumour cells left out. By default all slides are an
external test; ``--split published`` trains on 21 of them and tests on 11.
"""

from __future__ import annotations

import argparse

from mitouts.converters.ccmct import read_ccmct
from mitouts.converters.cli import make_parser, write_converted
from mitouts.utils.cli import run

TOOL = 'ccmct'


def main() -> int:
    """Run the tool."""
    args = parse_args()
    write_converted(read_ccmct(args.src), args, TOOL)
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    return make_parser(__doc__, 'ccmct', 'a variant, as .sqlite or .json').parse_args()


if __name__ == '__main__':
    run(main)
