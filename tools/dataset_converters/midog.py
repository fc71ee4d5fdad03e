"""Convert MIDOG.json (MIDOG 2021) or MIDOG++.json to an annotation file; which of them it is is found out.

    python tools/dataset_converters/midog.py MIDOG.json --image-root images --out data/midog21.json

    DIR/001.tiff ... DIR/553.tiff

Boxes [x1, y1, x2, y2] become points, unlabelled images are left out, and tumour types, votes and ids are kept. MIDOG
2021 is split as in the UTS paper, MIDOG++ as published (its datasets_xvalidation.csv, which has no validation part, can
be given to --split).
"""

from __future__ import annotations

import argparse

from mitouts.converters.cli import make_parser, write_converted
from mitouts.converters.midog import read_midog
from mitouts.utils.cli import run

TOOL = 'midog'


def main() -> int:
    args = parse_args()
    write_converted(read_midog(args.src), args, TOOL)
    return 0


def parse_args() -> argparse.Namespace:
    return make_parser(__doc__, ('midog21', 'midogpp'), 'MIDOG.json or MIDOG++.json').parse_args()


if __name__ == '__main__':
    run(main)
