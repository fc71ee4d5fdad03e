"""Compares counted areas, or slides, with the annotated figures in them: for each area, each case, and all together.

Every figure of the annotation file counts, also those outside of the counted tiles: a tile that is taken for glass
loses its figures as much as a model does that misses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.calibration.slides import KnownSlide, read_slides
from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_coco
from mitouts.functional.agreement import agreement
from mitouts.functional.known_counts import (
    correlation_ci95_over_cases,
    count_ceiling,
    median_relative_error,
    relative_errors,
)
from mitouts.functional.localization import precision_recall_f1
from mitouts.functional.matching import count_images
from mitouts.utils.defaults import NUM_BOOTSTRAP, RADIUS_PX
from mitouts.utils.words import plural

NO_VALUE = '-'


@dataclass(frozen=True)
class KnownCount:
    """An area that was counted, with its true number.

    Attributes:
        name: Name of its file.
        case_id: Its case.
        counts: Name of the folder of counts that it is from.
        area_mm2: Its size.
        num_true: Number of its annotated figures.
        num_outside: How many of these lie outside of the counted tiles.
        count: Number of figures that were counted.
        tp: How many of the counted ones hit a figure, one to one.
    """

    name: str
    case_id: str
    counts: str
    area_mm2: float
    num_true: int
    num_outside: int
    count: int
    tp: int


def read_known_counts(
    folders: Sequence[Path], truth: Path, *, radius_px: float = RADIUS_PX
) -> tuple[list[KnownCount], list[str]]:
    """Read the counts of areas, at the threshold that each model counts slides with.

    Args:
        folders: Output folders of ``mitouts count``: one, or one of each fold's model with the areas of its held-out
            cases.
        truth: Annotation file of the areas.
        radius_px: Largest distance of a hit at the model's resolution.

    Returns:
        The areas by case and name, and notes on what was left out.

    Raises:
        AnnotationError: A file cannot be used, an area was counted twice, or none is known.
    """
    notes, areas = [], []
    for folder in folders:
        slides, left_out = read_slides(folder, truth, None, column='', radius_px=radius_px)
        notes += left_out
        areas += [_known_count(slide, folder) for slide in slides]
    folder_of: dict[str, str] = {}
    for area in areas:
        if area.name in folder_of:
            raise AnnotationError(
                f'{area.name} was counted in {folder_of[area.name]} and in {area.counts}: expected one count of '
                'each area; leave one of the folders out, or count with each model the cases alone that it has not seen'
            )
        folder_of[area.name] = area.counts
    missing = [image['file_name'] for image in read_coco(truth)['images'] if image['file_name'] not in folder_of]
    if missing:
        shown = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
        notes.append(f'{plural(len(missing), "area")} of {truth} not counted, and left out: {shown}')
    return sorted(areas, key=lambda area: (area.case_id, area.name)), notes


def compare_known_counts(
    areas: Sequence[KnownCount], *, num_bootstrap: int = NUM_BOOTSTRAP, seed: int = 0
) -> dict[str, Any]:
    """Compare counts with the true numbers, beside the ceiling of a detector of this precision and recall.

    Args:
        areas: Areas as returned by :func:`read_known_counts`.
        num_bootstrap: Replicates of the bootstrap intervals; 0 leaves them out.
        seed: Seed of the replicates and of the simulation.

    Returns:
        A dictionary that is ready for JSON; None means "not available".
    """
    true, counts, tp = (np.array([getattr(area, key) for area in areas]) for key in ('num_true', 'count', 'tp'))
    area_mm2 = np.array([area.area_mm2 for area in areas])
    cases = [area.case_id for area in areas]
    scores = precision_recall_f1(tp.sum(), (counts - tp).sum(), (true - tp).sum())
    precision, recall, f1 = (float(score) for score in scores)
    false_per_mm2 = float((counts - tp).sum() / area_mm2.sum())
    over_areas = agreement(true, counts, num_bootstrap=num_bootstrap, seed=seed).to_dict()
    for name in ('pearson', 'spearman'):
        over_areas[name]['ci95_cases'] = correlation_ci95_over_cases(
            true, counts, cases, by_rank=name == 'spearman', num_bootstrap=num_bootstrap, seed=seed
        )
    return {
        'n_areas': len(areas),
        'n_cases': len(set(cases)),
        'true': int(true.sum()),
        'count': int(counts.sum()),
        'relative_error': _plain(relative_errors(true.sum(), counts.sum())),
        'median_relative_error': median_relative_error(true, counts),
        'precision': precision,
        'recall': recall,
        'f1': f1,
        'false_per_mm2': false_per_mm2,
        **{name: over_areas[name] for name in ('pearson', 'spearman', 'bland_altman', 'line')},
        'ceiling': count_ceiling(
            true, area_mm2, recall=float(tp.sum() / max(true.sum(), 1)), false_per_mm2=false_per_mm2, seed=seed
        ).to_dict(),
        'cases': {case: _case_total(true, counts, np.array([name == case for name in cases])) for case in _once(cases)},
        'areas': [
            {**vars(area), 'relative_error': _plain(error)} for area, error in zip(areas, relative_errors(true, counts))
        ],
    }


def known_counts_markdown(result: dict[str, Any]) -> str:
    """Write the result of :func:`compare_known_counts` as Markdown: a summary, totals by case, and all areas."""
    ceiling = result['ceiling']
    lines = [
        '| | measured | 95% over areas | 95% over cases | ceiling (95% range) |',
        '| --- | --- | --- | --- | --- |',
    ]
    for name, symbol in (('pearson', 'r'), ('spearman', 'rho')):
        found = result[name]
        cells = [_number(found[symbol]), _interval(found['ci95_bootstrap']), _interval(found['ci95_cases'])]
        lines.append(f'| {name.title()} {symbol} | {" | ".join(cells)} | {_simulated(ceiling[name])} |')
    error = f'{_number(result["median_relative_error"])} | {NO_VALUE} | {NO_VALUE}'
    lines += [
        f'| median relative error | {error} | {_simulated(ceiling["median_relative_error"])} |',
        '',
        f'{plural(result["n_areas"], "area")} of {plural(result["n_cases"], "case")}; precision '
        f'{result["precision"]:.3f}, recall {result["recall"]:.3f}, {result["false_per_mm2"]:.2f} false finds per mm2. '
        'Areas of a case hang together, so the interval over areas is too short, and the one over cases is rough with '
        f'few cases. Ceiling: {ceiling["num_simulated"]} simulated counts of a detector that finds this share of the '
        'figures and this many false ones per mm2 in every area.',
        '',
        '| case | areas | true | count | relative error |',
        '| --- | --- | --- | --- | --- |',
    ]
    everything = {'n_areas': result['n_areas'], **{key: result[key] for key in ('true', 'count', 'relative_error')}}
    for case, total in [*result['cases'].items(), ('all', everything)]:
        numbers = f'{total["n_areas"]} | {total["true"]} | {total["count"]} | {_signed(total["relative_error"])}'
        lines.append(f'| {case} | {numbers} |')
    lines += [
        '',
        '| area | case | mm2 | true | outside the counted tiles | count | relative error | counted in |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    lines += [
        f'| {area["name"]} | {area["case_id"]} | {area["area_mm2"]:.3f} | {area["num_true"]} | {area["num_outside"]} | '
        f'{area["count"]} | {_signed(area["relative_error"])} | {area["counts"]} |'
        for area in result['areas']
    ]
    return '\n'.join(lines) + '\n'


def _known_count(slide: KnownSlide, folder: Path) -> KnownCount:
    above = slide.points[slide.points[:, 2] > slide.map_threshold, :2]
    if slide.figures is None:
        raise AnnotationError(f'{slide.name}: expected the places of its figures, found their number alone')
    # Figures outside of the counted tiles are misses; finds near them, or near look-alikes, are judged as all others.
    ((tp, _, _),) = count_images([above], [slide.figures], [slide.radius_px], protocol='one_to_one').tolist()
    return KnownCount(
        name=Path(slide.name).name,
        case_id=Path(slide.name).stem if slide.case_id is None else slide.case_id,
        counts=str(folder),
        area_mm2=slide.area_mm2,
        num_true=len(slide.figures) + slide.num_outside,
        num_outside=slide.num_outside,
        count=len(above),
        tp=int(tp),
    )


def _case_total(true: NDArray[Any], counts: NDArray[Any], members: NDArray[np.bool_]) -> dict[str, Any]:
    totals = int(true[members].sum()), int(counts[members].sum())
    return {
        'n_areas': int(members.sum()),
        'true': totals[0],
        'count': totals[1],
        'relative_error': _plain(relative_errors(*totals)),
    }


def _once(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _plain(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f'{value:.3f}'


def _signed(value: float | None) -> str:
    return NO_VALUE if value is None else f'{value:+.0%}'


def _interval(value: tuple[float, float] | None) -> str:
    return NO_VALUE if value is None else '{:.3f} to {:.3f}'.format(*value)


def _simulated(value: dict[str, Any]) -> str:
    return f'{_number(value["mean"])} ({_interval(value["range95"])})'
