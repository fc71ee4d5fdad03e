"""Counts the figures of a slide: which tiles count, mitoses per tile (MAI), per mm2 and per 10 fields.

A *tile* is a square of 512 px at 20x (0.5 um per pixel, 256 um), and tiles do not overlap (Fernandez-Martin et al.
2024, section 3.4). Lengths on the slide are in level-0 pixels; the grid of tiles starts at the slide's outer top-left
corner, which is ``(-0.5, -0.5)`` in point coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from mitouts.functional.point_arrays import as_points
from mitouts.functional.ratios import ratio
from mitouts.utils.defaults import FIELD_DIAMETER_MM, MIN_AREA_MM2
from mitouts.utils.records import plain_fields

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Interval = tuple[float, float]

TILE_PX = 512
TILE_MPP = 0.5
MIN_TUMOUR_PROBABILITY = 0.40
"""Least mean probability of a counted tile."""
MIN_COVERAGE = 0.5
"""Least share of a tile that must lie on the slide and be readable."""

# Sums of areas and means over cells are exact but for rounding; a limit must not fail by it.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class TumourTiles:
    """The tiles of a slide that are counted.

    Attributes:
        counted: ``(rows, columns)`` bool, whether each tile counts.
        probability: ``(rows, columns)`` mean tumour probability over each tile's readable part; 0 where it has none.
        area_mm2: ``(rows, columns)`` readable area of each tile.
        tile_px: Side of a tile in level-0 pixels.
        tile_um: Side of a tile in micrometres.
        unreadable_mm2: Area of the slide that could not be read, all tiles together.
    """

    counted: BoolArray
    probability: FloatArray
    area_mm2: FloatArray
    tile_px: float
    tile_um: float
    unreadable_mm2: float

    @property
    def num_counted(self) -> int:
        """Number of counted tiles."""
        return int(np.count_nonzero(self.counted))

    @property
    def counted_mm2(self) -> float:
        """Readable area of the counted tiles."""
        return float(self.area_mm2[self.counted].sum())


@dataclass(frozen=True)
class SlideCounts:
    """The counts of one slide; None means "not available".

    Intervals are exact 95% Poisson intervals (:func:`poisson_ci95`): how far a count of this size varies by chance.
    They say nothing about the detector's mistakes or about another slide of the tumour.

    Attributes:
        figures: Mitotic figures anywhere on the slide.
        count: Mitotic figures in counted tiles.
        count_ci95: Interval of ``count``.
        num_tiles: Number of counted tiles.
        tile_um: Side of a tile in micrometres.
        counted_mm2: Readable area of the counted tiles.
        unreadable_mm2: Area of the slide that could not be read; it is no part of ``counted_mm2``.
        excluded_because: Why the slide is not counted; None where it is. The rates of an excluded slide are None.
        mai: Mitoses per counted tile: the mitotic activity index of Fernandez-Martin et al. 2024.
        mai_ci95: Its interval.
        per_mm2: Mitoses per square millimetre of counted tiles.
        per_mm2_ci95: Its interval.
        per_10_hpf: Mitoses per ten high-power fields, ``per_mm2 * 10 * pi * (diameter / 2) ** 2``.
        per_10_hpf_ci95: Its interval.
        field_diameter_mm: Diameter of such a field.
    """

    figures: int
    count: int
    count_ci95: Interval
    num_tiles: int
    tile_um: float
    counted_mm2: float
    unreadable_mm2: float
    excluded_because: str | None
    mai: float | None
    mai_ci95: Interval | None
    per_mm2: float | None
    per_mm2_ci95: Interval | None
    per_10_hpf: float | None
    per_10_hpf_ci95: Interval | None
    field_diameter_mm: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return plain_fields(self)


def tile_side_px(mpp: float) -> float:
    """Return the side of a tile in pixels at another resolution (micrometres per pixel); often not a whole number.

    >>> tile_side_px(0.25)
    1024.0
    """
    _require_positive(mpp=mpp)
    return TILE_PX * TILE_MPP / mpp


def counted_tiles(
    probability_map: ArrayLike,
    *,
    cell_px: float | tuple[float, float],
    tile_px: float,
    slide_size_px: tuple[int, int],
    mpp: float,
    unreadable: ArrayLike | None = None,
) -> TumourTiles:
    """Choose the tiles that count: those with a mean tumour probability of at least 0.40.

    Cells need not line up with tiles: a cell on a border is shared between tiles by area. Parts of a tile beyond the
    slide's right or lower edge, and unreadable cells, do not enter its mean and area. A tile of which less than half is
    left does not count, whatever its mean.

    Args:
        probability_map: ``(h, w)`` tumour probabilities in [0, 1]. Cell ``(i, j)`` covers ``[j * cell_px, (j + 1) *
            cell_px)`` from the slide's left edge, and likewise downwards. What reaches beyond the slide is ignored.
        cell_px: Side of a cell in level-0 pixels, or its width and height.
        tile_px: Side of a tile in level-0 pixels (:func:`tile_side_px`).
        slide_size_px: Width and height of level 0.
        mpp: Micrometres per pixel of level 0.
        unreadable: ``(h, w)`` cells that could not be read.

    Raises:
        ValueError: The map has another shape, is not finite, is outside [0, 1], or leaves more than a cell of the
            slide's width or height uncovered; or a length is not positive.
    """
    probability = np.asarray(probability_map, dtype=np.float64)
    if probability.ndim != 2 or not probability.size:
        raise ValueError(f'expected a map of shape (h, w), found {probability.shape}')
    # NaN fails the comparison as well.
    if not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(f'expected probabilities from 0 to 1, found {probability.min()} to {probability.max()}')
    readable = np.ones(probability.shape) if unreadable is None else 1.0 - np.asarray(unreadable, dtype=bool)
    if readable.shape != probability.shape:
        raise ValueError(f'the map has shape {probability.shape}, the unreadable cells {readable.shape}')
    cell_width_px, cell_height_px = cell_px if isinstance(cell_px, tuple) else (cell_px, cell_px)
    _require_positive(cell_width_px=cell_width_px, cell_height_px=cell_height_px, tile_px=tile_px, mpp=mpp)
    down = _shared_lengths(slide_size_px[1], tile_px, probability.shape[0], cell_height_px, 'height')
    across = _shared_lengths(slide_size_px[0], tile_px, probability.shape[1], cell_width_px, 'width')

    area_px2 = down @ readable @ across.T
    weighted = down @ (probability * readable) @ across.T
    mean = ratio(weighted, area_px2)
    is_counted = (mean >= MIN_TUMOUR_PROBABILITY - _ROUNDING) & (area_px2 >= (MIN_COVERAGE - _ROUNDING) * tile_px**2)
    mm2_per_px2 = (mpp / 1000) ** 2
    unreadable_px2 = float(down.sum(axis=0) @ (1.0 - readable) @ across.sum(axis=0))
    return TumourTiles(
        counted=is_counted,
        probability=mean,
        area_mm2=area_px2 * mm2_per_px2,
        tile_px=tile_px,
        tile_um=tile_px * mpp,
        unreadable_mm2=unreadable_px2 * mm2_per_px2,
    )


def tile_of_points(points_xy: ArrayLike, tile_px: float, grid_shape: tuple[int, int]) -> IntArray:
    """Find the tile that each point lies in.

    Tiles are half-open: tile ``(r, c)`` holds ``c * tile_px <= x + 0.5 < (c + 1) * tile_px``, and likewise in y, so a
    point on a common border belongs to the tile on its right or below. The grid's own right and lower border belong to
    the last tile.

    Args:
        points_xy: ``(N, 2+)`` points in level-0 pixels; further columns are ignored.
        tile_px: Side of a tile in level-0 pixels.
        grid_shape: Rows and columns of the grid.

    Returns:
        ``(N,)`` int64, ``row * columns + column``; -1 outside the grid.

    >>> tile_of_points([[0, 0], [300, 50]], tile_px=256, grid_shape=(2, 2)).tolist()
    [0, 1]
    """
    points = as_points(points_xy, drop_rest=True)
    rows, columns = grid_shape
    along = (points + 0.5) / tile_px
    ends = np.array([columns, rows], dtype=np.float64)
    inside = ((along >= 0) & (along <= ends)).all(axis=1)
    column, row = np.minimum(np.floor(along[inside]), ends - 1).astype(np.int64).T
    index = np.full(len(points), -1, dtype=np.int64)
    index[inside] = row * columns + column
    return index


def in_counted_tiles(points_xy: ArrayLike, tiles: TumourTiles) -> BoolArray:
    """Tell which points lie in a counted tile.

    Args:
        points_xy: ``(N, 2+)`` points in level-0 pixels.
        tiles: The slide's tiles.

    Returns:
        ``(N,)``.
    """
    index = tile_of_points(points_xy, tiles.tile_px, (tiles.counted.shape[0], tiles.counted.shape[1]))
    return (index >= 0) & tiles.counted.reshape(-1)[index]


def count_slide(
    points_xy: ArrayLike,
    tiles: TumourTiles,
    *,
    min_area_mm2: float = MIN_AREA_MM2,
    field_diameter_mm: float = FIELD_DIAMETER_MM,
) -> SlideCounts:
    """Count the figures of one slide.

    Args:
        points_xy: ``(N, 2+)`` figures in level-0 pixels.
        tiles: The slide's tiles.
        min_area_mm2: A slide with a smaller counted area is excluded; 0 excludes none but those without a counted tile.
        field_diameter_mm: Diameter of a high-power field; microscopes differ, 0.40 to 0.69 mm are in use.

    Raises:
        ValueError: The diameter is not positive.
    """
    _require_positive(field_diameter_mm=field_diameter_mm)
    points = as_points(points_xy, drop_rest=True)
    count = int(np.count_nonzero(in_counted_tiles(points, tiles)))
    low, high = interval = poisson_ci95(count)
    area_mm2, num_tiles = tiles.counted_mm2, tiles.num_counted
    reason = exclusion_reason(area_mm2, min_area_mm2)
    field_mm2 = math.pi * (field_diameter_mm / 2) ** 2

    def rate(scale: Callable[[float], float]) -> tuple[float | None, Interval | None]:
        return (None, None) if reason is not None else (scale(count), (scale(low), scale(high)))

    mai, mai_ci95 = rate(lambda number: number / num_tiles)
    per_mm2, per_mm2_ci95 = rate(lambda number: number / area_mm2)
    per_10_hpf, per_10_hpf_ci95 = rate(lambda number: number / area_mm2 * 10 * field_mm2)
    return SlideCounts(
        figures=len(points),
        count=count,
        count_ci95=interval,
        num_tiles=num_tiles,
        tile_um=tiles.tile_um,
        counted_mm2=area_mm2,
        unreadable_mm2=tiles.unreadable_mm2,
        excluded_because=reason,
        mai=mai,
        mai_ci95=mai_ci95,
        per_mm2=per_mm2,
        per_mm2_ci95=per_mm2_ci95,
        per_10_hpf=per_10_hpf,
        per_10_hpf_ci95=per_10_hpf_ci95,
        field_diameter_mm=field_diameter_mm,
    )


def poisson_ci95(count: int) -> Interval:
    """Compute the exact 95% interval of a Poisson mean (Garwood 1936).

    ``[chi2(0.025; 2 n) / 2, chi2(0.975; 2 n + 2) / 2]`` with the quantiles of the chi-squared distribution; the lower
    end is 0 for ``n = 0``. Divided by an area or a number of tiles, it is the interval of that rate.

    Raises:
        ValueError: The count is negative or no whole number.

    >>> '{:.2f} to {:.2f}'.format(*poisson_ci95(10))
    '4.80 to 18.39'
    """
    if count < 0 or count != int(count):
        raise ValueError(f'a count is a whole number from 0, found {count}')
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(0.975, 2 * count + 2)) / 2


def exclusion_reason(counted_mm2: float, min_area_mm2: float = MIN_AREA_MM2) -> str | None:
    """Return the reason why a slide has no rates; None if its counted area is at least ``min_area_mm2``."""
    if counted_mm2 < min_area_mm2 - _ROUNDING:
        return f'{counted_mm2:.2f} mm2 counted, less than {min_area_mm2:g} mm2'
    return None if counted_mm2 > 0 else 'no tile is counted'


def overlap_px(starts: ArrayLike, ends: ArrayLike, cell_px: float, num_cells: int) -> FloatArray:
    """Return how much of each cell of a regular axis each interval covers.

    Args:
        starts: ``(M,)`` from the outer edge of the first cell.
        ends: ``(M,)``.
        cell_px: Length of a cell.
        num_cells: Number of cells.

    Returns:
        ``(M, num_cells)``. With one such matrix for each axis, ``down @ values @ across.T`` is the integral of a map
        that is constant in each cell over every rectangle.
    """
    edges = np.arange(num_cells + 1) * cell_px
    first = np.maximum(np.asarray(starts, dtype=np.float64)[:, None], edges[:-1])
    last = np.minimum(np.asarray(ends, dtype=np.float64)[:, None], edges[1:])
    return np.maximum(last - first, 0.0)


def _shared_lengths(length_px: int, tile_px: float, num_cells: int, cell_px: float, axis: str) -> FloatArray:
    """Return how much of each cell each tile covers along one axis, up to the end of the slide."""
    _require_positive(length_px=length_px)
    if num_cells * cell_px < length_px - cell_px - _ROUNDING:
        raise ValueError(
            f"{num_cells} cells of {cell_px:g} px cover {num_cells * cell_px:g} of the {length_px} px of the slide's "
            f'{axis}; expected all but a part of a cell'
        )
    starts = np.arange(max(1, math.ceil(length_px / tile_px - _ROUNDING))) * tile_px
    return overlap_px(starts, np.minimum(starts + tile_px, length_px), cell_px, num_cells)


def _require_positive(**lengths: float) -> None:
    for name, value in lengths.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f'{name} must be a positive number, found {value}')
