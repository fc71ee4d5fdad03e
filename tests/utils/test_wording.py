from __future__ import annotations

import pytest

from mitouts.utils.wording import counted, rounded


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ((0, 'figure'), '0 figures'),
        ((1, 'mitotic figure'), '1 mitotic figure'),
        ((2, 'mitotic figure'), '2 mitotic figures'),
        ((1204, 'patch', 'patches'), '1,204 patches'),
        ((1, 'patch', 'patches'), '1 patch'),
    ],
)
def test_a_noun_agrees_with_its_number(arguments: tuple, text: str) -> None:
    assert counted(*arguments) == text


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (255.99999999999997, '256'),
        (0.1 + 0.2, '0.3'),
        (1.59, '1.59'),
        (1e-5, '1e-05'),
        (98304.25, '98304.25'),
        (0.0, '0'),
    ],
)
def test_digits_of_binary_arithmetic_are_not_shown(value: float, text: str) -> None:
    assert rounded(value) == text
