"""Turns records of results into what a JSON file holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def plain_fields(record: DataclassInstance) -> dict[str, Any]:
    """The fields of a dataclass under their names, and those of dataclasses in it; an interval becomes a list."""
    return _plain(asdict(record))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
