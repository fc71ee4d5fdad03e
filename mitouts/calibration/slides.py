"""Chooses the map threshold anew on counted slides whose figures, or their number, are known.

The files of a counted slide suffice, since they keep its points down to a low score. Points above the threshold of the
count are components of the map; points below it are peaks, of which a component may hold several. So counts at another
threshold are close to those of a new count, but not equal to them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from matplotlib.path import Path as Outline
from numpy.typing import NDArray

from mitouts.calibration.drawing import FEW
from mitouts.calibration.images import (
    Interval,
    ThresholdSettings,
    bootstrap_interval,
    candidate_thresholds,
    middle_of_best,
)
from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import MITOTIC_FIGURE, read_coco
from mitouts.formats.image_truths import image_truths
from mitouts.formats.predictions import read_predictions
from mitouts.formats.regions import Region, read_regions
from mitouts.formats.slide_names import match_slides
from mitouts.formats.slide_reports import REPORT_NAME, read_report
from mitouts.formats.source import is_number
from mitouts.formats.tables import read_table
from mitouts.functional.localization import precision_recall_f1
from mitouts.functional.matching import count_images
from mitouts.utils.words import plural

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class KnownSlide:
    """A counted slide with its true figures or their number, within its counted tiles.

    Attributes:
        name: Name of its file.
        points: ``(N, 3)`` of ``(x, y, score)`` in level-0 pixels.
        map_threshold: Threshold that it was counted with.
        count: Number of its figures.
        figures: ``(G, 2)``, their places; None where only the number is known.
        ignored: ``(I, 2)``, figures outside of counted tiles: a point near one is neither true nor false.
        radius_px: Largest distance of a hit in level-0 pixels.
        num_outside: Number of its known figures outside of the counted tiles.
        case_id: Its case, as the annotation file names it; None where that does not.
        area_mm2: Area of the whole slide.
    """

    name: str
    points: FloatArray
    map_threshold: float
    count: float
    figures: FloatArray | None
    ignored: FloatArray
    radius_px: float
    num_outside: int = 0
    case_id: str | None = None
    area_mm2: float = math.nan


@dataclass(frozen=True)
class SlideCalibration:
    """A new map threshold chosen on slides, with its interval and errors.

    Attributes:
        map_threshold: The new threshold.
        interval: 95% interval over resampled slides; None with one slide.
        old: Errors under the threshold that the slides were counted with.
        new: Errors under the new one, on the very slides it was chosen on.
        left_out: Errors where each slide is cut at the threshold that the others choose; None with one slide.
        notes: Further remarks.
    """

    map_threshold: float
    interval: Interval | None
    old: dict[str, Any]
    new: dict[str, Any]
    left_out: dict[str, Any] | None
    notes: tuple[str, ...]


def read_slides(
    counts: Path,
    reference: Path,
    checkpoint_sha256: str | None,
    *,
    column: str,
    radius_px: float,
    rotations: int = 1,
) -> tuple[list[KnownSlide], list[str]]:
    """Read counted slides with their true figures, or the number of these.

    Args:
        counts: Output folder of ``mitouts count``.
        reference: A table (``.csv``) with columns ``slide`` and ``column``, the number of figures in the counted tiles;
            or an annotation file of whole slides (``.json``) with the figures' places.
        checkpoint_sha256: SHA-256 of the model that is calibrated; the slides must have been counted with it; None
            takes those of any model, with any number of rotations.
        column: Column of the table that holds the number.
        radius_px: Largest distance of a hit at the model's resolution.
        rotations: Number of right-angle turns that the model's thresholds are for.

    Returns:
        The slides of both, by name, and notes on what was left out.

    Raises:
        AnnotationError: A file cannot be used, was made with another model, or no slide is known.
    """
    is_table = reference.suffix.lower() == '.csv'
    known: Sequence[tuple[str, Any]] = _numbers(reference, column) if is_table else _places(reference)
    folders = sorted(path.parent for path in counts.glob(f'*/{REPORT_NAME}'))
    reports = [_report(folder, checkpoint_sha256, rotations) for folder in folders]
    paths = [report['slide'].get('path') or report['slide']['file_name'] for report in reports]
    slides, unknown = [], []
    for folder, report, path, about in zip(folders, reports, paths, _known_of(paths, known, reference)):
        if about is None:
            unknown.append(PurePath(path).name)
        else:
            slides.append(_known_slide(folder, report, about, radius_px, reference))
    if not slides:
        counted = f'only of {", ".join(unknown)}' if unknown else f'no */{REPORT_NAME} at all'
        raise AnnotationError(
            f'{counts} holds no counts of a slide that {reference} knows ({counted}); count its slides first, with '
            'mitouts count'
        )
    thresholds = {slide.map_threshold for slide in slides}
    if len(thresholds) > 1:
        raise AnnotationError(
            f'{counts}: the slides were counted with {len(thresholds)} thresholds '
            f'({", ".join(f"{each:.4g}" for each in sorted(thresholds))}): count them all with one'
        )
    return slides, [f'{reference} does not know {", ".join(unknown)}'] if unknown else []


def calibrate_slides(slides: Sequence[KnownSlide], settings: ThresholdSettings) -> SlideCalibration:
    """Choose the map threshold on slides.

    If the figures' places are known, it is the threshold with the largest one-to-one F1 over all slides; if only their
    numbers are, it is the one with the smallest sum of absolute errors of the slides' counts.

    Args:
        slides: Slides as returned by :func:`read_slides`.
        settings: Settings of the bootstrap; the others are not used.

    Raises:
        AnnotationError: No point lies in a counted tile.
    """
    thresholds = candidate_thresholds(np.concatenate([slide.points[:, 2] for slide in slides]))
    rows = np.stack([_measure(slides, threshold) for threshold in thresholds])

    def choose(chosen: IntArray) -> float:
        return middle_of_best(thresholds, _criterion(rows[:, chosen]))

    numbers = np.arange(len(slides))
    threshold = choose(numbers)
    left_out = None
    if len(slides) > 1:
        others = [choose(np.delete(numbers, number)) for number in numbers]
        left_out = np.stack([rows[np.searchsorted(thresholds, each), n] for n, each in enumerate(others)])
    notes = []
    if len(slides) < FEW:
        notes.append(f'only {plural(len(slides), "slide")}: expect a threshold that would be quite different on others')
    if threshold == thresholds[0]:
        notes.append(
            'the lowest threshold that the counts can tell is the best: weaker points were not kept. The model misses '
            'figures of this domain altogether, and needs more than another threshold'
        )
    return SlideCalibration(
        map_threshold=threshold,
        interval=bootstrap_interval(choose, [slide.name for slide in slides], settings),
        old=_summary(_measure(slides, slides[0].map_threshold)),
        new=_summary(_measure(slides, threshold)),
        left_out=None if left_out is None else _summary(left_out),
        notes=tuple(notes),
    )


def _measure(slides: Sequence[KnownSlide], threshold: float) -> FloatArray:
    """Count predicted and true figures of each slide, ``(S, 2)``; if places are known, ``tp, fp, fn``, ``(S, 3)``."""
    points_above = [slide.points[slide.points[:, 2] > threshold, :2] for slide in slides]
    figures = [slide.figures for slide in slides if slide.figures is not None]
    if len(figures) < len(slides):
        return np.array([[len(points), slide.count] for points, slide in zip(points_above, slides)], dtype=np.float64)
    return count_images(
        points_above,
        figures,
        [slide.radius_px for slide in slides],
        protocol='one_to_one',
        ignored_xy=[slide.ignored for slide in slides],
    ).astype(np.float64)


def _criterion(rows: FloatArray) -> FloatArray:
    """Compute the criterion at each threshold; ``rows`` is ``(T, S, 2 or 3)`` of :func:`_measure`."""
    if rows.shape[2] == 2:
        return -np.abs(rows[..., 0] - rows[..., 1]).sum(axis=1)
    return precision_recall_f1(*rows.sum(axis=1).T)[2]


def _summary(rows: FloatArray) -> dict[str, Any]:
    if rows.shape[1] == 2:
        errors = rows[:, 0] - rows[:, 1]
        return {'mean_absolute_error': float(np.abs(errors).mean()), 'mean_error': float(errors.mean())}
    tp, fp, fn = rows.sum(axis=0)
    scores = zip(('precision', 'recall', 'f1'), precision_recall_f1(tp, fp, fn))
    return {'tp': int(tp), 'fp': int(fp), 'fn': int(fn), **{name: float(value) for name, value in scores}}


def _report(folder: Path, checkpoint_sha256: str | None, rotations: int) -> dict[str, Any]:
    report = read_report(folder, ('provenance.map_threshold', 'counts.num_tiles'))
    used, model_mpp = (report['provenance'].get(key) for key in ('checkpoint_sha256', 'model_mpp'))
    if model_mpp is not None and not (is_number(model_mpp) and model_mpp > 0):
        raise AnnotationError(f'{folder / REPORT_NAME}: provenance.model_mpp cannot be {model_mpp!r:.40}')
    if checkpoint_sha256 is not None and used != checkpoint_sha256:
        raise AnnotationError(
            f'{folder / REPORT_NAME}: the slide was counted with another checkpoint (sha256 {str(used)[:12]}..., '
            f'expected {checkpoint_sha256[:12]}...): count it with the one that is calibrated'
        )
    turned = report['provenance'].get('rotations', 1)
    if checkpoint_sha256 is not None and turned != rotations:
        raise AnnotationError(
            f'{folder / REPORT_NAME}: the slide was counted with --rotations {turned}, and the checkpoint is for '
            f'{rotations}: count it without --rotations, or choose the thresholds for images with {turned} first'
        )
    return report


def _known_of(paths: Sequence[str], known: Sequence[tuple[str, Any]], reference: Path) -> list[Any]:
    """Match counted slides with the reference; returns its entry for each slide, or None if it has none."""
    matches = match_slides([name for name, _ in known], paths)
    known_of_paths: list[Any] = []
    for position, path in enumerate(paths):
        about = [index for index, positions in enumerate(matches) if position in positions]
        if len(about) > 1:
            names = ' and '.join(known[index][0] for index in about)
            raise AnnotationError(f'{reference}: {names} may both be {path}: write their folders before their names')
        if about and len(matches[about[0]]) > 1:
            others = ' or '.join(paths[other] for other in matches[about[0]])
            raise AnnotationError(
                f'{reference}: {known[about[0]][0]} may be {others}: write its folder before its name'
            )
        known_of_paths.append(known[about[0]][1] if about else None)
    return known_of_paths


def _known_slide(folder: Path, report: Mapping[str, Any], value: Any, radius_px: float, reference: Path) -> KnownSlide:
    slide, provenance = report['slide'], report['provenance']
    area = _counted_area(folder, report)
    (prediction,) = read_predictions(folder / 'predictions.json').images.values()
    figures, ignored, num_outside, case_id = None, np.zeros((0, 2)), 0, None
    if not isinstance(value, float):
        image, places = value
        size, annotated = (slide['width_px'], slide['height_px']), (image['width'], image['height'])
        if image.get('size_known', True) and size != annotated:
            raise AnnotationError(
                f'{reference}: {image["file_name"]} was annotated on {annotated[0]} x {annotated[1]} px and counted on '
                f'{size[0]} x {size[1]} px'
            )
        within = _inside(places.counted_points, area)
        figures, num_outside = places.counted_points[within], int((~within).sum())
        case_id = image.get('case_id')
        ignored = np.concatenate([places.counted_points[~within], places.ignored])
    return KnownSlide(
        name=slide.get('path') or slide['file_name'],
        points=prediction.points[_inside(prediction.points[:, :2], area)],
        map_threshold=provenance['map_threshold'],
        count=value if figures is None else float(len(figures)),
        figures=figures,
        ignored=ignored,
        radius_px=radius_px * (provenance.get('model_mpp') or slide['mpp']) / slide['mpp'],
        num_outside=num_outside,
        case_id=case_id,
        area_mm2=slide['width_px'] * slide['height_px'] * (slide['mpp'] / 1000) ** 2,
    )


def _counted_area(folder: Path, report: Mapping[str, Any]) -> list[Region]:
    if not report['counts']['num_tiles']:
        return []
    with warnings.catch_warnings():
        # The figures in the file are no areas, and are not meant.
        warnings.simplefilter('ignore', AnnotationWarning)
        bounds = report['slide'].get('bounds_xy_px', (0, 0))
        return read_regions(folder / 'qupath.geojson', bounds, classes=['counted area'])


def _inside(points_xy: FloatArray, regions: Sequence[Region]) -> NDArray[np.bool_]:
    is_inside = np.zeros(len(points_xy), dtype=bool)
    for outline, *holes in regions:
        inside = Outline(outline).contains_points(points_xy)
        for hole in holes:
            inside &= ~Outline(hole).contains_points(points_xy)
        is_inside |= inside
    return is_inside


def _numbers(path: Path, column: str) -> list[tuple[str, float]]:
    table = read_table(path)
    name, number = table.index('slide'), table.index(column)
    numbers = []
    for line, cells in zip(table.lines, table.rows):
        if not cells[number]:
            continue
        try:
            value = float(cells[number])
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise AnnotationError(
                f'{path}: line {line}, column {column!r}: expected a number of figures, found {cells[number]!r}'
            )
        numbers.append((cells[name], value))
    return numbers


def _places(path: Path) -> list[tuple[str, Any]]:
    document = read_coco(path)
    figures = image_truths(document, [MITOTIC_FIGURE])
    return [(image['file_name'], (image, figures[image['id']])) for image in document['images']]
