"""Finds the slides of a cohort and counts them, alone or shared among processes; a failing slide stops no other."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitouts.errors import AnnotationError, ImageError, MitoutsError
from mitouts.formats.coco import read_json, write_json
from mitouts.formats.slide_csv import write_table
from mitouts.formats.slide_names import folder_names, relative_names
from mitouts.formats.slide_reports import FAILURE_NAME, REPORT_NAME, read_failure
from mitouts.formats.tables import Table, read_table
from mitouts.imaging.walk import SUFFIXES, find_images, slide_file
from mitouts.utils.text_files import read_text
from mitouts.wsi.counts import PROVENANCE_COLUMNS, RESEARCH_USE, flat_provenance

STAMP_NAME = '.stamp.json'
WORK_NAME = '.work'
TABLE_STEM = 'counts'
# What a broken file, a full disk or too little memory raise; a mistake in the program is none of these.
SURVIVED = (MitoutsError, OSError, MemoryError, RuntimeError, ValueError)


@dataclass(frozen=True)
class CohortSlide:
    """A slide to count.

    Attributes:
        name: Folder of its results, unique in the cohort.
        label: Its name in tables: the path below the folder that all slides of the cohort lie in.
        mpp: Micrometres per pixel, where the list says it.
        roi: Polygons that it is counted in, where the list names a file.
        columns: Further columns of the list, such as the pathologist's MAI.
        fault: Fault in its line of the list; it fails for this reason, and the other slides are counted.
    """

    path: Path
    name: str
    label: str
    mpp: float | None = None
    roi: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of a slide.

    Attributes:
        report: Its ``report.json``; None where it failed or nobody has counted it yet.
        reason: Why it failed.
    """

    slide: CohortSlide
    report: Mapping[str, Any] | None
    reason: str | None = None


Told = Callable[[CohortSlide, str], None]


def find_slides(source: Path) -> tuple[list[CohortSlide], list[str]]:
    """Find the slides that a user has named.

    Args:
        source: A slide; a folder with slides in it or below it; a text file with a path on each line; or a CSV with a
            column ``slide`` and, if wanted, ``mpp`` and ``roi`` (GeoJSON). Paths in a list are relative to the list.
            A DICOM slide is named by any of its files. What an earlier count left in the folder is no slide.

    Returns:
        The slides by their order, each once, and notes on what was passed over.

    Raises:
        AnnotationError: There is no slide, or a list that cannot be read.
    """
    entries: list[tuple[Path, dict[str, str]]]
    notes: list[str] = []
    if not source.exists():
        raise AnnotationError(f'{source}: no such file or folder; expected a slide, a folder, or a list of slides')
    if source.is_dir():
        paths, notes = find_images(source)
        entries = [(path, {}) for path in paths if not (path.parent / STAMP_NAME).exists()]
        if not entries:
            raise AnnotationError(
                '; '.join([f'{source} holds no slide; expected files that end in {", ".join(SUFFIXES)}', *notes])
            )
    elif source.suffix.lower() == '.csv':
        entries = _listed(read_table(source))
    elif source.suffix.lower() == '.txt':
        lines = [line.strip() for line in read_text(source, 'a list of slides').splitlines()]
        # A slide may be called '#1.tif'.
        named = [line for line in lines if line and (not line.startswith('#') or (source.parent / line).exists())]
        entries = [(source.parent / line, {}) for line in named]
        if not entries:
            raise AnnotationError(f'{source} names no slide')
    else:
        entries = [(source, {})]
    slides, further = _named(entries, source)
    return slides, notes + further


def share_out(slides: Sequence[CohortSlide], rank: int, ranks: int) -> list[CohortSlide]:
    """Return the slides of one process; large files are dealt out first, so that all end at about the same time."""
    by_size = sorted(slides, key=lambda slide: (-_size(slide.path), slide.name))
    rounds = [by_size[begin : begin + ranks] for begin in range(0, len(by_size), ranks)]
    # Every second round is dealt backwards.
    return [
        dealt[rank]
        for number, part in enumerate(rounds)
        if rank < len(dealt := (part if number % 2 == 0 or len(part) < ranks else part[::-1]))
    ]


