"""Tells which rows of a SlideRunner database are figures, where they are, and on which slides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from mitouts.converters.midog import UNLABELLED
from mitouts.converters.sliderunner_tables import Annotation, Database, Slide
from mitouts.errors import AnnotationError
from mitouts.formats.carried import case_of
from mitouts.formats.source import check_file_name, listed
from mitouts.functional.outline import interior_point
from mitouts.utils.words import plural

KINDS = {1: 'spot', 2: 'area', 3: 'polygon', 4: 'special spot', 5: 'circle'}
POLYGON = 3
_LEAST_POINTS = {1: 1, 2: 2, 3: 3, 4: 1, 5: 2}


def slide_names(database: Database, slides: Iterable[Slide]) -> dict[int | None, str]:
    """Return the file name of each slide by ``uid``; slides of the same name get the last folders of their directories.

    ``25.tif`` of ``D:\\part1\\images`` and of ``D:\\part2\\images`` are ``part1/images/25.tif`` and
    ``part2/images/25.tif``.

    Raises:
        AnnotationError: A name occurs twice in one directory, or leads out of the images' folder.
    """
    alike: dict[str, list[Slide]] = {}
    for slide in slides:
        name = check_file_name(slide.filename, f'{database.path}: slide {slide.uid}')
        # Not every system tells 25.tif and 25.TIF apart.
        alike.setdefault(name.casefold(), []).append(slide)
    names: dict[int | None, str] = {}
    for group in alike.values():
        for slide, folder in zip(group, _distinct_ends([slide.directory for slide in group])):
            name = check_file_name(slide.filename, f'{database.path}: slide {slide.uid}')
            names[slide.uid] = f'{folder}/{name}' if folder else name
    first: dict[str, int | None] = {}
    for uid, name in names.items():
        if first.setdefault(name.casefold(), uid) != uid:
            raise AnnotationError(
                f'{database.path}: the slides {first[name.casefold()]} and {uid} are both called {name}, in one '
                'directory; remove one of them in SlideRunner, or rename it'
            )
    return names


def _distinct_ends(directories: Sequence[str]) -> list[str]:
    """Return the last folders of each directory, as many as it takes to tell them apart; none for one directory."""
    folders = [_folders(directory) for directory in directories]
    for depth in range(max(map(len, folders)) + 1):
        ends = ['/'.join(parts[len(parts) - depth :] if depth < len(parts) else parts) for parts in folders]
        if len({end.casefold() for end in ends}) == len(ends):
            return ends
    return [''] * len(folders)


def _folders(directory: str) -> list[str]:
    """Return the folders of a Windows or POSIX path, without the drive."""
    parts = directory.replace('\\', '/').split('/')
    return [part for part in parts if part not in ('', '.', '..') and not part.endswith(':')]


def located(database: Database, slides: Mapping[int, Slide], notes: list[str]) -> list[Annotation]:
    """Return the annotations that are not deleted and have a slide and coordinates."""
    kept = []
    deleted = 0
    nowhere = []
    for annotation in database.annotations:
        if annotation.deleted:
            deleted += 1
        elif annotation.slide not in slides or not annotation.points:
            nowhere.append(annotation.uid)
        else:
            kept.append(annotation)
    if deleted:
        notes.append(f'left out {deleted} annotations that were deleted in SlideRunner')
    if nowhere:
        notes.append(f'left out {len(nowhere)} annotations without coordinates or without a slide ({listed(nowhere)})')
    return kept


def list_classes(database: Database, counts: Mapping[int, int]) -> str:
    """List all classes with their counts."""
    uids = sorted({*database.classes, *counts})
    return ', '.join(class_name(database, uid, counts.get(uid, 0)) for uid in uids) or 'no classes at all'


def class_name(database: Database, uid: int, count: int) -> str:
    """Return the name of a class with its count."""
    if uid == 0:
        return f'0 not agreed on ({count:,})'
    name = database.classes.get(uid)
    return f'{uid} {"without a name" if name is None else repr(name)} ({count:,})'


def centre(path: Path, annotation: Annotation) -> tuple[float, float]:
    """Return the point ``(x, y)`` of an annotation in pixels.

    Raises:
        AnnotationError: Its type has no position, or its coordinates do not suit its type.
    """
    kind = annotation.kind
    if kind not in KINDS:
        raise AnnotationError(
            f'{path}: annotation {annotation.uid} is of type {kind}, which is no figure; types are '
            f'{", ".join(f"{key} ({name})" for key, name in KINDS.items())}'
        )
    count, least = len(annotation.points), _LEAST_POINTS[kind]
    if count < least or (least == 1 and count > 1):
        raise AnnotationError(
            f'{path}: annotation {annotation.uid} is a {KINDS[kind]} with {count} coordinates instead of {least}'
        )
    if least == 1:
        return annotation.points[0]
    middle = middle_of(annotation.points)
    return interior_point(annotation.points, middle) if kind == POLYGON else middle


def middle_of(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the middle of the bounding box of points."""
    columns, rows = zip(*points)
    return (min(columns) + max(columns)) / 2, (min(rows) + max(rows)) / 2


