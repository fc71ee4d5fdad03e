"""Give a document back that was exported to SlideRunner, with what was changed there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mitouts.converters.sliderunner_figures import (
    case_ids_of,
    centre,
    class_name,
    labelled_slides,
    located,
    slide_names,
    unique_names,
    votes_of,
)
from mitouts.converters.sliderunner_tables import Annotation, Database
from mitouts.converters.sliderunner_writer import CLASSES_KEY, DOCUMENT, shown_votes
from mitouts.errors import AnnotationError
from mitouts.formats.carried import (
    carried_figure,
    carried_image,
    check_base,
    check_unique_ids,
    is_id,
)
from mitouts.formats.class_names import named_category
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet


def restore(database: Database, mitotic: str | None, hard_negative: str | None, keep_empty: bool) -> SourceSet:
    """Make the exported document's set.

    Args:
        database: One with a carried document.
        mitotic: Name of a class that was added in SlideRunner for mitotic figures, or None.
        hard_negative: The same for look-alikes.
        keep_empty: Keep slides that were added and have no annotation.

    Raises:
        AnnotationError: What was carried is damaged.
    """
    where = str(database.path)
    carried = database.carried[DOCUMENT, 0]
    if not isinstance(carried, dict) or not isinstance(carried.get(CLASSES_KEY), dict):
        raise AnnotationError(f'{where}: the exported document is damaged')
    base = check_base(carried.get('document'), where)
    categories = _restored_classes(database, carried[CLASSES_KEY], base, mitotic, hard_negative)
    notes: list[str] = []
    images, names = _restored_images(database, keep_empty, notes)
    slides = {slide.uid: slide for slide in database.slides if slide.uid in names}
    persons = unique_names(database.persons)
    figures = []
    changed = 0
    left_out: Counter[int] = Counter()
    for annotation in located(database, slides, notes):
        category = categories.get(annotation.agreed_class)
        if category is None:
            left_out[annotation.agreed_class] += 1
            continue
        figure, is_changed = _restored_figure(
            database, annotation, names[annotation.slide], category, persons, base['categories']
        )
        figures.append(figure)
        changed += is_changed
    new = sum(figure.annotation_id is None for figure in figures)
    gone = sum(kind == 'annotation' for kind, _ in database.carried) - (len(figures) - new)
    if left_out:
        listing = ', '.join(class_name(database, uid, count) for uid, count in sorted(left_out.items()))
        notes.append(f'left out {sum(left_out.values())} annotations of other classes: {listing}')
    if changed or new or gone:
        notes.append(
            f'since the export {changed} figures were moved or given another class or vote, {new} are new, {gone} gone'
        )
    check_unique_ids(images, figures, where)
    name = base.get('info', {}).get('mitouts', {}).get('name')
    return SourceSet(str(name or database.path.stem), 'other', images, figures, notes, base)


def _restored_classes(
    database: Database,
    carried: Mapping[str, Any],
    base: Mapping[str, Any],
    mitotic: str | None,
    hard_negative: str | None,
) -> dict[int, int]:
    known = {entry['id'] for entry in base['categories']}
    categories = {}
    for uid, name in database.classes.items():
        category = carried.get(str(uid), named_category(name, mitotic, hard_negative))
        if is_id(category) and category in known:
            categories[uid] = category
    return categories


def _restored_images(
    database: Database, keep_empty: bool, notes: list[str]
) -> tuple[list[SourceImage], dict[int | None, str]]:
    looked_at = {annotation.slide for annotation in database.annotations}
    exported = {uid: entry for (kind, uid), entry in database.carried.items() if kind == 'image'}
    new = [slide for slide in database.slides if slide.uid not in exported]
    new_names = slide_names(database, labelled_slides(new, looked_at, 'other', keep_empty, notes))
    here = {slide.uid for slide in database.slides}
    # In the order of the export.
    images = [carried_image(entry, f'{database.path}: slide {uid}') for uid, entry in exported.items() if uid in here]
    names: dict[int | None, str] = dict(
        zip((uid for uid in exported if uid in here), (image.file_name for image in images))
    )
    cases = case_ids_of([*(image.file_name for image in images), *new_names.values()], 'other')
    for slide in new:
        if slide.uid in new_names:
            name = names[slide.uid] = new_names[slide.uid]
            images.append(SourceImage(name, cases[name], slide.width, slide.height))
    gone = len(exported) - (len(images) - len(new_names))
    if new_names or gone:
        notes.append(f'since the export {len(new_names)} slides are new, {gone} gone')
    return images, names


def _restored_figure(
    database: Database,
    annotation: Annotation,
    file_name: str,
    category: int,
    persons: Mapping[int, str],
    categories: Sequence[Mapping[str, Any]],
) -> tuple[SourceFigure, bool]:
    where = f'{database.path}: annotation {annotation.uid}'
    x, y = centre(database.path, annotation)
    votes = votes_of(database, persons, annotation)
    entry = database.carried.get(('annotation', annotation.uid))
    if entry is None:
        return SourceFigure(file_name, x, y, category, votes), False
    figure, changed = carried_figure(entry, where, file_name=file_name, x=x, y=y, category_id=category)
    stored: Any = figure.extra.get('votes')
    shown = shown_votes(stored, categories)
    now = votes.get('votes', {})
    if now == shown or (stored and not shown):
        return figure, changed
    extra: dict[str, Any] = {key: value for key, value in figure.extra.items() if key != 'votes'}
    if now:
        # A vote that stands as it was keeps its own word for the class.
        extra['votes'] = {person: stored[person] if shown.get(person) == name else name for person, name in now.items()}
    return SourceFigure(file_name, figure.x, figure.y, category, extra, figure.annotation_id), True
