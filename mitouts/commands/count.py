"""Count mitotic figures on whole slides: mitotic activity index, per mm2, per 10 fields, and the hottest region.

    python tools/wsi/count_mitoses.py slide.svs --checkpoint best.pth --out counts
    python tools/wsi/count_mitoses.py cohort.csv --checkpoint best.pth --tissue tissue.pth --out counts --resume
    torchrun --nproc_per_node 4 --max-restarts 3 tools/wsi/count_mitoses.py slides --checkpoint best.pth --resume

Each slide gets a folder in OUT: report.json, figures.csv, qupath.geojson, grand_challenge.json, predictions.json and
overview.png. All slides together are in OUT/counts.csv, a slide that failed with the reason; slides of one name are
told apart by their folders. With --resume, finished slides are left alone and a slide that was interrupted goes on with
its next band of tiles. The exit code is 1 where a slide failed; of several processes, the one that ends last says so.
For research use only.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import mitouts
from mitouts.errors import ConfigError, MitoutsError
from mitouts.evaluation.slide_threshold import SlideThreshold
from mitouts.formats.regions import read_regions
from mitouts.formats.slide_reports import REPORT_NAME
from mitouts.functional.counting import FIELD_DIAMETER_MM, MIN_AREA_MM2
from mitouts.imaging import open_slide
from mitouts.inference import Localizer
from mitouts.inference.training_record import trained_on
from mitouts.utils.arguments import Gather, add_imports, at_least, not_negative, positive, share
from mitouts.utils.cli import run
from mitouts.utils.files import file_sha256
from mitouts.utils.memory import keep_freed_memory
from mitouts.wsi.cohort import (
    WORK_NAME,
    CohortSlide,
    Outcome,
    count_cohort,
    find_slides,
    outcomes,
    share_out,
    write_counts,
)
from mitouts.wsi.counts import ROI_AREAS_MM2, make_provenance, make_report
from mitouts.wsi.report import write_report
from mitouts.wsi.slide import SlideLocalizer, SlideOptions
from mitouts.wsi.tissue import TissueSegmenter

FAILED = 1
NAME_COLUMNS = 30


def main() -> int:
    """Run the tool."""
    args = parse_args()
    rank, ranks = process_of(os.environ)
    # Of several processes one may have ended before another begins, so they always go on with what is there.
    resume = args.resume or ranks > 1
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    slides, notes = find_slides(args.slides)
    for note in notes:
        console.print(f'- {note}', markup=False)
    if not resume and any(args.out.glob(f'*/{REPORT_NAME}')):
        raise MitoutsError(f'{args.out} holds counts already: add --resume to go on there, or choose another --out')
    if args.roi is not None:
        read_regions(args.roi, classes=args.roi_class)
    elif args.roi_class:
        raise MitoutsError('--roi-class says which polygons of --roi are meant: give --roi, too')
    device = device_of(args.device)
    make_folder(args.out)
    counter = Counter(args, console, device)
    console.print(f'{args.checkpoint.name} was trained on {counter.provenance["trained_on"]["in_words"]}', markup=False)
    count_cohort(
        share_out(slides, rank, ranks), args.out, counter.count, counter.stamp, resume=resume, told=counter.tell
    )
    found = write_all(slides, args.out)
    console.print(f'written to {args.out / "counts.csv"}', markup=False)
    is_open = any(outcome.report is None and outcome.reason is None for outcome in found)
    if is_open and ranks > 1:
        console.print('other processes are not done yet')
        # torchrun ends all of them when one says that it failed.
        return 0
    for table in summary(found):
        console.print(table)
    return FAILED if is_open or any(outcome.reason for outcome in found) else 0


def process_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """The number of this process and how many there are, as torchrun says it.

    Raises:
        ConfigError: They make no sense.
    """
    texts = environment.get('RANK', '0'), environment.get('WORLD_SIZE', '1')
    if all(text.isdecimal() for text in texts) and int(texts[0]) < int(texts[1]):
        return int(texts[0]), int(texts[1])
    raise ConfigError(
        f'RANK={texts[0]} and WORLD_SIZE={texts[1]} in the environment: expected whole numbers, RANK from 0 and below '
        'WORLD_SIZE'
    )


def make_folder(path: Path) -> None:
    """Make the folder of the results, before hours are spent on them.

    Raises:
        ConfigError: Nothing can be written there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return
    except OSError as error:
        raise ConfigError(
            f'--out {path}: nothing can be written there ({error.strerror}); choose another folder'
        ) from error


