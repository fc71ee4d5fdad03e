"""The review that belongs to a distillation: made when it is first asked for, checked when it is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mitouts.errors import ReviewError
from mitouts.formats.coco import read_coco
from mitouts.formats.hard_samples import read_hard_samples
from mitouts.review.items import Include, build_items
from mitouts.review.provenance import review_provenance
from mitouts.review.store import ReviewStore
from mitouts.utils.files import file_sha256

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
    """Open the database of a review, or make it.

    Args:
        database: Its file.
        hard_samples: ``hard_samples.json`` of a distillation.
        annotations: The annotation file that was distilled.
        include: As for :func:`mitouts.review.items.build_items`; None is ``dropped`` in a new review, and whatever it
            was made with in one that is there.
        num_controls: The same, 0 in a new one.
        seed: The same, 0 in a new one.

    Raises:
        ReviewError: The database is of other files or was made with other arguments.
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
    provenance = review_provenance(hard_samples, annotations, include=include, num_controls=num_controls, seed=seed)
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
