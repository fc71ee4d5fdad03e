"""Lays patches over an image, and tells which figures each of them shows.

A figure belongs to exactly one patch, the one whose border is farthest from its centre, and is counted there alone. The
other patches that show it say so with ``iscrowd: 1``: where its centre is inside, the patch is a positive sample all
the same; where the border leaves only a part of it (``cut: true``), the patch is neither positive nor negative on its
account. So no figure is counted twice, and no patch with a part of one passes for a negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.formats.coco import BOX_PX
from mitouts.functional.tiling import Edges, owning_tile, tile_starts

DERIVED_KEYS = frozenset({'id', 'image_id', 'category_id', 'point', 'bbox', 'area', 'iscrowd', 'cut'})


@dataclass(frozen=True)
class PatchGrid:
    """The patches of one image.

    Attributes:
        width_px: Width of the image; a patch may reach beyond a smaller one.
        columns_px: ``(C,)`` first pixel columns, ascending.
        rows_px: ``(R,)`` first pixel rows, ascending.
    """

    width_px: int
    height_px: int
    columns_px: NDArray[np.int64]
    rows_px: NDArray[np.int64]
    patch_px: int

    def __len__(self) -> int:
        return len(self.columns_px) * len(self.rows_px)

    @property
    def is_whole(self) -> bool:
        """Whether a single patch shows the whole image."""
        return len(self) == 1 and max(self.width_px, self.height_px) <= self.patch_px


@dataclass(frozen=True)
class PatchFigure:
    """A figure as one patch shows it.

    Attributes:
        source: Its annotation in the image's annotation file.
        x: Column in the patch in pixels; at the border where the figure is cut.
        y: Row in the patch in pixels.
        cut: Whether its centre is outside the patch.
    """

    source: Mapping[str, Any]
    x: float
    y: float
    counted: bool
    cut: bool

    def annotation_keys(self) -> dict[str, Any]:
        """Return the keys of the patch's annotation other than position and category."""
        keys = {key: value for key, value in self.source.items() if key not in DERIVED_KEYS}
        keys['source_id'] = self.source['id']
        # What is not counted in the image, or cut by its border, is neither counted nor whole in a part of it.
        if not self.counted or self.source.get('iscrowd'):
            keys['iscrowd'] = 1
        if self.cut or self.source.get('cut'):
            keys['cut'] = True
        return keys


def make_grid(width_px: int, height_px: int, patch_px: int, stride_px: int, edges: Edges) -> PatchGrid:
    """Lay patches over an image; see :func:`mitouts.functional.tiling.tile_starts`."""
    columns = tile_starts(width_px, patch_px, stride_px, edges)
    rows = tile_starts(height_px, patch_px, stride_px, edges)
    return PatchGrid(width_px, height_px, columns, rows, patch_px)


def figures_by_patch(
    annotations: Sequence[Mapping[str, Any]], points: NDArray[np.float64], grid: PatchGrid, downsample: float = 1.0
) -> tuple[dict[tuple[int, int], list[PatchFigure]], int]:
    """Find the figures that each patch shows.

    Args:
        annotations: Those of the image.
        points: ``(N, 2)`` their centres, in pixels of the grid.
        downsample: Image pixels per pixel of the grid; a figure reaches 25 image pixels around its centre.

    Returns:
        ``(x, y)`` of a patch's first pixel -> its figures; and how many figures belong to no patch (dropped edges).
    """
    reach = BOX_PX / 2 / downsample
    columns = _Axis(grid.columns_px, grid.patch_px, grid.width_px)
    rows = _Axis(grid.rows_px, grid.patch_px, grid.height_px)
    owner_x, owner_y = columns.owners(points[:, 0]), rows.owners(points[:, 1])
    shown: dict[tuple[int, int], list[PatchFigure]] = {}
    lost = 0
    for index, annotation in enumerate(annotations):
        x, y = points[index].tolist()
        owner = (int(owner_x[index]), int(owner_y[index]))
        lost += -1 in owner
        for column in columns.showing(x, reach):
            for row in rows.showing(y, reach):
                left, top = int(grid.columns_px[column]), int(grid.rows_px[row])
                cut = not (columns.holds(column, x) and rows.holds(row, y))
                figure = PatchFigure(
                    annotation,
                    (columns.nearest(column, x) if cut else x) - left,
                    (rows.nearest(row, y) if cut else y) - top,
                    counted=(column, row) == owner,
                    cut=cut,
                )
                shown.setdefault((left, top), []).append(figure)
    return shown, lost


class _Axis:
    """The extent of each patch along one axis of the image: ``first - 0.5 .. last + 0.5``."""

    def __init__(self, starts: NDArray[np.int64], patch_px: int, length_px: int) -> None:
        self.first = starts
        self.last = np.minimum(starts + patch_px, length_px) - 1
        self.patch_px = patch_px
        self.length_px = length_px

    def owners(self, positions: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the patch that each position belongs to; -1 for none."""
        outside = (positions < -0.5) | (positions > self.length_px - 0.5)
        return np.where(outside, -1, owning_tile(positions, self.first, self.patch_px))

    def showing(self, position: float, reach: float) -> list[int]:
        """Return the patches that a figure reaches into."""
        begin = int(np.searchsorted(self.last, position - reach - 0.5, side='right'))
        end = int(np.searchsorted(self.first, position + reach + 0.5, side='left'))
        return list(range(begin, end))

    def holds(self, patch: int, position: float) -> bool:
        """Tell whether a position is inside a patch."""
        return bool(self.first[patch] - 0.5 <= position <= self.last[patch] + 0.5)

    def nearest(self, patch: int, position: float) -> float:
        """Clip a position to the range between the first and the last pixel centre of a patch."""
        return float(np.clip(position, self.first[patch], self.last[patch]))
