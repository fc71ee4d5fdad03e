"""Counts slides one after the other with the same models, writes what was found, and says how far it is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from mitouts.utils.defaults import FIELD_DIAMETER_MM, MIN_AREA_MM2, ROI_AREAS_MM2
from mitouts.utils.files import file_sha256
from mitouts.utils.memory import keep_freed_memory
from mitouts.wsi.cohort import WORK_NAME, CohortSlide, Outcome, outcomes, write_counts
from mitouts.wsi.counts import make_provenance, make_report
from mitouts.wsi.report import write_report
from mitouts.wsi.slide import SlideLocalizer, SlideOptions
from mitouts.wsi.tissue_segmenter import TissueSegmenter


@dataclass(frozen=True)
class CountOptions:
    """What is counted on each slide, where its entry in the list says nothing else.

    Attributes:
        roi: GeoJSON of polygons in which figures are counted; None counts in tumour or tissue.
        roi_class: Only polygons of these classes; None takes all.
        mpp: Micrometres per pixel of level 0; None as the slide says.
        roi_mm2: Areas of the hottest regions.
        field_diameter_mm: Of a high-power field.
        min_area_mm2: Counted area that a slide needs for rates.
        reading: How a slide is read; no effect on the counts.
    """

    roi: Path | None = None
    roi_class: Sequence[str] | None = None
    mpp: float | None = None
    roi_mm2: Sequence[float] = ROI_AREAS_MM2
    field_diameter_mm: float = FIELD_DIAMETER_MM
    min_area_mm2: float = MIN_AREA_MM2
    reading: SlideOptions = field(default_factory=SlideOptions)


class Models:
    """The models of a cohort, and where they come from.

    Args:
        checkpoint: Of the localizer.
        tissue: Checkpoint of the tissue model; None finds tissue by its colour.
        device: ``cpu``, ``cuda:0``, ...
        threshold: Cut of the score map; None takes the checkpoint's own.
        half: float16, on a GPU.
    """

    def __init__(
        self,
        checkpoint: Path,
        tissue: Path | None = None,
        device: str = 'cpu',
        *,
        threshold: float | None = None,
        half: bool = False,
    ) -> None:
        if device == 'cpu':
            keep_freed_memory()
        localizer = Localizer.from_checkpoint(checkpoint, device)
        if threshold is not None:
            localizer.model.calibration |= SlideThreshold(threshold, 'given by --threshold').to_dict()
        segmenter = TissueSegmenter.from_checkpoint(tissue, device) if tissue else None
        self.finder = SlideLocalizer(localizer, segmenter, half=half)
        self.provenance = make_provenance(
            checkpoint,
            file_sha256(checkpoint),
            localizer.model.calibration,
            trained_on=trained_on(checkpoint),
            tissue_checkpoint=tissue,
            tissue_sha256=file_sha256(tissue) if tissue else None,
        )


class SlideCounter:
    """Counts one slide after the other.

    Args:
        models: What finds the figures.
        options: What is counted.
        console: Where it says how far it is.
    """

    def __init__(self, models: Models, options: CountOptions, console: Console) -> None:
        self.models = models
        self.options = options
        self.console = console

    def count(self, slide: CohortSlide, folder: Path) -> None:
        """Count a slide into its folder."""
        roi = slide.roi or self.options.roi
        mpp = slide.mpp or self.options.mpp
        with open_slide(slide.path, mpp=mpp) as reader:
            reader.known_mpp()
            regions = None if roi is None else read_regions(roi, reader.bounds_xy_px, classes=self.options.roi_class)
        is_shown = self.console.is_terminal
        with Progress(*_columns(), console=self.console, transient=True, disable=not is_shown) as bar:
            task = bar.add_task(slide.label, total=None, rate='')
            findings = self.models.finder.find(
                slide.path,
                folder / WORK_NAME,
                mpp=mpp,
                regions=regions,
                options=self.options.reading,
                stamp={'checkpoint': self.models.provenance['checkpoint_sha256'], 'version': mitouts.__version__},
                progress=Rate(bar, task),
            )
        if findings.colour_doubt is not None:
            self.console.print(f'{slide.label}: warning: {findings.colour_doubt}', markup=False)
        report = make_report(
            findings,
            provenance=self.models.provenance,
            roi_areas_mm2=self.options.roi_mm2,
            field_diameter_mm=self.options.field_diameter_mm,
            min_area_mm2=self.options.min_area_mm2,
        )
        write_report(report, folder)

    def stamp(self, slide: CohortSlide) -> Mapping[str, Any]:
        """All that a slide's counts depend on."""
        stat = slide.path.stat()
        roi = slide.roi or self.options.roi
        return {
            **self.models.provenance,
            'version': mitouts.__version__,
            'slide': [str(slide.path.resolve()), stat.st_size, stat.st_mtime_ns],
            'mpp': slide.mpp or self.options.mpp,
            'roi': None if roi is None else file_sha256(roi),
            'roi_class': self.options.roi_class,
            'roi_mm2': list(self.options.roi_mm2),
            'field_diameter_mm': self.options.field_diameter_mm,
            'min_area_mm2': self.options.min_area_mm2,
        }

    def tell(self, slide: CohortSlide, what: str) -> None:
        """Print what happens to a slide, except that its counting begins."""
        if what != 'counting':
            self.console.print(f'{slide.label}: {what}', markup=False)


def write_all(slides: Sequence[CohortSlide], out: Path) -> list[Outcome]:
    """Write the table of all slides; where another process has ended a slide meanwhile, once more."""
    found = outcomes(slides, out)
    while True:
        write_counts(found, out)
        now = outcomes(slides, out)
        if now == found:
            return found
        found = now


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


def _columns() -> tuple[Any, ...]:
    """Columns of the progress bar."""
    return (
        TextColumn('{task.description}'),
        BarColumn(),
        TextColumn('{task.fields[rate]}'),
        TimeElapsedColumn(),
        TextColumn('left'),
        TimeRemainingColumn(),
    )
