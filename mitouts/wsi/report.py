"""Writes the files of a slide's counts: report, tables, points for other programs, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.formats.coco import MITOTIC_FIGURE, write_json
from mitouts.formats.geojson import (
    COLORS,
    SCORE,
    feature_collection,
    feature_id,
    point_feature,
    polygon_feature,
)
from mitouts.formats.grand_challenge import points_document
from mitouts.formats.predictions import write_predictions
from mitouts.formats.regions import mask_to_polygons
from mitouts.formats.slide_csv import write_figures
from mitouts.functional.counting import Interval, in_counted_tiles
from mitouts.functional.hotspot import Roi
from mitouts.imaging import ScaledView, open_slide
from mitouts.structures import ImagePrediction
from mitouts.utils.words import plural
from mitouts.visualization.canvas import write_png
from mitouts.visualization.slide_gallery import Crop, Gallery, choose_points
from mitouts.visualization.slide_overview import Fact, SlidePicture, draw_overview
from mitouts.wsi.counts import RoiCount, SlideReport, flat_provenance
from mitouts.wsi.slide import SlideFindings

FILES = ('report.json', 'figures.csv', 'predictions.json', 'qupath.geojson', 'grand_challenge.json', 'overview.png')
DRAWN_ROI_MM2 = 2.0
CROP_PX = 64

_TISSUE_COLOR, _COUNTED_COLOR, _ROI_COLOR = (22, 163, 74), (37, 99, 235), (217, 119, 6)
_UNREADABLE_GREY = 160


def write_report(report: SlideReport, folder: str | Path) -> dict[str, Path]:
    """Write all files of a slide; each appears only when complete, ``report.json`` last.

    Args:
        report: Report as returned by :func:`mitouts.wsi.counts.make_report`.
        folder: Folder for the files; created if it does not exist.

    Returns:
        Name of each of :data:`FILES` -> its path.

    Raises:
        OSError: A file cannot be written.
    """
    folder = Path(folder)
    paths = {name: folder / name for name in FILES}
    findings = report.findings
    write_figures(
        paths['figures.csv'],
        findings.figures,
        report.is_counted,
        mpp=findings.mpp,
        comments={'slide': findings.path.name, **flat_provenance(report.provenance)},
    )
    # A slide's label is that of its strongest point, as under max pooling.
    score = float(findings.points[:, 2].max(initial=0.0))
    prediction = ImagePrediction(1, score, findings.points, file_name=findings.path.name)
    write_predictions(paths['predictions.json'], [prediction], report.provenance)
    write_json(paths['qupath.geojson'], to_qupath_collection(report))
    write_json(paths['grand_challenge.json'], to_grand_challenge(report))
    write_png(paths['overview.png'], draw_overview(to_picture(report)))
    write_json(paths['report.json'], report.to_dict())
    return paths


def to_qupath_collection(report: SlideReport) -> dict[str, Any]:
    """Export figures as detections with probabilities; tissue, counted area and hottest regions as annotations."""
    findings = report.findings
    slide, bounds = findings.path.name, findings.bounds_xy_px
    # The last row and column of a mask may reach beyond the slide.
    corner = np.array(findings.dimensions) - 0.5
    areas = [
        ('tissue', _TISSUE_COLOR, mask_to_polygons(findings.tissue, findings.cell_px)),
        ('counted area', _COUNTED_COLOR, mask_to_polygons(findings.tiles.counted, findings.tiles.tile_px)),
    ]
    features = [
        polygon_feature(
            [np.minimum(ring, corner).tolist() for ring in region],
            name,
            identity=feature_id(slide, name, number),
            color=color,
            name=report.counted_area if name == 'counted area' else None,
            bounds_xy_px=bounds,
        )
        for name, color, regions in areas
        for number, region in enumerate(regions, start=1)
    ]
    for each in report.hotspots:
        if each.hotspot is not None:
            label = f'hottest {each.area_mm2:g} mm2'
            features.append(
                polygon_feature(
                    [_corners(each.hotspot.roi)],
                    'hottest region',
                    identity=feature_id(slide, label),
                    color=_ROI_COLOR,
                    name=f'{label}: {plural(each.hotspot.count, "figure")}',
                    measurements={'area_mm2': each.area_mm2, 'figures': each.hotspot.count},
                    bounds_xy_px=bounds,
                )
            )
    features += [
        point_feature(
            x,
            y,
            'mitotic figure',
            identity=feature_id(slide, 'figure', number),
            color=COLORS[MITOTIC_FIGURE],
            name=str(number),
            measurements={SCORE: score, 'in_counted_tile': int(is_counted)},
            bounds_xy_px=bounds,
        )
        for number, ((x, y, score), is_counted) in enumerate(
            zip(findings.figures.tolist(), report.is_counted.tolist()), start=1
        )
    ]
    return feature_collection(
        features, {'slide': slide, 'bounds_xy_px': list(bounds), 'provenance': dict(report.provenance)}
    )


def to_grand_challenge(report: SlideReport) -> dict[str, Any]:
    """Export all points in millimetres, named as figures or non-figures; the title gives slide and model."""
    findings = report.findings
    # There a point at the threshold is a figure, here only one above it is.
    threshold = float(np.nextafter(findings.map_threshold, np.inf))
    described = {'slide': findings.path.name, **flat_provenance(report.provenance)}
    title = '; '.join(f'{key} {value}' for key, value in described.items())
    return points_document(findings.points, findings.mpp, threshold=threshold, name=title)


def to_picture(report: SlideReport) -> SlidePicture:
    """Gather what the overview shows; crops of its gallery are read from the slide."""
    findings = report.findings
    drawn = min(
        (each for each in report.hotspots if each.hotspot is not None),
        key=lambda each: abs(each.area_mm2 - DRAWN_ROI_MM2),
        default=None,
    )
    roi = roi_label = None
    if drawn is not None and drawn.hotspot is not None:
        box = drawn.hotspot.roi
        roi = (box.left_px, box.top_px, box.width_px, box.height_px)
        roi_label = f'{drawn.area_mm2:g} mm²: {drawn.hotspot.count}'
    return SlidePicture(
        title=findings.path.name,
        thumbnail=findings.thumbnail,
        cell_px=findings.cell_px,
        mpp=findings.mpp,
        tissue=findings.tissue,
        counted=findings.tiles.counted,
        tile_px=findings.tiles.tile_px,
        figures=findings.figures,
        is_counted=report.is_counted,
        roi=roi,
        roi_label=roi_label,
        unreadable=tuple((each.x, each.y, each.width, each.height) for each in findings.unreadable),
        galleries=tuple(_galleries(report)),
        facts=tuple(_facts(report)),
        note=_note(report.provenance),
    )


def _galleries(report: SlideReport) -> list[Gallery]:
    """Cut out crops of the most certain figures, and of the points next above and below the threshold."""
    findings, threshold = report.findings, report.findings.map_threshold
    points, num_figures = findings.points, len(findings.figures)
    is_counted = in_counted_tiles(points, findings.tiles)
    chosen = choose_points(points, is_counted, threshold)
    # Figures are numbered as the rows of their table, other points have letters.
    tags = {index: str(index + 1) for index in range(num_figures)}
    tags |= dict(zip(chosen.just_below, ascii_lowercase))
    view_mpp = float(report.provenance.get('model_mpp') or findings.mpp)
    where = f'score and place (level-0 px); each crop is {CROP_PX * view_mpp:.3g} µm wide'
    rows = [
        (f'Most certain figures: {where}' if num_figures else 'No mitotic figure was found.', chosen.certain),
        (f'Least certain figures, next above the threshold of {threshold:.3g}', chosen.just_above),
        (f'Next below the threshold of {threshold:.3g}: not taken for figures', chosen.just_below),
    ]
    galleries = []
    for title, indices in rows:
        crops = zip(indices, read_crops(findings, points[indices, :2], view_mpp))
        shown = [
            Crop(pixels, tags[at], tuple(points[at].tolist()), at < num_figures, bool(is_counted[at]))
            for at, pixels in crops
        ]
        if shown or indices is chosen.certain:
            galleries.append(Gallery(title, shown))
    return galleries


def read_crops(findings: SlideFindings, centers_xy: NDArray[np.float64], mpp: float) -> list[NDArray[np.uint8]]:
    """Read a crop ``(64, 64, 3)`` around each point, white outside the slide, grey where it cannot be read.

    Args:
        centers_xy: ``(N, 2)`` in level-0 pixels.
        mpp: Micrometres per pixel of the crops.
    """
    crops = []
    with open_slide(findings.path, mpp=findings.mpp) as reader:
        view = ScaledView(reader, mpp=mpp)
        for x, y in view.to_view(centers_xy.reshape(-1, 2)).tolist():
            left, top = (round(value - (CROP_PX - 1) / 2) for value in (x, y))
            try:
                crops.append(view.read(left, top, CROP_PX, CROP_PX))
            except (ImageError, OSError):
                reader.close()
                crops.append(np.full((CROP_PX, CROP_PX, 3), _UNREADABLE_GREY, dtype=np.uint8))
    return crops


def _facts(report: SlideReport) -> list[Fact]:
    """Compose the text beside the picture."""
    counts, findings, trained_on = report.counts, report.findings, report.provenance.get('trained_on')
    if counts.per_mm2 is None or counts.mai is None or counts.per_10_hpf is None:
        facts = [Fact('No rates', 'headline'), Fact(f'{counts.excluded_because}'.replace('mm2', 'mm²'), 'warning')]
    else:
        facts = [
            Fact(f'{_short(counts.per_mm2)} mitoses per mm²', 'headline'),
            Fact(f'95% interval {_between(counts.per_mm2_ci95)}'),
            Fact('Other rates', 'heading'),
            Fact(f'{_short(counts.mai)} per tile (MAI), {_between(counts.mai_ci95)}'),
            Fact(
                f'{_short(counts.per_10_hpf)} per 10 fields of {counts.field_diameter_mm:g} mm, '
                f'{_between(counts.per_10_hpf_ci95)}'
            ),
        ]
    facts += [
        Fact('Counts', 'heading'),
        Fact(f'{plural(counts.count, "figure")} in {counts.counted_mm2:.2f} mm² ({plural(counts.num_tiles, "tile")})'),
        Fact(f'95% interval {_between(counts.count_ci95)}'),
        Fact(f'{plural(counts.figures, "figure")} wherever the model looked'),
        Fact(f'Counted area: {report.counted_area.replace(" um ", " µm ")}.', 'faint'),
        Fact('Remarks', 'heading'),
        *(Fact(f'{remark[0].upper()}{remark[1:]}'.replace('mm2', 'mm²')) for remark in report.remarks),
        Fact('Hottest regions', 'heading'),
        *(Fact(_roi_line(each)) for each in report.hotspots),
        Fact('Model', 'heading'),
        Fact(f'{report.provenance["checkpoint"]}, at {report.provenance.get("model_mpp") or findings.mpp:.4g} µm/px'),
        Fact(f'Figures score above {findings.map_threshold:.3g}'),
        *([Fact(f'Trained on {trained_on["in_words"].replace(" um/", " µm/")}', 'faint')] if trained_on else []),
        Fact('Slide', 'heading'),
        Fact(f'{findings.dimensions[0]} × {findings.dimensions[1]} px, {findings.mpp:.4g} µm/px'),
    ]
    if findings.stain_note is not None:
        facts.append(Fact(f'Colours as scanned: {findings.stain_note}', 'faint'))
    facts.append(
        Fact('Intervals say how far counts of this size vary by chance, not how often the model errs.', 'faint')
    )
    return facts


def _roi_line(each: RoiCount) -> str:
    if each.hotspot is None:
        return f'{each.area_mm2:g} mm²: none, {each.missing_because}'
    line = f'{each.area_mm2:g} mm²: {each.hotspot.count}, {_between(each.count_ci95)}'
    if each.counted_share is not None and each.counted_share < 0.995:
        line += f' ({each.counted_share:.0%} of it counted)'
    return line


def _note(provenance: Mapping[str, Any]) -> str:
    sha256 = str(provenance.get('checkpoint_sha256') or '')[:12]
    model = f'{provenance["checkpoint"]}' + (f' (sha256 {sha256}…)' if sha256 else '')
    return f'{model} · {provenance["software"]}'


def _between(interval: Interval | None) -> str:
    return 'not available' if interval is None else f'{_short(interval[0])} to {_short(interval[1])}'


def _short(number: float) -> str:
    """Format a number with three digits, or all of those before the decimal point."""
    return f'{number:.0f}' if number >= 100 else f'{number:.3g}'


def _corners(roi: Roi) -> list[list[float]]:
    right, bottom = roi.left_px + roi.width_px, roi.top_px + roi.height_px
    return [[roi.left_px, roi.top_px], [right, roi.top_px], [right, bottom], [roi.left_px, bottom]]
