"""Reads SlideRunner databases: MIDOG's, the TUPAC16 alternative labels, CCMCT, and your own.

A spot's coordinates are its point. For circles, areas and polygons it is the middle of the bounding box, which is also
SlideRunner's centre; if that lies outside a polygon, it is a point inside. The class is the stored ``agreedClass``: 0
where the persons disagree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from mitouts.converters.base import Converter, partitions_of
from mitouts.converters.midog import SCANNER_MPP, scanner_of
from mitouts.converters.sliderunner_figures import (
    case_ids_of,
    centre,
    class_name,
    labelled_slides,
    list_classes,
    located,
    note_kinds,
    slide_names,
    unique_names,
    votes_of,
)
from mitouts.converters.sliderunner_tables import Database, Slide, read_tables
from mitouts.errors import AnnotationError
from mitouts.formats.class_names import known_category
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet
from mitouts.registry import CONVERTERS
from mitouts.utils.arguments import Argument

DATASETS: Mapping[str, tuple[str, float | None, str | None]] = {
    'midog21': ('MIDOG 2021', None, None),
    'midogpp': ('MIDOG++', None, None),
    'tupac16': ('TUPAC16, alternative labels', 0.25, None),
    'ccmct': ('CCMCT', 0.25, 'Aperio CS2'),
    'other': ('SlideRunner database', None, None),
}
"""Data set -> its name, published micrometres per pixel and scanner, where all slides have the same."""

CCMCT_CLASSES = {2: MITOTIC_FIGURE, 7: HARD_NEGATIVE}


@CONVERTERS.register_module('sliderunner')
@dataclass
class SlideRunner(Converter):
    """A SlideRunner database: that of MIDOG, TUPAC16 or CCMCT, or one of your own.

        mitouts convert sliderunner MIDOG.sqlite --image-root images --out data/midog21.json
        mitouts convert sliderunner mine.sqlite --mitotic Mitose --hard-negative 7 --out data/mine.json

    MIDOG.sqlite, the TUPAC16 alternative labels and CCMCT are recognised by their slides.
    """

    src = 'a SlideRunner database'

    mitotic: Annotated[str | None, Argument('name or number of the class of mitotic figures', 'CLASS')] = None
    hard_negative: Annotated[str | None, Argument('name or number of the class of look-alikes', 'CLASS')] = None
    dataset: Annotated[
        Literal['midog21', 'midogpp', 'tupac16', 'ccmct', 'other'] | None,
        Argument('the data set, where it is not recognised rightly'),
    ] = None
    keep_empty: Annotated[bool, Argument('keep slides without any annotation as negative')] = False

    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        database = read_tables(src)
        dataset = self.dataset or recognise(database)
        source = from_database(database, dataset, self.mitotic, self.hard_negative, self.keep_empty)
        if self.dataset is None:
            name = 'none that is known' if dataset == 'other' else DATASETS[dataset][0]
            source.notes.insert(0, f'data set, by the names of its slides: {name} (--dataset says another)')
        return source

    @classmethod
    def datasets(cls) -> Sequence[str]:
        return [name for name in DATASETS if name != 'other']


def recognise(database: Database) -> str:
    """Return the data set that a database belongs to: a key of :data:`DATASETS`."""
    stems = {PurePosixPath(slide.filename).stem for slide in database.slides}
    if stems >= {f'{number:03d}' for number in range(1, 151)}:
        return 'midogpp' if '553' in stems else 'midog21'
    if {stem[:2] for stem in stems if re.fullmatch(r'\d\d(_stitched\d+)?', stem)} >= {f'{n:02d}' for n in range(1, 74)}:
        return 'tupac16'
    if stems & partitions_of('ccmct')['published'].test:
        return 'ccmct'
    return 'other'


def from_database(
    database: Database,
    dataset: str,
    mitotic: str | None = None,
    hard_negative: str | None = None,
    keep_empty: bool = False,
) -> SourceSet:
    """Read the figures from a database.

    Args:
        dataset: Key of :data:`DATASETS`.
        mitotic: Name or ``uid`` of the class of mitotic figures; None finds it by its usual names.
        hard_negative: The same for look-alikes; where there is no such class, none are read.
        keep_empty: Keep slides without any annotation. They are left out otherwise, because nothing says whether
            anybody looked at them; in data sets that are known to be annotated throughout they always stay.

    Raises:
        AnnotationError: No class stands for mitotic figures, or the content is invalid.
    """
    notes: list[str] = []
    slides = {slide.uid: slide for slide in database.slides}
    names = slide_names(database, database.slides)
    annotations = located(database, slides, notes)
    counts = Counter(annotation.agreed_class for annotation in annotations)
    categories = _choose_classes(database, counts, dataset, mitotic, hard_negative, notes)
    persons = unique_names(database.persons)
    figures = [
        SourceFigure(
            names[annotation.slide],
            *centre(database.path, annotation),
            categories[annotation.agreed_class],
            {'source_uid': str(annotation.uid), **votes_of(database, persons, annotation)},
        )
        for annotation in annotations
        if annotation.slide is not None and annotation.agreed_class in categories
    ]
    note_kinds([each for each in annotations if each.agreed_class in categories], notes)
    if database.changed_votes:
        notes.append(f'{database.changed_votes} votes were changed by their person; the last one counts')
    looked_at = {annotation.slide for annotation in database.annotations}
    kept = labelled_slides(database.slides, looked_at, dataset, keep_empty, notes)
    if dataset == 'tupac16':
        notes.append(
            'cases 1 to 23 are annotated on stitched images (such as 01_stitched1.tif, 16000 x 16000 px), not on the '
            'regions of the TUPAC16 download: read those from the csv files with tupac16.py'
        )
    cases = case_ids_of(names.values(), dataset)
    images = [
        SourceImage(
            names[slide.uid],
            cases[names[slide.uid]],
            slide.width,
            slide.height,
            image_id=slide.uid,
            **_published(slide, dataset),
        )
        for slide in kept
    ]
    kept_names = {image.file_name for image in images}
    return SourceSet(
        DATASETS[dataset][0], dataset, images, [each for each in figures if each.file_name in kept_names], notes
    )


def _published(slide: Slide, dataset: str) -> dict[str, Any]:
    """Return the scanner and resolution that the data set's authors published for a slide."""
    stem = PurePosixPath(slide.filename).stem
    mpp, scanner = DATASETS[dataset][1:]
    if dataset.startswith('midog') and stem.isdecimal():
        scanner = scanner_of(int(stem))
        mpp = SCANNER_MPP.get(scanner or '')
    return {'mpp': mpp, 'extra': {} if scanner is None else {'scanner': scanner}}


