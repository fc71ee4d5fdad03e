"""Compares predicted figures with annotated ones in the paper's reference region, slide by slide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mitouts
from mitouts.errors import AnnotationError
from mitouts.formats.coco import MITOTIC_FIGURE
from mitouts.formats.predictions import read_predictions
from mitouts.formats.slide_names import match_slides, relative_names
from mitouts.formats.slide_reports import FAILURE_NAME, REPORT_NAME, read_failure, read_report
from mitouts.formats.tables import Table, read_table
from mitouts.functional.hotspot import ROI_AREA_MM2, ReferenceHotspot, Roi, reference_hotspot
from mitouts.wsi.counts import RESEARCH_USE

COMPARED = 'compared'
COLUMNS = (
    *('slide', 'case_id', 'status', 'reference_count', 'predicted_count'),
    *('predicted_in_counted_tiles', 'annotated_figures', 'predicted_figures', 'converged', 'clusters'),
    *('cluster_size', 'eps_um', 'min_samples', 'area_mm2', 'roi_left_px'),
    *('roi_top_px', 'roi_side_px', 'roi_unreadable_mm2', 'mpp', 'remark'),
)
_IN_REPORT = ('provenance.map_threshold', 'counts.figures', 'counted_area.from', 'unreadable.rectangles_px')
_MODEL_KEYS = ('checkpoint_sha256', 'map_threshold', 'tissue_checkpoint_sha256')
# A file may say 0.2533 where its data set is known to have 0.25; more is another scan.
_MPP_TOLERANCE = 0.05

Row = dict[str, Any]


@dataclass(frozen=True)
class RegionComparison:
    """The comparison of all slides of an annotation file.

    Attributes:
        rows: One a slide with :data:`COLUMNS`; None is "not available", and ``status`` says why.
        provenance: The category and the model.
        notes: Further remarks.
    """

    rows: Sequence[Row]
    provenance: Mapping[str, Any]
    notes: Sequence[str]

    @property
    def num_compared(self) -> int:
        """Number of slides that have both counts."""
        return sum(row['status'] == COMPARED for row in self.rows)


@dataclass(frozen=True)
class _Counted:
    """A folder of counts of one slide (``path``), which was counted (``report``) or failed (``reason``)."""

    folder: Path
    path: str
    report: Mapping[str, Any] | None
    reason: str | None = None


def compare_regions(
    document: Mapping[str, Any], counts: Path, *, category: int = MITOTIC_FIGURE, area_mm2: float = ROI_AREA_MM2
) -> RegionComparison:
    """Count annotated and predicted figures in the reference region of every slide.

    The region is placed on the annotated figures (:func:`mitouts.functional.hotspot.reference_hotspot`), centred even
    where it reaches beyond the slide, at the resolution that the slide was counted at. Slides are found by their file
    name and folder (:func:`mitouts.formats.slide_names.match_slides`).

    Args:
        document: Annotation file of whole slides, as :func:`mitouts.formats.coco.read_coco` returns it.
        counts: Output folder of ``mitouts count``.
        category: Category of the annotated figures.
        area_mm2: Area of the region.

    Raises:
        AnnotationError: The category is unknown, the folder holds no counts, or counts of different models.
    """
    category_name = name_category(document, category)
    points: dict[int, list[list[float]]] = {image['id']: [] for image in document['images']}
    for entry in document['annotations']:
        if entry['category_id'] == category and not entry['iscrowd']:
            points[entry['image_id']].append(entry['point'])
    folders = _read_folders(counts)
    found = _matched(document['images'], folders)
    labels = relative_names([image['file_name'] for image in document['images']])
    rows = [
        _compare_slide(label, image, np.array(points[image['id']], dtype=np.float64).reshape(-1, 2), each, area_mm2)
        for label, image, each in zip(labels, document['images'], found)
    ]
    used = [each for each in found if isinstance(each, _Counted)]
    left = [PurePath(each.path).name for each in folders if each not in used]
    notes = [f'{counts} holds slides without annotations: {", ".join(left)}'] if left else []
    provenance = {
        'category': f'{category} ({category_name})',
        **_model_of(used),
        'software': f'mitouts {mitouts.__version__}',
        'use': RESEARCH_USE,
    }
    return RegionComparison(rows, provenance, notes)


def name_category(document: Mapping[str, Any], category: int) -> str:
    """Return the name of a category of an annotation file.

    Raises:
        AnnotationError: The file does not have it.
    """
    known = {entry['id']: entry['name'] for entry in document['categories']}
    if category not in known:
        listed = ', '.join(f'{key} ({name})' for key, name in sorted(known.items())) or 'none'
        raise AnnotationError(f'category {category} is none of the annotation file; it has {listed}')
    return known[category]


def _read_folders(counts: Path) -> list[_Counted]:
    if not counts.is_dir():
        raise AnnotationError(f'{counts}: no such folder; expected the --out of mitouts count')
    folders = []
    for folder in sorted(path for path in counts.iterdir() if path.is_dir()):
        if (folder / REPORT_NAME).is_file():
            report = read_report(folder, _IN_REPORT)
            slide = report['slide']
            folders.append(_Counted(folder, slide.get('path') or slide['file_name'], report))
        elif (folder / FAILURE_NAME).is_file():
            failed, reason = read_failure(folder)
            folders.append(_Counted(folder, failed, None, reason))
    if not folders:
        raise AnnotationError(f'{counts} holds no counts (*/{REPORT_NAME}); run mitouts count first')
    return folders


def _matched(images: Sequence[Mapping[str, Any]], folders: Sequence[_Counted]) -> list[_Counted | str]:
    """Return the counts of each image, or the reason why there are none."""
    positions = match_slides([image['file_name'] for image in images], [each.path for each in folders])
    wanted_by = Counter(position for each in positions for position in each)
    found: list[_Counted | str] = []
    for each in positions:
        if not each:
            found.append('there are no counts of it')
        elif len(each) > 1:
            same = ', '.join(folders[position].folder.name for position in each)
            found.append(f'several counts are of such a file: {same}')
        elif wanted_by[each[0]] > 1:
            found.append(f'{wanted_by[each[0]]} annotated slides have this file name')
        else:
            found.append(folders[each[0]])
    return found


def _model_of(used: Sequence[_Counted]) -> dict[str, Any]:
    """Return the model that all slides were counted with; raise AnnotationError if there are several."""
    if all(each.report is None for each in used):
        return {}
    first, *others = ((each.path, each.report['provenance']) for each in used if each.report is not None)
    for name, provenance in others:
        differing = [key for key in _MODEL_KEYS if provenance.get(key) != first[1].get(key)]
        if differing:
            key = differing[0]
            raise AnnotationError(
                f'{first[0]} and {name} were counted with different models ({key} {first[1].get(key)} and '
                f'{provenance.get(key)}): count all slides with one'
            )
    return {key: value for key, value in first[1].items() if key not in ('slide_mpp', 'software', 'use')}


def _compare_slide(
    label: str, image: Mapping[str, Any], annotated: NDArray[np.float64], counted: _Counted | str, area_mm2: float
) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        'slide': label,
        'case_id': image['case_id'],
        'annotated_figures': len(annotated),
        'area_mm2': area_mm2,
        'mpp': image['mpp'],
    }
    reasons: list[str] = []
    report = None
    if isinstance(counted, str):
        reasons.append(counted)
    elif counted.report is None:
        reasons.append(f'counting it failed: {counted.reason}')
    elif mismatch := _mismatch(image, counted.report['slide']):
        reasons.append(mismatch)
    else:
        report = counted.report
        row |= {'mpp': report['slide']['mpp'], 'predicted_figures': report['counts']['figures']}
    reference = None
    if not len(annotated):
        reasons.append('no annotated figure, so there is no reference region')
    elif row['mpp'] is None:
        reasons.append('no resolution (mpp), so the region has no size')
    else:
        reference = reference_hotspot(annotated, mpp=row['mpp'], area_mm2=area_mm2)
    if reference is not None:
        row |= _reference_columns(reference)
    if reference is not None and report is not None:
        assert isinstance(counted, _Counted)
        row |= _count_inside(counted, report, reference.roi)
    remarks = [] if report is None else _remarks(report)
    if reference is not None and not reference.converged:
        remarks.append('DBSCAN found no second cluster')
    return {**row, 'status': f'left out: {"; ".join(reasons)}' if reasons else COMPARED, 'remark': '; '.join(remarks)}


def _mismatch(image: Mapping[str, Any], slide: Mapping[str, Any]) -> str | None:
    """Explain why the counts cannot be of the annotated image; None if they can."""
    annotated, counted = (image['width'], image['height']), (slide['width_px'], slide['height_px'])
    if image.get('size_known', True) and annotated != counted:
        return f'annotated on {annotated[0]} x {annotated[1]} px and counted on {counted[0]} x {counted[1]} px'
    mpp = image['mpp']
    if mpp is not None and abs(mpp / slide['mpp'] - 1) > _MPP_TOLERANCE:
        return f'annotated at {mpp:g} um/px and counted at {slide["mpp"]:g} um/px'
    return None


def _reference_columns(reference: ReferenceHotspot) -> Row:
    return {
        'reference_count': reference.count,
        'converged': int(reference.converged),
        'clusters': reference.num_clusters,
        'cluster_size': reference.cluster_size,
        'eps_um': reference.eps_um,
        'min_samples': reference.min_samples,
        'roi_left_px': reference.roi.left_px,
        'roi_top_px': reference.roi.top_px,
        'roi_side_px': reference.roi.width_px,
    }


def _count_inside(counted: _Counted, report: Mapping[str, Any], roi: Roi) -> Row:
    path = counted.folder / 'predictions.json'
    predictions = read_predictions(path)
    if len(predictions.images) != 1:
        raise AnnotationError(f'{path}: expected the points of one slide, found {len(predictions.images)} images')
    (prediction,) = predictions.images.values()
    figures = prediction.above(report['provenance']['map_threshold'])
    table = read_table(counted.folder / 'figures.csv')
    columns = [table.index(name) for name in ('x_px', 'y_px', 'in_counted_tile')]
    rows = list(zip(table.lines, table.rows))
    listed = np.array([[_cell(table, line, cells, column) for column in columns] for line, cells in rows]).reshape(
        -1, 3
    )
    for name, number in (('predictions.json', len(figures)), ('figures.csv', len(listed))):
        if number != report['counts']['figures']:
            raise AnnotationError(
                f'{counted.folder}: report.json has {report["counts"]["figures"]} figures and {name} {number}: count '
                'the slide again'
            )
    mm_per_px = report['slide']['mpp'] / 1000
    unreadable_px = sum(_overlap_px(rectangle, roi) for rectangle in report['unreadable']['rectangles_px'])
    return {
        'predicted_count': int(np.count_nonzero(roi.contains(figures))),
        'predicted_in_counted_tiles': int(np.count_nonzero(roi.contains(listed) & (listed[:, 2] == 1))),
        'roi_unreadable_mm2': unreadable_px * mm_per_px**2,
    }


def _cell(table: Table, line: int, cells: Sequence[str], column: int) -> float:
    try:
        return float(cells[column])
    except ValueError as error:
        raise AnnotationError(
            f'{table.path}: line {line}: {table.names[column]} must be a number, found {cells[column]!r:.40}'
        ) from error


def _overlap_px(rectangle: Sequence[float], roi: Roi) -> float:
    """Compute the area shared by a region and a rectangle of whole pixels ``[x, y, width, height]``."""
    x, y, width, height = rectangle
    across = min(x + width - 0.5, roi.left_px + roi.width_px) - max(x - 0.5, roi.left_px)
    down = min(y + height - 0.5, roi.top_px + roi.height_px) - max(y - 0.5, roi.top_px)
    return max(across, 0.0) * max(down, 0.0)


def _remarks(report: Mapping[str, Any]) -> list[str]:
    remarks = []
    if report['counted_area']['from'] == 'region':
        remarks.append('figures were looked for in a given region only')
    if report['counts'].get('excluded_because'):
        remarks.append(f'no rates over the whole slide: {report["counts"]["excluded_because"]}')
    return remarks
