"""Reads the messages of a browser, and explains why one is refused."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mitouts.review.items import Item
from mitouts.review.labels import Label

MAX_ADDED = 50
MAX_SECONDS = 86_400
_LARGEST_ID = 2**31 - 1
_LARGEST_OFFSET_PX = 1e6

RequestId = Annotated[str, Field(pattern=r'^[A-Za-z0-9-]{1,64}\z')]
Coordinate = Annotated[float, Field(ge=-_LARGEST_OFFSET_PX, le=_LARGEST_OFFSET_PX, allow_inf_nan=False)]
Offset = tuple[Coordinate, Coordinate]


class MalformedError(ValueError):
    """Raised when a body is not as expected; its text may be shown to the rater."""


class _Message(BaseModel):
    model_config = ConfigDict(extra='forbid', strict=True)


class DecisionMessage(_Message):
    """The body of ``POST /api/decisions``.

    Attributes:
        request: New for every decision, the same when it is sent again.
        item: Number of the item.
        label: Label that the rater gives.
        moved_px: ``(dx, dy)`` from the item's anchor.
        added_px: Further mitotic figures, ``(dx, dy)`` from the anchor.
        seconds: From the crop's appearance to the decision.
    """

    request: RequestId
    item: Annotated[int, Field(ge=0, le=_LARGEST_ID)]
    label: Label
    moved_px: Offset | None = None
    added_px: Annotated[list[Offset], Field(max_length=MAX_ADDED)] = []
    seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)] | None = None


class UndoMessage(_Message):
    """The body of ``POST /api/undo``.

    Attributes:
        request: New for every time something is taken back.
    """

    request: RequestId


AnyMessage = TypeVar('AnyMessage', bound=_Message)


def parse(kind: type[AnyMessage], body: bytes) -> AnyMessage:
    """Read a body.

    Raises:
        MalformedError: It is no JSON, or not of this kind.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = '.'.join(str(part) for part in first['loc'])
        raise MalformedError(f'{where or "body"}: {first["msg"]}'[:300]) from error


def check_inside(item: Item, offsets: list[Offset], field_px: int) -> None:
    """Refuse points outside the crop or the image.

    Args:
        item: Item that the offsets belong to.
        offsets: ``(dx, dy)`` from its anchor.
        field_px: Side of the crop that was shown.

    Raises:
        MalformedError: A point lies outside the crop or the image.
    """
    for dx, dy in offsets:
        if max(abs(dx), abs(dy)) > field_px / 2:
            raise MalformedError(
                f'a point lies {max(abs(dx), abs(dy)):g} px from the centre: expected at most {field_px / 2:g}, which '
                'is where the crop ends'
            )
        if not item.holds(item.at((dx, dy))):
            raise MalformedError('a point lies outside the image, where the crop is grey: put it onto the tissue')