def count_cohort(
    slides: Iterable[CohortSlide],
    out: Path,
    count: Callable[[CohortSlide, Path], None],
    stamp: Callable[[CohortSlide], Mapping[str, Any]],
    *,
    resume: bool = False,
    told: Told = lambda slide, what: None,
) -> None:
    """Count slides one after the other; a slide that fails is recorded, and counting goes on with the next.

    Args:
        slides: Those of this process.
        out: Output folder; each slide has a folder of its own in it.
        count: Counts a slide into a folder: it leaves ``report.json`` there when all else is written.
        stamp: All that a slide's result depends on.
        resume: Leave finished slides with the same stamp as they are, and go on with those that were interrupted.
        told: Told of each slide: ``counting``, ``done``, ``finished before`` or ``failed: ...``.
    """
    for slide in slides:
        folder = out / slide.name
        try:
            if slide.fault is not None:
                raise AnnotationError(slide.fault)
            wanted = json.loads(json.dumps({**stamp(slide), 'file': _resolved(slide)}))
            if resume and is_done(folder, wanted):
                (folder / FAILURE_NAME).unlink(missing_ok=True)
                told(slide, 'finished before')
                continue
            _begin(folder, wanted, keep=resume)
            told(slide, 'counting')
            count(slide, folder)
        except SURVIVED as error:
            reason = _reason(error)
            with contextlib.suppress(OSError):
                write_json(folder / FAILURE_NAME, {'slide': str(slide.path), 'reason': reason})
            told(slide, f'failed: {reason}')
        else:
            (folder / FAILURE_NAME).unlink(missing_ok=True)
            shutil.rmtree(folder / WORK_NAME, ignore_errors=True)
            told(slide, 'done')


def outcomes(slides: Sequence[CohortSlide], out: Path) -> list[Outcome]:
    """Return the results of the slides so far.

    A slide that was counted before but cannot be read in this run has failed; its report is kept for the next run. A
    report of another slide, which lay in the folder under an earlier list, does not count.
    """
    found = []
    for slide in slides:
        folder = out / slide.name
        report = reason = None
        if (folder / FAILURE_NAME).is_file():
            reason = read_failure(folder)[1]
        elif (folder / REPORT_NAME).is_file() and _is_of(folder, slide):
            report = read_json(folder / REPORT_NAME)
        found.append(Outcome(slide, report, reason))
    return found


def write_counts(found: Sequence[Outcome], out: Path) -> tuple[Path, Path]:
    """Write ``counts.csv`` and ``counts.json``: a row a slide with its counts, or with the reason why it has none.

    The list's own columns come before the counts; one with the same name as a count becomes ``given_NAME``. Each row
    names its model, because a folder that several runs wrote to may hold counts of several models.
    """
    rows = [_row(outcome) for outcome in found]
    # A pathologist's column may have the name of one of ours.
    ours = {key for row in rows for key in row}
    given = [
        {f'given_{key}' if key in ours else key: value for key, value in outcome.slide.columns.items()}
        for outcome in found
    ]
    extra = list(dict.fromkeys(column for columns in given for column in columns))
    rows = [{**columns, **row} for columns, row in zip(given, rows)]
    columns = list(dict.fromkeys(['slide', 'status', *extra, *(key for row in rows for key in row)]))
    provenance = next((outcome.report['provenance'] for outcome in found if outcome.report), {'use': RESEARCH_USE})
    table, document = out / f'{TABLE_STEM}.csv', out / f'{TABLE_STEM}.json'
    write_table(table, columns, [[row.get(column) for column in columns] for row in rows])
    write_json(document, {'provenance': provenance, 'slides': rows})
    return table, document


def is_done(folder: Path, stamp: Mapping[str, Any]) -> bool:
    """Whether a slide's folder holds a report that was made with this stamp."""
    return (folder / REPORT_NAME).is_file() and _stamp_of(folder) == stamp


def _stamp_of(folder: Path) -> Any:
    """Read the stamp of a folder; empty if there is none or it cannot be read."""
    with contextlib.suppress(AnnotationError):
        return read_json(folder / STAMP_NAME)
    return {}


def _is_of(folder: Path, slide: CohortSlide) -> bool:
    """Whether a folder's report may be of this slide: its stamp names the slide's file, or it has none."""
    return not (folder / STAMP_NAME).is_file() or _stamp_of(folder).get('file') == _resolved(slide)


