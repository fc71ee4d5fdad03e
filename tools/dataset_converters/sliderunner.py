"""Convert a SlideRunner database to an annotation file, or an annotation file to a SlideRunner database.

    python tools/dataset_converters/sliderunner.py MIDOG.sqlite --image-root images --out data/midog21.json
    python tools/dataset_converters/sliderunner.py mine.sqlite --mitotic Mitose --hard-negative 7 --out data/mine.json
    python tools/dataset_converters/sliderunner.py data/mine.json --export --out review.sqlite
    python tools/dataset_converters/sliderunner.py review.sqlite --out data/reviewed.json

MIDOG.sqlite, the TUPAC16 alternative labels and CCMCT are recognised by their slides. A database that ``--export`` made
gives back all of the annotation file, with what was corrected in SlideRunner.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mitouts.converters.cli import make_parser, write_converted
from mitouts.converters.sliderunner import DATASETS, read_sliderunner
from mitouts.converters.sliderunner_writer import write_database
from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_coco
from mitouts.utils.cli import run
from mitouts.utils.words import plural

TOOL = 'sliderunner'


def main() -> int:
    """Run the tool."""
    args = parse_args()
    if args.export:
        export(args.src, args.out, args.overwrite)
        return 0
    options = {
        'mitotic': args.mitotic,
        'hard_negative': args.hard_negative,
        'dataset': args.dataset,
        'keep_empty': args.keep_empty,
    }
    write_converted(read_sliderunner(args.src, **options), args, TOOL, options)
    return 0


def export(src: Path, out: Path, overwrite: bool) -> None:
    """Write an annotation file as a database.

    Raises:
        AnnotationError: The annotation file makes no sense, or ``out`` exists and ``overwrite`` is off: it may hold
            corrections.
    """
    document = read_coco(src, keep_outside=True)
    if out.exists() and not overwrite:
        raise AnnotationError(f'{out} exists and may hold corrections; choose another --out or add --overwrite')
    write_database(out, document)
    print(
        f'{plural(len(document["images"]), "slide")}, {plural(len(document["annotations"]), "annotation")} '
        f'written to {out}',
        file=sys.stderr,
    )


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, list(DATASETS)[:-1], 'a SlideRunner database, or with --export an annotation file')
    parser.add_argument('--mitotic', metavar='CLASS', help='name or number of the class of mitotic figures')
    parser.add_argument('--hard-negative', metavar='CLASS', help='name or number of the class of look-alikes')
    parser.add_argument('--dataset', choices=DATASETS, help='the data set, where it is not recognised rightly')
    parser.add_argument('--keep-empty', action='store_true', help='keep slides without any annotation as negative')
    parser.add_argument('--export', action='store_true', help='write a database from an annotation file')
    parser.add_argument('--overwrite', action='store_true', help='with --export, replace an existing database')
    return parser.parse_args()


if __name__ == '__main__':
    run(main)
