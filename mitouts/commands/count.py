"""Count mitotic figures on whole slides: mitotic activity index, per mm2, per 10 fields, and the hottest region.

    mitouts count slide.svs --out counts
    mitouts count slide.svs --checkpoint best.pth --out counts
    mitouts count cohort.csv --checkpoint best.pth --tissue tissue.pth --out counts --resume
    torchrun --nproc_per_node 4 --max-restarts 3 -m mitouts count slides --checkpoint best.pth --resume

Without a model, the starter model of the package is used (mitouts models starter). Each slide gets a folder in OUT:
report.json, figures.csv, qupath.geojson, grand_challenge.json, predictions.json and overview.png. All slides together
are in OUT/counts.csv, a slide that failed with the reason; slides of one name are told apart by their folders. With
--resume, finished slides are left alone and a slide that was interrupted goes on with its next band of tiles. The exit
code is 1 where a slide failed; of several processes, the one that ends last says so.
For research use only.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mitouts.errors import MitoutsError
from mitouts.formats.slide_reports import REPORT_NAME
from mitouts.utils.arguments import (
    Gather,
    add_checkpoint,
    add_imports,
    add_rotations,
    at_least,
    from_args,
    not_negative,
    positive,
    share,
)
from mitouts.utils.defaults import FIELD_DIAMETER_MM, MIN_AREA_MM2, ROI_AREAS_MM2
from mitouts.zoo import STARTER, starter

if TYPE_CHECKING:
    from mitouts.wsi.steps import CountArguments

FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = build_parser()
    # Options may stand between the slides and the checkpoint.
    args = parser.parse_intermixed_args(argv)
    if args.last is not None and args.checkpoint is not None:
        parser.error(f'two models are given, --checkpoint {args.checkpoint} and {args.last}')
    args.checkpoint = args.checkpoint or args.last or starter()

    from mitouts.wsi.steps import CountArguments

    return count_slides(from_args(CountArguments, args))


def count_slides(args: CountArguments) -> int:
    """Count slides and show the progress.

    Returns:
        The exit code: 1 where a slide failed.
    """
    warnings.filterwarnings('ignore', message='.*MultiScaleDeformableAttention.*')

    from mitouts.formats.regions import read_regions
    from mitouts.inference.training_record import introduce
    from mitouts.wsi.cohort import count_cohort, find_slides, share_out
    from mitouts.wsi.counting import Models, SlideCounter, write_all
    from mitouts.wsi.processes import device_of, make_folder, process_of
    from mitouts.wsi.summary import outcome_tables

    rank, ranks = process_of(os.environ)
    # Of several processes one may have ended before another begins, so they always go on with what is there.
    resume = args.resume or ranks > 1
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    slides, notes = find_slides(args.slides)
    if not resume and any(args.out.glob(f'*/{REPORT_NAME}')):
        raise MitoutsError(f'{args.out} holds counts already: add --resume to go on there, or choose another --out')
    if args.roi is not None:
        read_regions(args.roi, classes=args.roi_class)
    device = device_of(args.device)
    make_folder(args.out)
    models = Models(args, device)
    counter = SlideCounter(models, args, console)
    console.print(introduce(args.checkpoint), markup=False)
    for note in notes:
        console.print(f'- {note}', markup=False)
    if models.threshold_doubt is not None:
        console.print(f'warning: {models.threshold_doubt}', markup=False)
    count_cohort(
        share_out(slides, rank, ranks), args.out, counter.count, counter.stamp, resume=resume, told=counter.tell
    )
    outcomes = write_all(slides, args.out)
    console.print(f'written to {args.out / "counts.csv"}', markup=False)
    is_open = any(outcome.report is None and outcome.reason is None for outcome in outcomes)
    if is_open and ranks > 1:
        console.print('other processes are not done yet')
        # torchrun ends all of them when one says that it failed.
        return 0
    for table in outcome_tables(outcomes):
        console.print(table)
    return FAILED if is_open or any(outcome.reason for outcome in outcomes) else 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'slides',
        type=Path,
        metavar='SLIDE_OR_DIR_OR_LIST',
        help='a slide, a folder that holds slides, a .txt of paths, or a .csv with a column slide (and mpp, roi)',
    )
    add_checkpoint(parser, 'last', nargs='?', metavar='CHECKPOINT', help='the checkpoint, instead of --checkpoint')
    add_checkpoint(
        parser,
        '--checkpoint',
        help=f'model that finds the figures: a file, or a name out of the zoo (default: {STARTER}, of the zoo)',
    )
    add_imports(parser)
    where = parser.add_mutually_exclusive_group()
    add_checkpoint(where, '--tissue', metavar='CHECKPOINT', help='tissue model that says where tumour is')
    where.add_argument('--roi', type=Path, metavar='GEOJSON', help='polygons in which figures are counted, instead')
    parser.add_argument(
        '--roi-class',
        nargs='+',
        action=Gather,
        metavar='CLASS',
        help='only polygons of these classes, such as tumour or Tumor (default: all)',
    )
    parser.add_argument('--mpp', type=positive, help='um per pixel of level 0, where a slide is silent or wrong')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/wsi'), help='results (default: work_dirs/wsi)')
    parser.add_argument('--resume', action='store_true', help='leave finished slides alone, go on with the others')
    parser.add_argument('--threshold', type=share, help="cut of the score map instead of the checkpoint's own")
    add_rotations(parser, "the number that the model's thresholds were chosen with")
    parser.add_argument(
        '--roi-mm2',
        type=positive,
        nargs='+',
        action=Gather,
        default=list(ROI_AREAS_MM2),
        metavar='AREA',
        help='areas of the hottest regions (default: 1.59 2.0 2.37)',
    )
    parser.add_argument(
        '--field-diameter-mm',
        type=positive,
        default=FIELD_DIAMETER_MM,
        help=f'diameter of a high-power field (default: {FIELD_DIAMETER_MM})',
    )
    parser.add_argument(
        '--min-area-mm2',
        type=not_negative,
        default=MIN_AREA_MM2,
        metavar='AREA',
        help=f'counted area that a slide needs for rates; 0 gives them for any (default: {MIN_AREA_MM2})',
    )
    parser.add_argument('--device', help='cpu or cuda (default: cuda where there is a GPU)')
    parser.add_argument('--half', action='store_true', help='float16, on a GPU')
    parser.add_argument(
        '--workers', type=at_least(1), default=min(os.cpu_count() or 1, 4), help='threads that read tiles'
    )
    parser.add_argument('--batch', type=at_least(1), default=1, help='tiles that go through the network together')
    parser.add_argument('--tile-px', type=at_least(64), help='side of a tile (default: what the memory allows)')
    return parser
