"""Checks that splits of one data set share neither an image nor a case."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.utils.words import plural

WITHIN_CASES_KEY = 'within_case_validation'
"""Key of ``info.mitouts``: the file is of a split that trains and validates on images of the same cases, on purpose."""
WITHIN_CASES = ['train', 'val']
"""The splits that may share cases then."""


def check_splits(documents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Check that splits of one data set share neither an image nor a case.

    Args:
        documents: Split name -> document as :func:`mitouts.formats.coco.read_coco` returns it. All file names are
            relative to one root. An image whose case is unknown (``case_known`` is False) shares none with another.

    Returns:
        What a user should know of splits that share cases on purpose: files of the training and of the validation that
        both say so (``info.mitouts.within_case_validation``).

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
    intended = _intended(documents, shared_cases)
    leaked = {case: splits for case, splits in shared_cases.items() if case not in intended}
    if leaked:
        listed = ', '.join(f'{case} ({" and ".join(splits)})' for case, splits in list(leaked.items())[:5])
        more = f' and {len(leaked) - 5} more' if len(leaked) > 5 else ''
        warnings.warn(
            f'case leakage: {listed}{more}: images of one case are in several splits, results will look too good',
            AnnotationWarning,
            stacklevel=2,
        )
    if not intended:
        return []
    return [
        f'within-case validation: {plural(len(intended), "case")} both train and validate, as the annotation files '
        'say; what is chosen on validation is chosen on known cases, and its scores are no estimate for new ones'
    ]


def _intended(documents: Mapping[str, Mapping[str, Any]], shared: Mapping[str, list[str]]) -> list[str]:
    """Return the cases that training and validation share on purpose, and that are in no other split."""
    declared = all(
        documents.get(split, {}).get('info', {}).get('mitouts', {}).get(WITHIN_CASES_KEY) for split in WITHIN_CASES
    )
    return [case for case, splits in shared.items() if declared and sorted(splits) == WITHIN_CASES]


def _shared(documents: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for split, document in documents.items():
        named = (image for image in document['images'] if key != 'case_id' or image.get('case_known', True))
        for value in dict.fromkeys(image[key] for image in named):
            splits.setdefault(value, []).append(split)
    return {value: names for value, names in splits.items() if len(names) > 1}
