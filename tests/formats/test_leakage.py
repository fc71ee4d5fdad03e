"""Splits that share an image are refused; splits that share a case warn."""

from __future__ import annotations

from typing import Any

import pytest

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import make_document, make_image
from mitouts.formats.leakage import check_splits


def _split(*images: tuple[str, str]) -> dict[str, Any]:
    entries = [make_image(i, name, 10, 10, case_id=case) for i, (name, case) in enumerate(images)]
    return make_document(entries, [], name='split', tool='test')


def test_disjoint_splits_pass() -> None:
    check_splits({'train': _split(('a.png', 'A'), ('b.png', 'A')), 'val': _split(('c.png', 'C')), 'test': _split()})


def test_image_in_two_splits_is_refused() -> None:
    documents = {'train': _split(('a.png', 'A')), 'val': _split(('b.png', 'B')), 'test': _split(('a.png', 'Z'))}
    with pytest.raises(AnnotationError, match=r'image a\.png is in the splits train and test'):
        check_splits(documents)


def test_case_in_two_splits_warns() -> None:
    documents = {'train': _split(('a.png', 'A'), ('b.png', 'A')), 'val': _split(('c.png', 'C'), ('d.png', 'A'))}
    with pytest.warns(AnnotationWarning, match=r'case leakage: A \(train and val\): images'):
        check_splits(documents)
