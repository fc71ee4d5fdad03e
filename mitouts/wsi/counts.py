"""Turns the findings on a slide into counts with intervals, over the counted tiles and in the hottest regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mitouts
from mitouts.errors import AnnotationError
from mitouts.evaluation.slide_threshold import slide_threshold_of
from mitouts.functional.counting import (
    FIELD_DIAMETER_MM,
    MIN_AREA_MM2,
    MIN_TUMOUR_PROBABILITY,
    Interval,
    SlideCounts,
    TumourTiles,
    count_slide,
    in_counted_tiles,
    overlap_px,
    poisson_ci95,
)
from mitouts.functional.hotspot import Hotspot, Roi, hottest_roi
from mitouts.models.rotations import rotations_of
from mitouts.utils.defaults import RESEARCH_USE, ROI_AREAS_MM2
from mitouts.utils.words import plural
from mitouts.wsi.slide import SlideFindings

PROVENANCE_COLUMNS = ('checkpoint', 'checkpoint_sha256', 'trained_on', 'map_threshold', 'software', 'use')
"""Columns of tables that say where a row comes from."""
_COUNTED_IN = {'tissue': 'all tissue', 'region': 'the given region', 'model': 'tumour'}
_AREAS = {
    'tissue': (
        'all tissue, because neither a tissue model nor a region says what is tumour',
        'whose share of tissue is at least',
    ),
    'region': ('the given region', 'whose share in the region is at least'),
    'model': ('tumour, as the tissue model sees it', 'with a mean tumour probability of at least'),
}
"""Name of the counted area by ``tumour_from``, and the rule that its counted tiles satisfy."""


@dataclass(frozen=True)
class RoiCount:
    """The hottest region of one area; None means "not available".

    Attributes:
        hotspot: Position of the region, and number of figures of counted tiles inside.
        missing_because: Why there is none.
        counted_share: Share of the region that is counted tiles; the rest is glass or other tissue.
        count_ci95: Exact Poisson interval of the count. It takes the region as given: the count of the hottest one of
            all is higher than its mean, and the interval does not correct for that.
        per_mm2: Figures per square millimetre of the region, whatever it holds; None on an excluded slide.
        per_mm2_ci95: Its interval.
    """

    area_mm2: float
    hotspot: Hotspot | None = None
    missing_because: str | None = None
    counted_share: float | None = None
    count_ci95: Interval | None = None
    per_mm2: float | None = None
    per_mm2_ci95: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            'area_mm2': self.area_mm2,
            'roi': None if self.hotspot is None else self.hotspot.roi.to_dict(),
            'missing_because': self.missing_because,
            'count': None if self.hotspot is None else self.hotspot.count,
            'count_ci95': _as_list(self.count_ci95),
            'per_mm2': self.per_mm2,
            'per_mm2_ci95': _as_list(self.per_mm2_ci95),
            'counted_share': self.counted_share,
        }


@dataclass(frozen=True, eq=False)
class SlideReport:
    """The counts of a slide, and the findings and model behind them.

    Attributes:
        findings: Findings of the model.
        counts: Figures of the counted tiles and their rates.
        hotspots: The hottest region of each area.
        provenance: Model, thresholds, resolutions, software, and that it is for research use only.
        remarks: Remarks that users must know, each a sentence or less.
    """

    findings: SlideFindings
    counts: SlideCounts
    hotspots: tuple[RoiCount, ...]
    provenance: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    @cached_property
    def is_counted(self) -> NDArray[np.bool_]:
        """Whether each figure lies in a counted tile, ``(M,)`` bool."""
        return in_counted_tiles(self.findings.figures, self.findings.tiles)

    @property
    def counted_area(self) -> str:
        """Describe the counted area in words."""
        area, tiles = _AREAS[self.findings.tumour_from]
        return f'{area}; tiles of {self.counts.tile_um:.0f} um {tiles} {MIN_TUMOUR_PROBABILITY:.2f}'

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; if the same slide is counted again, only ``run`` differs."""
        findings = self.findings
        return {
            'provenance': dict(self.provenance),
            'slide': {
                'file_name': findings.path.name,
                'path': findings.path.as_posix(),
                'width_px': findings.dimensions[0],
                'height_px': findings.dimensions[1],
                'mpp': findings.mpp,
                'bounds_xy_px': list(findings.bounds_xy_px),
                'colour_doubt': findings.colour_doubt,
            },
            'remarks': list(self.remarks),
            'counted_area': {'from': findings.tumour_from, 'in_words': self.counted_area},
            'counts': self.counts.to_dict(),
            'hotspots': [each.to_dict() for each in self.hotspots],
            'unreadable': {
                'area_mm2': self.counts.unreadable_mm2,
                'rectangles_px': [[each.x, each.y, each.width, each.height] for each in findings.unreadable],
            },
            'stain': {
                'note': findings.stain_note,
                'fit': None if findings.stain_fit is None else dict(findings.stain_fit),
            },
            'run': {'megapixels': findings.megapixels, 'seconds': dict(findings.seconds)},
        }