def _choose_classes(
    database: Database,
    counts: Mapping[int, int],
    dataset: str,
    mitotic: str | None,
    hard_negative: str | None,
    notes: list[str],
) -> dict[int, int]:
    usual = _usual_classes(database, counts, dataset)
    chosen: dict[int, int] = {}
    for category, wanted, option in (
        (MITOTIC_FIGURE, mitotic, '--mitotic'),
        (HARD_NEGATIVE, hard_negative, '--hard-negative'),
    ):
        if wanted is not None:
            uid = _find_class(database, counts, wanted, option)
        else:
            # Several spellings of one class: those that nothing was given to do not matter.
            candidates = [each for each in usual[category] if counts.get(each)] or usual[category]
            if len(candidates) > 1 or (not candidates and category == MITOTIC_FIGURE):
                raise AnnotationError(
                    f'{database.path}: {"several classes" if candidates else "no class"} could be the one of '
                    f'{"mitotic figures" if category == MITOTIC_FIGURE else "look-alikes"}; name it with {option}: '
                    f'{list_classes(database, counts)}'
                )
            if not candidates:
                notes.append('no class of look-alikes (name it with --hard-negative where there is one)')
                continue
            uid = candidates[0]
        if uid in chosen:
            raise AnnotationError(f'{database.path}: class {uid} cannot be both mitotic figures and look-alikes')
        chosen[uid] = category
    for uid, category in chosen.items():
        what = 'mitotic figures' if category == MITOTIC_FIGURE else 'look-alikes'
        notes.append(f'{what}: class {uid} {database.classes.get(uid, "")!r} ({counts.get(uid, 0):,})')
    others = {uid: count for uid, count in counts.items() if uid not in chosen}
    if others:
        listing = ', '.join(class_name(database, uid, count) for uid, count in sorted(others.items()))
        notes.append(f'left out {sum(others.values()):,} annotations of other classes: {listing}')
    return chosen


def _usual_classes(database: Database, counts: Mapping[int, int], dataset: str) -> dict[int, list[int]]:
    if dataset == 'ccmct' and is_ccmct(database.classes):
        return {
            category: [uid] if uid in database.classes or uid in counts else []
            for uid, category in CCMCT_CLASSES.items()
        }
    usual: dict[int, list[int]] = {MITOTIC_FIGURE: [], HARD_NEGATIVE: []}
    for uid, name in database.classes.items():
        category = known_category(name)
        if category is not None:
            usual[category].append(uid)
    return usual


def is_ccmct(classes: Mapping[int, str]) -> bool:
    """Tell whether the classes can be those of CCMCT, in which class 2 is mitotic figures."""
    return 'mito' in classes.get(2, '').casefold()


def _find_class(database: Database, counts: Mapping[int, int], wanted: str, option: str) -> int:
    named = [uid for uid, name in database.classes.items() if name.casefold() == wanted.casefold()]
    if not named and re.fullmatch(r'\d{1,9}', wanted) and (int(wanted) in database.classes or int(wanted) in counts):
        named = [int(wanted)]
    if len(named) != 1:
        raise AnnotationError(
            f'{database.path}: {option} {wanted!r} names {len(named) or "no"} class(es); there are '
            f'{list_classes(database, counts)}'
        )
    return named[0]
