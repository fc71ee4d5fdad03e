"""Counts slides one after the other with the same models, writes the results, and shows the progress."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mitouts
from mitouts.evaluation.slide_threshold import SlideThreshold
from mitouts.formats.regions import read_regions
from mitouts.imaging import open_slide
from mitouts.inference import Localizer
from mitouts.inference.training_record import trained_on
from mitouts.utils.files import file_sha256
from mitouts.utils.memory import keep_freed_memory
from mitouts.wsi.cohort import WORK_NAME, CohortSlide, Outcome, outcomes, write_counts
from mitouts.wsi.counts import make_provenance, make_report
from mitouts.wsi.report import write_report
from mitouts.wsi.slide import SlideLocalizer, SlideOptions
from mitouts.wsi.steps import CountArguments
from mitouts.wsi.tissue_segmenter import TissueSegmenter


class Models:
    """The models of a cohort, and their provenance.

    Args:
        args: Name the checkpoints, the threshold and the number of rotations.
        device: ``cpu``, ``cuda:0``, ...

    Attributes:
        finder: Finds the figures on a slide.
        provenance: Description of the models for reports.
        threshold_doubt: Why the threshold may not suit the model's score maps; None where it was chosen on such maps.
    """

    def __init__(self, args: CountArguments, device: str) -> None:
        if device == 'cpu':
            keep_freed_memory()
        localizer = Localizer.from_checkpoint(args.checkpoint, device, rotations=args.rotations)
        self.threshold_doubt = localizer.threshold_doubt if args.threshold is None else None
        if args.threshold is not None:
            localizer.model.calibration |= SlideThreshold(args.threshold, 'given by --threshold').to_dict()
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
        if self.threshold_doubt is not None:
            self.provenance['threshold_doubt'] = self.threshold_doubt


class SlideCounter:
    """Counts one slide after the other.

    Args:
        models: Models that find the figures.
        args: Arguments for every slide, unless its entry in the list says otherwise.
    """

    def __init__(self, models: Models, args: CountArguments, console: Console) -> None:
        self.models = models
        self.args = args
        self.console = console

    def count(self, slide: CohortSlide, folder: Path) -> None:
        """Count a slide and write its files into its folder."""
        roi = slide.roi or self.args.roi
        mpp = slide.mpp or self.args.mpp
        with open_slide(slide.path, mpp=mpp) as reader:
            reader.known_mpp()
            regions = None if roi is None else read_regions(roi, reader.bounds_xy_px, classes=self.args.roi_class)
        is_shown = self.console.is_terminal
        columns = TextColumn('{task.description}'), BarColumn(), TextColumn('{task.fields[rate]}')
        times = TimeElapsedColumn(), TextColumn('left'), TimeRemainingColumn()
        with Progress(*columns, *times, console=self.console, transient=True, disable=not is_shown) as bar:
            task = bar.add_task(slide.label, total=None, rate='')
            findings = self.models.finder.find(
                slide.path,
                folder / WORK_NAME,
                mpp=mpp,
                regions=regions,
                options=SlideOptions(tile_px=self.args.tile_px, workers=self.args.workers, batch=self.args.batch),
                stamp={'checkpoint': self.models.provenance['checkpoint_sha256'], 'version': mitouts.__version__},
                progress=Rate(bar, task),
            )
        if findings.colour_doubt is not None:
            self.console.print(f'{slide.label}: warning: {findings.colour_doubt}', markup=False)
        report = make_report(
            findings,
            provenance=self.models.provenance,
            roi_areas_mm2=self.args.roi_mm2,
            field_diameter_mm=self.args.field_diameter_mm,
            min_area_mm2=self.args.min_area_mm2,
        )
        write_report(report, folder)

    def stamp(self, slide: CohortSlide) -> Mapping[str, Any]:
        """Return everything that a slide's counts depend on."""
        stat = slide.path.stat()
        roi = slide.roi or self.args.roi
        return {
            **self.models.provenance,
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
        """Print what happens to a slide, except for the start of its counting."""
        if what != 'counting':
            self.console.print(f'{slide.label}: {what}', markup=False)


def write_all(slides: Sequence[CohortSlide], out: Path) -> list[Outcome]:
    """Write the table of all slides, again if another process has finished a slide in the meantime."""
    found = outcomes(slides, out)
    while True:
        write_counts(found, out)
        now = outcomes(slides, out)
        if now == found:
            return found
        found = now


class Rate:
    """Shows MPix, their rate and the time left; the rate leaves out what an earlier run had done."""

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