def make_provenance(
    checkpoint: str | Path,
    sha256: str,
    calibration: Mapping[str, Any],
    *,
    trained_on: Mapping[str, Any] | None = None,
    tissue_checkpoint: str | Path | None = None,
    tissue_sha256: str | None = None,
) -> dict[str, Any]:
    """Describe the model that was used.

    Args:
        checkpoint: File of the model; its name is kept.
        sha256: SHA-256 of that file.
        calibration: The checkpoint's thresholds and resolution.
        trained_on: Result of :func:`mitouts.inference.training_record.trained_on`.
        tissue_checkpoint: File of the tissue model, where one was used.
        tissue_sha256: SHA-256 of that file.
    """
    slide_threshold = slide_threshold_of(calibration)
    provenance = {
        'checkpoint': Path(checkpoint).name,
        'checkpoint_sha256': sha256,
        'image_threshold': calibration['image_threshold'],
        'map_threshold': slide_threshold.value,
        'map_threshold_reason': slide_threshold.reason,
        'model_mpp': calibration['mpp'],
        'rotations': rotations_of(calibration),
    }
    if trained_on is not None:
        provenance['trained_on'] = dict(trained_on)
    if tissue_checkpoint is not None:
        provenance |= {'tissue_checkpoint': Path(tissue_checkpoint).name, 'tissue_checkpoint_sha256': tissue_sha256}
    return provenance


def flat_provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a provenance for a table or a line of text: each nested object is replaced by its ``in_words``."""
    return {key: value['in_words'] if isinstance(value, Mapping) else value for key, value in provenance.items()}


def make_report(
    findings: SlideFindings,
    *,
    provenance: Mapping[str, Any],
    roi_areas_mm2: Sequence[float] = ROI_AREAS_MM2,
    field_diameter_mm: float = FIELD_DIAMETER_MM,
    min_area_mm2: float = MIN_AREA_MM2,
) -> SlideReport:
    """Count the figures of a slide, and make its report.

    Args:
        findings: Findings of :class:`mitouts.wsi.slide.SlideLocalizer`.
        provenance: Description of the model (:func:`make_provenance`); thresholds and resolution as they were used, the
            software and the note on its use are added.
        roi_areas_mm2: Areas of the hottest regions, squares that do not leave the slide.
        field_diameter_mm: Diameter of a high-power field.
        min_area_mm2: A slide with a smaller counted area is excluded: it has counts and no rates.

    Raises:
        AnnotationError: ``provenance`` does not name a checkpoint.
    """
    if not provenance.get('checkpoint'):
        raise AnnotationError('the provenance of a report must name the checkpoint: use make_provenance')
    counts = count_slide(
        findings.figures, findings.tiles, min_area_mm2=min_area_mm2, field_diameter_mm=field_diameter_mm
    )
    counted = findings.figures[in_counted_tiles(findings.figures, findings.tiles)]
    return SlideReport(
        findings=findings,
        counts=counts,
        hotspots=tuple(
            _count_hottest(findings, counted, area_mm2, is_excluded=counts.excluded_because is not None)
            for area_mm2 in roi_areas_mm2
        ),
        provenance={
            **provenance,
            'map_threshold': findings.map_threshold,
            'slide_mpp': findings.mpp,
            'software': f'mitouts {mitouts.__version__}',
            'use': RESEARCH_USE,
        },
        remarks=(*_remarks(findings, counts), *filter(None, [provenance.get('threshold_doubt')])),
    )


def _remarks(findings: SlideFindings, counts: SlideCounts) -> Iterator[str]:
    if findings.colour_doubt is not None:
        yield findings.colour_doubt
    if counts.excluded_because is not None:
        yield f'no rates: {counts.excluded_because}'
    yield f'counted in {_COUNTED_IN[findings.tumour_from]}'
    if counts.excluded_because is None and counts.counted_mm2 < MIN_AREA_MM2:
        yield f'rates on less than {MIN_AREA_MM2:g} mm2, as asked for'
    if counts.figures > counts.count:
        yield f'{plural(counts.figures - counts.count, "further figure")} outside the counted tiles'
    if counts.unreadable_mm2:
        yield f'{counts.unreadable_mm2:.2f} mm2 could not be read and are left out'


def _count_hottest(
    findings: SlideFindings, counted: NDArray[np.float64], area_mm2: float, *, is_excluded: bool
) -> RoiCount:
    width, height = findings.dimensions
    bounds_px = (-0.5, -0.5, width - 0.5, height - 0.5)
    hotspot = hottest_roi(counted, area_mm2=area_mm2, mpp=findings.mpp, bounds_px=bounds_px)
    if hotspot is None:
        reason = 'no figure lies in a counted tile' if not len(counted) else 'such a square does not fit onto the slide'
        return RoiCount(area_mm2, missing_because=reason)
    low, high = poisson_ci95(hotspot.count)
    return RoiCount(
        area_mm2,
        hotspot,
        counted_share=_counted_share(hotspot.roi, findings.tiles),
        count_ci95=(low, high),
        per_mm2=None if is_excluded else hotspot.count / area_mm2,
        per_mm2_ci95=None if is_excluded else (low / area_mm2, high / area_mm2),
    )


def _counted_share(roi: Roi, tiles: TumourTiles) -> float:
    """Return the share of a region that lies in counted tiles, including what could not be read of them."""
    rows, columns = tiles.counted.shape
    top, left = roi.top_px + 0.5, roi.left_px + 0.5
    down = overlap_px([top], [top + roi.height_px], tiles.tile_px, rows)
    across = overlap_px([left], [left + roi.width_px], tiles.tile_px, columns)
    return float((down @ tiles.counted @ across.T).item() / (roi.width_px * roi.height_px))


def _as_list(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)
