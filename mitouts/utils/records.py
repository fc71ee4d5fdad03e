"""Turns records of results into plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any


def plain_fields(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name, including nested dataclasses, as :func:`to_plain` converts them."""
    return {name: to_plain(value) for name, value in asdict(record).items()}


def to_plain(value: Any) -> Any:
    """Turn mappings, sequences and NumPy's numbers into dicts, lists and Python's numbers, and anything else into text.

    >>> to_plain({'ci95': (0.5, 1.0), 'sizes': [None, 3]})
    {'ci95': [0.5, 1.0], 'sizes': [None, 3]}
    """
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    # Exact types: a numpy scalar is an instance of float, and would be pickled as numpy's.
    if value is None or type(value) in (bool, int, float, str):
        return value
    return value.tolist() if hasattr(value, 'tolist') else str(value)