def write_all(slides: Sequence[CohortSlide], out: Path) -> list[Outcome]:
    """Write the table of all slides; where another process has ended a slide meanwhile, once more."""
    found = outcomes(slides, out)
    while True:
        write_counts(found, out)
        now = outcomes(slides, out)
        if now == found:
            return found
        found = now


class Counter:
    """Counts one slide after the other with the models of the command line, and says how far it is."""

    def __init__(self, args: argparse.Namespace, console: Console, device: str) -> None:
        self.args = args
        self.console = console
        if device == 'cpu':
            keep_freed_memory()
        localizer = Localizer.from_checkpoint(args.checkpoint, device)
        if args.threshold is not None:
            given = SlideThreshold(args.threshold, 'given by --threshold')
            localizer.model.calibration |= given.to_dict()
        segmenter = TissueSegmenter.from_checkpoint(args.tissue, device) if args.tissue else None
        self.finder = SlideLocalizer(localizer, segmenter, half=args.half)
        self.provenance = make_provenance(
            args.checkpoint,
            file_sha256(args.checkpoint),
            localizer.model.calibration,
            trained_on=trained_on(args.checkpoint),
            tissue_checkpoint=args.tissue,
            tissue_sha256=file_sha256(args.tissue) if args.tissue else None,
        )

    def count(self, slide: CohortSlide, folder: Path) -> None:
        """Count a slide into its folder."""
        roi = slide.roi or self.args.roi
        mpp = slide.mpp or self.args.mpp
        with open_slide(slide.path, mpp=mpp) as reader:
            reader.known_mpp()
            regions = None if roi is None else read_regions(roi, reader.bounds_xy_px, classes=self.args.roi_class)
        is_shown = self.console.is_terminal
        with Progress(*columns(), console=self.console, transient=True, disable=not is_shown) as bar:
            task = bar.add_task(slide.label, total=None, rate='')
            show = Rate(bar, task)
            findings = self.finder.find(
                slide.path,
                folder / WORK_NAME,
                mpp=mpp,
                regions=regions,
                options=SlideOptions(tile_px=self.args.tile_px, workers=self.args.workers, batch=self.args.batch),
                stamp={'checkpoint': self.provenance['checkpoint_sha256'], 'version': mitouts.__version__},
                progress=show,
            )
        if findings.colour_doubt is not None:
            self.console.print(f'{slide.label}: warning: {findings.colour_doubt}', markup=False)
        report = make_report(
            findings,
            provenance=self.provenance,
            roi_areas_mm2=self.args.roi_mm2,
            field_diameter_mm=self.args.field_diameter_mm,
            min_area_mm2=self.args.min_area_mm2,
        )
        write_report(report, folder)

    def stamp(self, slide: CohortSlide) -> Mapping[str, Any]:
        """All that a slide's counts depend on."""
        stat = slide.path.stat()
        roi = slide.roi or self.args.roi
        return {
            **self.provenance,
            'version': mitouts.__version__,
            'slide': [str(slide.path.resolve()), stat.st_size, stat.st_mtime_ns],
            'mpp': slide.mpp or self.args.mpp,
            'roi': None if roi is None else file_sha256(roi),
            'roi_class': self.args.roi_class,
            'roi_mm2': list(self.args.roi_mm2),
            'field_diameter_mm': self.args.field_diameter_mm,
            'min_area_mm2': self.args.min_area_mm2,
        }

    def tell(self, slide: CohortSlide, what: str) -> None:
        """Say what becomes of a slide."""
        if what != 'counting':
            self.console.print(f'{slide.label}: {what}', markup=False)


