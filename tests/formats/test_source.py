"""Names and coordinates in foreign files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitouts.errors import AnnotationError
from mitouts.formats.source import (
    MAX_COORDINATE_PX,
    check_coordinate,
    check_file_name,
)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [('a.tiff', 'a.tiff'), ('a\\b.tiff', 'a/b.tiff'), ('./a//b.tiff', 'a/b.tiff'), ('ä.tiff', 'ä.tiff')],
)
def test_file_names(name: str, expected: str) -> None:
    assert check_file_name(name, 'x') == expected


@pytest.mark.parametrize(
    'name',
    [
        '',
        ' ',
        '.',
        './',
        '/',
        '..',
        '/a',
        '../a',
        'a/../b',
        '..\\a',
        '\\a',
        'C:\\a',
        'C:a',
        'a\0b',
        'a\nb',
        '\ud800',
        None,
        5,
    ],
)
def test_file_names_that_lead_out_are_refused(name: Any) -> None:
    with pytest.raises(AnnotationError, match=r'^here: '):
        check_file_name(name, 'here')


@given(st.text(alphabet=st.sampled_from('a./\\: ~\0'), max_size=8))
def test_checked_file_names_stay_below_their_root(name: str) -> None:
    try:
        checked = check_file_name(name, 'x')
    except AnnotationError:
        return
    root = Path('/somewhere/else')
    resolved = Path(*[part for part in (root / checked).parts if part != '.'])
    assert root in resolved.parents
    assert '..' not in resolved.parts


@pytest.mark.parametrize(
    'value', [math.nan, math.inf, -math.inf, True, None, '1', [1], 10**400, -(10**400), MAX_COORDINATE_PX + 1, 1e300]
)
def test_coordinates_that_cannot_be_are_refused(value: Any) -> None:
    with pytest.raises(AnnotationError, match=r'^here: .{0,200}$'):
        check_coordinate(value, 'here')


@pytest.mark.parametrize('value', [0, -3, 2.5, MAX_COORDINATE_PX])
def test_coordinates(value: float) -> None:
    assert check_coordinate(value, 'here') == value