def note_kinds(annotations: Iterable[Annotation], notes: list[str]) -> None:
    """Add a note on how many annotations were not spots."""
    kinds = Counter(KINDS[annotation.kind] for annotation in annotations if annotation.kind not in (1, 4, None))
    if kinds:
        listing = ', '.join(plural(count, kind) for kind, count in sorted(kinds.items()))
        notes.append(f'{listing}: the point is the middle of the bounding box, or one inside a polygon that it misses')


def unique_names(persons: Mapping[int, str]) -> dict[int, str]:
    """Return the name of each person, with the ``uid`` if several share it."""
    counts = Counter(persons.values())
    return {uid: name if counts[name] == 1 else f'{name} ({uid})' for uid, name in persons.items()}


def votes_of(database: Database, persons: Mapping[int, str], annotation: Annotation) -> dict[str, dict[str, str]]:
    """Return ``{'votes': {person: class}}`` for an annotation, and an empty dict if it has no votes."""
    votes = {
        persons.get(person, str(person)): database.classes.get(uid, str(uid))
        for person, uid in database.votes.get(annotation.uid, {}).items()
    }
    return {'votes': votes} if votes else {}


def case_ids_of(file_names: Collection[str], dataset: str) -> dict[str, str]:
    """Return the case of each slide: the slide itself, or in TUPAC16 its number.

    Args:
        file_names: Those of :func:`slide_names`; ``1.tif`` and ``1.svs`` are two cases.
        dataset: Key of :data:`mitouts.converters.sliderunner.DATASETS`.
    """
    shared = Counter(case_of(name).casefold() for name in file_names)
    cases = {name: case_of(name) if shared[case_of(name).casefold()] == 1 else name for name in file_names}
    if dataset == 'tupac16':
        numbers = ((name, re.match(r'\d+', PurePosixPath(name).stem)) for name in file_names)
        cases.update((name, number.group().zfill(2)) for name, number in numbers if number)
    return cases


def labelled_slides(
    slides: Iterable[Slide], looked_at: set[int | None], dataset: str, keep_empty: bool, notes: list[str]
) -> list[Slide]:
    """Return the slides that were annotated."""
    kept: list[Slide] = []
    unlabelled: list[Slide] = []
    for slide in slides:
        stem = PurePosixPath(slide.filename).stem
        if slide.uid in looked_at or keep_empty:
            is_labelled = True
        elif dataset in ('midog21', 'midogpp'):
            is_labelled = not (stem.isdecimal() and int(stem) in UNLABELLED)
        else:
            is_labelled = dataset != 'other'
        (kept if is_labelled else unlabelled).append(slide)
    if unlabelled:
        why = (
            'because the data set has no labels for them'
            if dataset.startswith('midog')
            else 'because nothing says whether anybody looked at them (--keep-empty keeps them as negative)'
        )
        files = [slide.filename for slide in unlabelled]
        notes.append(f'left out {len(files)} slides without any annotation, {why}: {listed(files)}')
    empty = sum(slide.uid not in looked_at for slide in kept)
    if empty:
        notes.append(f'{empty} slides without any annotation are kept as negative')
    return kept