class Rate:
    """Shows MPix, their rate and the time left; what an earlier run had done is no part of the rate."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self.bar = bar
        self.task = task
        self.first: float | None = None
        self.begun = 0.0

    def __call__(self, done: float, total: float) -> None:
        if self.first is None:
            self.first, self.begun = done, time.monotonic()
            self.bar.reset(self.task, completed=int(done))
        seconds = time.monotonic() - self.begun
        rate = (done - self.first) / seconds if seconds > 0 else 0.0
        self.bar.update(self.task, completed=done, total=total, rate=f'{done:.0f}/{total:.0f} MPix {rate:.2f}/s')


def columns() -> tuple[Any, ...]:
    """Columns of the progress bar."""
    return (
        TextColumn('{task.description}'),
        BarColumn(),
        TextColumn('{task.fields[rate]}'),
        TimeElapsedColumn(),
        TextColumn('left'),
        TimeRemainingColumn(),
    )


def device_of(name: str) -> str:
    """The device of this process: each of several takes a GPU of its own.

    Raises:
        ConfigError: CUDA is asked for and there is none.
    """
    if name != 'cuda':
        return name
    if not torch.cuda.is_available():
        raise ConfigError('--device cuda: no GPU is visible; use --device cpu')
    return f'cuda:{int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()}'


def summary(found: Sequence[Outcome]) -> list[Table]:
    """Tables of the slides that were counted and of those that failed, where there are such."""
    counted = Table(title='for research use only')
    counted.add_column('slide', overflow='fold')
    for name in ('count', 'per mm2 (95% interval)', 'MAI', 'counted mm2'):
        counted.add_column(name, justify='right')
    counted.add_column('remark', overflow='fold')
    failed = Table(title='failed', style='red')
    failed.add_column('slide', overflow='fold', max_width=NAME_COLUMNS)
    failed.add_column('why', overflow='fold')
    for outcome in found:
        name = escape(outcome.slide.label)
        if outcome.report is None:
            failed.add_row(name, escape(outcome.reason or 'not counted yet'))
        else:
            counted.add_row(name, *map(escape, cells(outcome.report)))
    return [table for table in (counted, failed) if table.row_count]


def cells(report: Mapping[str, Any]) -> tuple[str, ...]:
    """What the table says of a counted slide."""
    counts = report['counts']
    density = (
        ''
        if counts['per_mm2'] is None
        else '{:.1f} ({:.1f} to {:.1f})'.format(counts['per_mm2'], *counts['per_mm2_ci95'])
    )
    mai = '' if counts['mai'] is None else f'{counts["mai"]:.3f}'
    return str(counts['count']), density, mai, f'{counts["counted_mm2"]:.2f}', '; '.join(report['remarks'])


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'slides',
        type=Path,
        metavar='SLIDE_OR_DIR_OR_LIST',
        help='a slide, a folder that holds slides, a .txt of paths, or a .csv with a column slide (and mpp, roi)',
    )
    parser.add_argument('--checkpoint', type=Path, required=True, help='model that finds the figures')
    add_imports(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument('--tissue', type=Path, metavar='CHECKPOINT', help='tissue model that says where tumour is')
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
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='cpu or cuda')
    parser.add_argument('--half', action='store_true', help='float16, on a GPU')
    parser.add_argument(
        '--workers', type=at_least(1), default=min(os.cpu_count() or 1, 4), help='threads that read tiles'
    )
    parser.add_argument('--batch', type=at_least(1), default=1, help='tiles that go through the network together')
    parser.add_argument('--tile-px', type=at_least(64), help='side of a tile (default: what the memory allows)')
    return parser.parse_args()


if __name__ == '__main__':
    warnings.filterwarnings('ignore', message='.*MultiScaleDeformableAttention.*')
    run(main)
