"""Formats numbers and names for sentences and tables."""

from __future__ import annotations

import re


def plural(count: int, noun: str, several: str | None = None) -> str:
    """Format a count with its noun.

    Args:
        count: How many.
        noun: Singular of the noun.
        several: Plural of the noun, if it is not ``noun`` with an s.

    >>> plural(1, 'mitotic figure'), plural(0, 'tile'), plural(1204, 'patch', 'patches')
    ('1 mitotic figure', '0 tiles', '1,204 patches')
    """
    return f'{count:,} {noun if count == 1 else several or f"{noun}s"}'


def case_words(name: str) -> str:
    """Format the name of a case for a sentence, without repeating "case".

    >>> case_words('A03'), case_words('case_02'), case_words('casein 1')
    ('case A03', 'case_02', 'case casein 1')
    """
    return name if re.match(r'case(?![a-z])', name, re.IGNORECASE) else f'case {name}'


def rounded(value: float) -> float:
    """Round a number to drop the noise of binary arithmetic.

    >>> rounded(255.99999999999997)
    256.0
    """
    return float(f'{value:.10g}')
