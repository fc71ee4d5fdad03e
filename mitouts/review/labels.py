"""Names what a rater can say of an item, and the errors of saying it."""

from __future__ import annotations

from typing import Literal, get_args

from mitouts.errors import ReviewError

Label = Literal['mitotic', 'look_alike', 'unsure']
Role = Literal['rater', 'tiebreaker']

LABELS: tuple[str, ...] = get_args(Label)
ROLES: tuple[str, ...] = get_args(Role)


class UnknownItemError(ReviewError):
    """There is no item of this number."""


class RequestConflictError(ReviewError):
    """A request that was answered before came again with other content."""


class NothingToUndoError(ReviewError):
    """The rater has no decision that is not taken back already."""


class StoreUnavailableError(ReviewError):
    """The database cannot be read or written just now (locked, disk full); nothing was written, try again."""
