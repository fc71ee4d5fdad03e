"""Numbers in sentences."""

from __future__ import annotations

import pytest

from mitouts.utils.words import plural, rounded


@pytest.mark.parametrize(('count', 'text'), [(0, '0 tiles'), (1, '1 tile'), (2, '2 tiles'), (1001, '1,001 tiles')])
def test_only_one_is_singular(count: int, text: str) -> None:
    assert plural(count, 'tile') == text


def test_what_takes_no_s() -> None:
    assert [plural(count, 'patch', 'patches') for count in (0, 1, 2)] == ['0 patches', '1 patch', '2 patches']


@pytest.mark.parametrize(
    ('value', 'shown'),
    [(255.99999999999997, 256.0), (0.1 + 0.2, 0.3), (1.59, 1.59), (1e-5, 1e-5), (98304.25, 98304.25)],
)
def test_digits_of_binary_arithmetic_are_not_shown(value: float, shown: float) -> None:
    assert rounded(value) == shown
