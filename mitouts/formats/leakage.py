"""Checks that splits of one data set share neither an image nor a case."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.utils.words import plural


def check_splits(documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that splits of one data set share neither an image nor a case.

    Args:
        documents: Split name -> document as :func:`mitouts.formats.coco.read_coco` returns it. All file names are
            relative to one root. An image whose case is unknown (``case_known`` is False) shares none with another.

    Raises:
        AnnotationError: One image is in two splits. A case that does so only warns (:class:`AnnotationWarning`).
    """
    shared_images = _shared(documents, 'file_name')
    if shared_images:
        name, splits = next(iter(shared_images.items()))
        raise AnnotationError(
            f'image {name} is in the splits {" and ".join(splits)} ({plural(len(shared_images), "such image")}); '
            'leave it in one of them'
        )
    shared_cases = _shared(documents, 'case_id')
    if shared_cases:
        listed = ', '.join(f'{case} ({" and ".join(splits)})' for case, splits in list(shared_cases.items())[:5])
        more = f' and {len(shared_cases) - 5} more' if len(shared_cases) > 5 else ''
        warnings.warn(
            f'case leakage: {listed}{more}: images of one case are in several splits, results will look too good',
            AnnotationWarning,
            stacklevel=2,
        )


def _shared(documents: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for split, document in documents.items():
        named = (image for image in document['images'] if key != 'case_id' or image.get('case_known', True))
        for value in dict.fromkeys(image[key] for image in named):
            splits.setdefault(value, []).append(split)
    return {value: names for value, names in splits.items() if len(names) > 1}
