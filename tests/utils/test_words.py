"""Numbers in sentences."""

from __future__ import annotations

import pytest

from mitouts.utils.words import plural


@pytest.mark.parametrize(('count', 'text'), [(0, '0 tiles'), (1, '1 tile'), (2, '2 tiles'), (1001, '1001 tiles')])
def test_only_one_is_singular(count: int, text: str) -> None:
    assert plural(count, 'tile') == text
