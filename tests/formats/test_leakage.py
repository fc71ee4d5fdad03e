"""Splits that share an image are refused; splits that share a case warn."""

from __future__ import annotations

from typing import Any

import pytest

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import make_document, make_image
from mitouts.formats.leakage import check_splits


def _split(*images: tuple[str, str], **info: Any) -> dict[str, Any]:
    entries = [make_image(i, name, 10, 10, case_id=case) for i, (name, case) in enumerate(images)]
    return make_document(entries, [], name='split', tool='test', **info)


def test_disjoint_splits_pass() -> None:
    documents = {'train': _split(('a.png', 'A'), ('b.png', 'A')), 'val': _split(('c.png', 'C')), 'test': _split()}
    assert check_splits(documents) == []


def test_image_in_two_splits_is_refused() -> None:
    documents = {'train': _split(('a.png', 'A')), 'val': _split(('b.png', 'B')), 'test': _split(('a.png', 'Z'))}
    with pytest.raises(AnnotationError, match=r'image a\.png is in the splits train and test'):
        check_splits(documents)


def test_case_in_two_splits_warns() -> None:
    documents = {'train': _split(('a.png', 'A'), ('b.png', 'A')), 'val': _split(('c.png', 'C'), ('d.png', 'A'))}
    with pytest.warns(AnnotationWarning, match=r'case leakage: A \(train and val\): images'):
        check_splits(documents)


def _documents(test_case: str = 'T', *, train_says: bool = True, val_says: bool = True) -> dict[str, Any]:
    return {
        'train': _split(('a.png', 'A'), ('b.png', 'B'), within_case_validation=train_says),
        'val': _split(('c.png', 'A'), ('d.png', 'B'), within_case_validation=val_says),
        'test': _split(('e.png', test_case), within_case_validation=True),
    }


def test_validation_within_cases_is_told_where_both_files_say_so() -> None:
    (note,) = check_splits(_documents())
    assert note.startswith('within-case validation: 2 cases both train and validate')


@pytest.mark.parametrize('says', [{'train_says': False}, {'val_says': False}])
def test_validation_within_cases_is_a_leak_where_one_file_does_not_say_so(says: dict[str, bool]) -> None:
    with pytest.warns(AnnotationWarning, match=r'case leakage: A \(train and val\), B \(train and val\)'):
        assert check_splits(_documents(**says)) == []


def test_a_case_of_the_test_that_trains_is_a_leak_whatever_files_say() -> None:
    with pytest.warns(AnnotationWarning, match=r'case leakage: A \(train and val and test\): images'):
        (note,) = check_splits(_documents('A'))
    assert note.startswith('within-case validation: 1 case ')