def _resolved(slide: CohortSlide) -> str:
    return str(slide.path.resolve())


def _begin(folder: Path, stamp: Mapping[str, Any], *, keep: bool) -> None:
    """Prepare a folder: delete an earlier run's files, but keep unfinished work with the same stamp if ``keep``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_NAME).unlink(missing_ok=True)
    # A process that was killed while it wrote has left these.
    for aside in folder.glob('.*.tmp'):
        aside.unlink(missing_ok=True)
    if not (keep and _stamp_of(folder) == stamp):
        shutil.rmtree(folder / WORK_NAME, ignore_errors=True)
        write_json(folder / STAMP_NAME, stamp)


def _listed(table: Table) -> list[tuple[Path, dict[str, str]]]:
    position = table.index('slide')
    root = table.path.parent
    entries = []
    for line, cells in zip(table.lines, table.rows):
        if not cells[position]:
            raise AnnotationError(f'{table.path}: line {line} names no slide')
        entries.append((root / cells[position], dict(zip(table.names, cells))))
    if not entries:
        raise AnnotationError(f'{table.path} names no slide')
    return entries


def _named(entries: Sequence[tuple[Path, dict[str, str]]], source: Path) -> tuple[list[CohortSlide], list[str]]:
    notes: list[str] = []
    seen: dict[Path, Path] = {}
    different = []
    for named, cells in entries:
        path, fault = _slide_file(named)
        resolved = path.resolve()
        if resolved in seen:
            notes.append(f'{named} is the same slide as {seen[resolved]} and is counted once')
            continue
        seen[resolved] = named
        different.append((path, cells, fault))
    paths = [path for path, *_ in different]
    names = folder_names(paths, taken=(f'{TABLE_STEM}.csv', f'{TABLE_STEM}.json'))
    called = zip(different, names, relative_names(paths))
    slides = [_slide(path, cells, fault, name, label, source) for (path, cells, fault), name, label in called]
    return slides, notes


def _slide(path: Path, cells: dict[str, str], fault: str | None, name: str, label: str, source: Path) -> CohortSlide:
    cells.pop('slide', None)
    text, roi = cells.pop('mpp', ''), cells.pop('roi', '')
    mpp = _positive(text)
    if text and mpp is None:
        fault = f'{source}: mpp of {label}: expected micrometres per pixel, found {text!r}'
    return CohortSlide(
        path,
        name,
        label,
        mpp=mpp,
        roi=source.parent / roi if roi else None,
        columns=cells,
        fault=fault,
    )


def _positive(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        value = float(text)
        return value if 0 < value < math.inf else None
    return None


def _slide_file(path: Path) -> tuple[Path, str | None]:
    """Return the file to read for a slide (:func:`mitouts.imaging.walk.slide_file`), or why there is none."""
    try:
        return slide_file(path), None
    except ImageError as error:
        return path, str(error)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f'{error.filename}: {error.strerror}'
    return str(error) or type(error).__name__


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _row(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {'slide': outcome.slide.label}
    if outcome.report is None:
        row['status'] = f'failed: {outcome.reason}' if outcome.reason else 'not counted yet'
        return row
    report = outcome.report
    counts, provenance = report['counts'], flat_provenance(report['provenance'])
    excluded = counts['excluded_because']
    row['status'] = f'excluded: {excluded}' if excluded else 'counted'
    for key, value in counts.items():
        if key == 'excluded_because':
            continue
        if key.endswith('_ci95'):
            low, high = value or (None, None)
            row |= {f'{key}_low': low, f'{key}_high': high}
        else:
            row[key] = value
    for hotspot in report['hotspots']:
        row[f'hotspot_{hotspot["area_mm2"]:g}_mm2_count'] = hotspot['count']
        row[f'hotspot_{hotspot["area_mm2"]:g}_mm2_per_mm2'] = hotspot['per_mm2']
    row |= {'counted_area_from': report['counted_area']['from'], 'mpp': report['slide']['mpp']}
    return {**row, 'remark': '; '.join(report['remarks']), **{key: provenance.get(key) for key in PROVENANCE_COLUMNS}}
