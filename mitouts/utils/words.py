"""Numbers in sentences."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """A count and what is counted.

    >>> plural(1, 'mitotic figure'), plural(0, 'tile')
    ('1 mitotic figure', '0 tiles')
    """
    return f'{count} {noun}' + ('' if count == 1 else 's')
