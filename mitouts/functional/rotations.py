"""Turns images by right angles and brings the maps of a network back, cell onto cell.

A network puts its cells at ``center_offset_px + i * stride`` from the left and the top of what it sees. In a turned
image these places count from the other side, so the cells of a turned map lie between those of the plain one, unless
the image is moved first. Each image is therefore padded by a few pixels before it is turned, such that a cell of every
turned map lies on each cell of the plain map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry


class TurnedAxis(NamedTuple):
    """How an axis of the image is padded before it is turned, and where its cells are afterwards.

    Attributes:
        before_px: Pixels that are added on the left or above.
        after_px: Pixels that are added on the right or below.
        first_cell: Index, along the turned map's own axis, of the first cell that lies on one of the plain map.
    """

    before_px: int = 0
    after_px: int = 0
    first_cell: int = 0


class Turn(NamedTuple):
    """A turn by right angles.

    Attributes:
        quarters: Quarter turns against the clock.
        rows: Axis of the rows (y) of the image that is not turned yet.
        columns: Axis of its columns (x).
    """

    quarters: int
    rows: TurnedAxis
    columns: TurnedAxis


def plan_turns(
    size_px: tuple[int, int],
    cells: tuple[int, int],
    geometry: FeatureGeometry,
    *,
    period_px: int | None = None,
    drift_px: Sequence[float] = (0.0, 0.0),
) -> tuple[Turn, Turn, Turn]:
    """Plan the turns by 90, 180 and 270 degrees.

    A drift belongs to the network, so it points elsewhere in a turned image. The turned images are moved along with it,
    to the nearest pixel: all maps then have the drift of the plain one.

    Args:
        size_px: Height and width of the images.
        cells: Rows and columns of the plain map.
        geometry: Where the cells lie.
        period_px: Shifts by multiples of it shift the map by whole cells; a multiple of the stride, the default.
        drift_px: ``(dx, dy)``, how far the network's points lie beside the figures.
    """
    quarters = (1, 2, 3)
    if isinstance(geometry, AlignCornersGeometry):
        # Its cells are spread from border to border, which turn onto each other.
        first, second, third = (Turn(number, TurnedAxis(), TurnedAxis()) for number in quarters)
        return first, second, third
    (height, width), (rows, columns) = size_px, cells
    x, y = (geometry.center_offset_px - float(each) for each in drift_px)
    period = period_px or geometry.stride

    def turn(number: int) -> Turn:
        # Quarter turns swap the axes, and the network's offset along each.
        turned_x, turned_y = (x, y) if number == 2 else (y, x)
        return Turn(
            number,
            _turned_axis(height, rows, geometry.stride, period, y, turned_y, is_reversed=number in (2, 3)),
            _turned_axis(width, columns, geometry.stride, period, x, turned_x, is_reversed=number in (1, 2)),
        )

    first, second, third = (turn(number) for number in quarters)
    return first, second, third


def _turned_axis(
    size_px: int, cells: int, stride: int, period: int, offset: float, turned_offset: float, *, is_reversed: bool
) -> TurnedAxis:
    """Pad an axis of ``size_px`` to a multiple of the period.

    Cell ``i`` is at ``offset + i * stride`` of the plain image, cell ``j`` at ``turned_offset + j * stride`` of the
    turned one, which is ``total_px`` long. A pixel ``x`` turns to ``before + x``, or to ``total - 1 - before - x``
    where the axis is reversed.
    """
    if is_reversed:
        shift = -round(1 + offset + turned_offset)
        least = max(0, stride + shift)
    else:
        shift = round(turned_offset - offset)
        least = max(0, shift)
    before = least + (shift - least) % period
    first = (before - shift) // stride - is_reversed
    total = -(-max(before + size_px, (first + cells) * stride) // period) * period
    if is_reversed:
        first = (total - before + shift) // stride - cells + 1
    return TurnedAxis(before, total - before - size_px, first)


def turn_images(images: Tensor, turn: Turn, fill: float = 0) -> Tensor:
    """Pad and turn images.

    Args:
        images: Tensor ``(N, C, H, W)``.
        turn: The turn, planned for their size.
        fill: Value of the padding.

    Returns:
        Tensor ``(N, C, H', W')``.
    """
    padding = [turn.columns.before_px, turn.columns.after_px, turn.rows.before_px, turn.rows.after_px]
    return functional.pad(images, padding, value=fill).rot90(turn.quarters, (2, 3))


def turn_back(maps: Tensor, turn: Turn, cells: tuple[int, int]) -> Tensor:
    """Turn maps of turned images back, and keep the cells that lie on those of the plain map.

    Args:
        maps: Tensor ``(N, h', w')``.
        turn: The turn of their images.
        cells: Rows and columns of the plain map.

    Returns:
        Tensor ``(N, h, w)``.
    """
    parts = [slice(axis.first_cell, axis.first_cell + n) for axis, n in zip((turn.rows, turn.columns), cells)]
    row, column = parts if turn.quarters == 2 else parts[::-1]
    return maps[:, row, column].rot90(-turn.quarters, (1, 2))
