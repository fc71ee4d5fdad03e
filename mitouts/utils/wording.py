"""How numbers stand in messages and tables."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number and what it counts, such as ``1 figure`` and ``1,204 figures``.

    Args:
        number: How many.
        noun: What one of them is called.
        plural: What several are called, where that is not ``noun`` and an s.
    """
    return f'{number:,} {noun if number == 1 else plural or f"{noun}s"}'


def rounded(value: float) -> str:
    """A number without the digits that only binary arithmetic has put there: 256 for 255.99999999999997."""
    return f'{value:.10g}'
