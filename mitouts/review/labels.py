"""Defines the labels that a rater may give an item, and the errors of giving them."""

from __future__ import annotations

from typing import Literal, get_args

from mitouts.errors import ReviewError

Label = Literal['mitotic', 'look_alike', 'unsure']
Role = Literal['rater', 'tiebreaker']

LABELS: tuple[str, ...] = get_args(Label)
ROLES: tuple[str, ...] = get_args(Role)


class UnknownItemError(ReviewError):
    """Raised when no item has this number."""


class RequestConflictError(ReviewError):
    """Raised when a request that was already answered comes again with other content."""


class NothingToUndoError(ReviewError):
    """Raised when the rater has no decision left to take back."""


class StoreUnavailableError(ReviewError):
    """Raised when the database cannot be used just now (locked, disk full); nothing was written, so try again."""
