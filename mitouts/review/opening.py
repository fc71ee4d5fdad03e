"""Opens the review of a distillation, or creates it if there is none."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mitouts.errors import ReviewError
from mitouts.formats.coco import read_coco
from mitouts.formats.hard_samples import read_hard_samples
from mitouts.review.items import Include, build_items, radius_px
from mitouts.review.store import ReviewStore
from mitouts.utils.files import file_sha256
from mitouts.utils.version import code_version

FileName = str | os.PathLike[str]


def open_or_create(
    database: FileName,
    hard_samples: FileName,
    annotations: FileName,
    *,
    include: Include | None = None,
    num_controls: int | None = None,
    seed: int | None = None,
) -> ReviewStore:
    """Open the database of a review, or create it.

    Args:
        database: File of the database.
        hard_samples: ``hard_samples.json`` of a distillation.
        annotations: The annotation file that was distilled.
        include: As for :func:`mitouts.review.items.build_items`; None is ``dropped`` in a new review, and whatever it
            was made with in one that is there.
        num_controls: The same, 0 in a new one.
        seed: The same, 0 in a new one.

    Raises:
        ReviewError: The database is of other files or was made with other arguments, or the hard samples were made from
            another annotation file.
    """
    if Path(database).exists():
        store = ReviewStore.open(database)
        try:
            _check(store, hard_samples, annotations, {'include': include, 'num_controls': num_controls, 'seed': seed})
        except BaseException:
            store.close()
            raise
        return store
    include, num_controls, seed = include or 'dropped', num_controls or 0, seed or 0
    provenance = _provenance(hard_samples, annotations, include=include, num_controls=num_controls, seed=seed)
    items = build_items(
        read_hard_samples(hard_samples), read_coco(annotations), include=include, num_controls=num_controls, seed=seed
    )
    return ReviewStore.create(database, items, provenance)


def _check(store: ReviewStore, hard_samples: FileName, annotations: FileName, wanted: dict[str, Any]) -> None:
    for key, path in (('hard_samples_sha256', hard_samples), ('annotations_sha256', annotations)):
        expected, found = store.provenance.get(key), file_sha256(path)
        if expected != found:
            raise ReviewError(
                f'{store.path} is the review of another file than {path}: expected SHA-256 {expected}, found {found}; '
                'give the file that it was made from, or another --db for a new review'
            )
    for key, value in wanted.items():
        made_with = store.provenance.get(key)
        if value is not None and value != made_with:
            raise ReviewError(
                f'{store.path} was made with {key} {made_with}, and {value} was asked for now: leave that out, or give '
                'another --db for a new review'
            )


def _provenance(
    hard_samples: FileName, annotations: FileName, *, include: Include, num_controls: int, seed: int
) -> dict[str, Any]:
    """Describe the origin of a review, to be stored in its database."""
    content = read_hard_samples(hard_samples)
    info = content['info']
    annotations_sha256 = file_sha256(annotations)
    if info.get('source_sha256') not in (None, annotations_sha256):
        raise ReviewError(
            f'{hard_samples} was made from another file than {annotations}: expected the annotation file with SHA-256 '
            f'{info["source_sha256"]} (it was called {info.get("distilled_from")}), found {annotations_sha256}'
        )
    return {
        'hard_samples_sha256': file_sha256(hard_samples),
        'annotations_sha256': annotations_sha256,
        'teacher_sha256': info.get('teacher_sha256'),
        'criterion': info.get('criterion'),
        'map_threshold': info.get('map_threshold'),
        'radius_px': radius_px(content),
        'include': include,
        'num_controls': num_controls,
        'seed': seed,
        'created_at': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'version': code_version(),
    }
