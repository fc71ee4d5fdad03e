"""Convert a SlideRunner database to an annotation file.

    python tools/dataset_converters/sliderunner.py MIDOG.sqlite --image-root images --out data/midog21.json
    python tools/dataset_converters/sliderunner.py mine.sqlite --mitotic Mitose --hard-negative 7 --out data/mine.json

MIDOG.sqlite, the TUPAC16 alternative labels and CCMCT are recognised by their slides.
"""

from __future__ import annotations

import argparse

from mitouts.converters.cli import make_parser, write_converted
from mitouts.converters.sliderunner import DATASETS, read_sliderunner
from mitouts.utils.cli import run

TOOL = 'sliderunner'


def main() -> int:
    """Run the tool."""
    args = parse_args()
    options = {
        'mitotic': args.mitotic,
        'hard_negative': args.hard_negative,
        'dataset': args.dataset,
        'keep_empty': args.keep_empty,
    }
    write_converted(read_sliderunner(args.src, **options), args, TOOL, options)
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, list(DATASETS)[:-1], 'a SlideRunner database')
    parser.add_argument('--mitotic', metavar='CLASS', help='name or number of the class of mitotic figures')
    parser.add_argument('--hard-negative', metavar='CLASS', help='name or number of the class of look-alikes')
    parser.add_argument('--dataset', choices=DATASETS, help='the data set, where it is not recognised rightly')
    parser.add_argument('--keep-empty', action='store_true', help='keep slides without any annotation as negative')
    return parser.parse_args()


if __name__ == '__main__':
    run(main)
