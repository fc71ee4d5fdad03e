"""Finds where a slide has the most mitoses: the hottest region of an area, the paper's DBSCAN hotspot, a density map.

A region (ROI) is an axis-parallel rectangle with all four sides included. Coordinates are level-0 pixels.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from sklearn.cluster import DBSCAN

from mitouts.functional.point_arrays import as_points
from mitouts.utils.defaults import ROI_AREA_MM2

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Bounds = tuple[float, float, float, float]

_EPS_FACTOR = 0.8
_MIN_SAMPLES_FACTOR = 0.75
_MAX_ROUNDS = 60


@dataclass(frozen=True)
class Roi:
    """An axis-parallel rectangle, sides included, in level-0 pixels (0 at the centre of the first pixel)."""

    left_px: float
    top_px: float
    width_px: float
    height_px: float

    def contains(self, points_xy: ArrayLike) -> BoolArray:
        """Tell which of ``(N, 2+)`` points lie inside or on a side, ``(N,)``."""
        x, y = as_points(points_xy, drop_rest=True).T
        in_x = (x >= self.left_px) & (x <= self.left_px + self.width_px)
        return in_x & (y >= self.top_px) & (y <= self.top_px + self.height_px)

    def to_dict(self) -> dict[str, float]:
        """Return plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Hotspot:
    """The hottest region.

    Attributes:
        roi: The region.
        count: Points inside.
    """

    roi: Roi
    count: int


@dataclass(frozen=True)
class ReferenceHotspot:
    """The hotspot of annotated figures under the paper's protocol, :func:`reference_hotspot`.

    Attributes:
        roi: The region.
        area_mm2: Its area.
        count: Annotated figures inside, the reference.
        cluster_size: Figures of the most populated cluster.
        num_clusters: Clusters that were found.
        eps_um: The DBSCAN radius they were found with.
        min_samples: The DBSCAN core size they were found with.
        converged: Whether there are at least two clusters, or only one figure.
    """

    roi: Roi
    area_mm2: float
    count: int
    cluster_size: int
    num_clusters: int
    eps_um: float
    min_samples: int
    converged: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def roi_side_px(area_mm2: float, mpp: float) -> float:
    """Compute the side of a square region in pixels.

    Args:
        area_mm2: Its area.
        mpp: Micrometres per pixel.

    Raises:
        ValueError: An argument is not positive.
    """
    for name, value in (('area_mm2', area_mm2), ('mpp', mpp)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f'{name} must be a positive number, found {value}')
    return math.sqrt(area_mm2) * 1000 / mpp


def hottest_roi(
    points_xy: ArrayLike, *, area_mm2: float, mpp: float, bounds_px: Bounds | None = None
) -> Hotspot | None:
    """Find the square of a given area that holds the most points, exactly, over all positions.

    Any region can be moved right and down until its left side and its upper side touch a point, and loses none by it:
    so it suffices to look at regions whose left side is at a point's x and whose upper side is at a point's y.

    Of several equally hot ones, it is the one with the smallest x of these regions, then the smallest y. The region
    that is returned holds the same points and is centred on the box around them, unless that would leave the bounds.

    Args:
        points_xy: ``(N, 2+)`` points in level-0 pixels.
        area_mm2: Area of the region.
        mpp: Micrometres per pixel.
        bounds_px: ``(left, top, right, bottom)`` that the region may not leave, such as ``(-0.5, -0.5, width - 0.5,
            height - 0.5)``. Points outside are ignored.

    Returns:
        None where there is no point, or the region does not fit into the bounds.

    Raises:
        ValueError: The points or sizes make no sense.
    """
    points, side_px = as_points(points_xy, drop_rest=True), roi_side_px(area_mm2, mpp)
    if bounds_px is not None:
        left, top, right, bottom = bounds_px
        if side_px > right - left or side_px > bottom - top:
            return None
        points = points[Roi(left, top, right - left, bottom - top).contains(points)]
    if not len(points):
        return None
    members = points[Roi(*_hottest_corner(points, side_px), side_px, side_px).contains(points)]
    roi = _centred(members, side_px, bounds_px)
    return Hotspot(roi, int(np.count_nonzero(roi.contains(points))))


def reference_hotspot(points_xy: ArrayLike, *, mpp: float, area_mm2: float = ROI_AREA_MM2) -> ReferenceHotspot | None:
    """Place the reference region on annotated figures by DBSCAN (Fernandez-Martin et al. 2024, section 4.2.2).

    DBSCAN starts with half the region's diagonal as radius and a sixth of the figures (rounded up) as core size, and
    the square region is centred on the centroid of the most populated cluster (of equal ones, that whose centroid has
    the smallest x, then y). The paper adjusts both numbers until there are two clusters, and does not say how. Here,
    round by round, while there are fewer than two: if one cluster has more than half of the figures, it is too wide and
    the radius is cut by a fifth; otherwise there are too few cores and the core size is cut by a quarter (by one at
    least). If 60 rounds do not suffice, as with figures in one spot, the first round that found a cluster counts,
    and ``converged`` is False. Memory grows with the pairs of figures within the radius: some 0.2 GB for 10,000 figures
    with a standard deviation of 1 mm.

    Args:
        points_xy: ``(N, 2+)`` annotated figures in level-0 pixels.
        mpp: Micrometres per pixel.
        area_mm2: Area of the region.

    Returns:
        The region, which may reach beyond the slide; None without figures. ``result.roi.contains(...)`` tells which
        predictions lie in it.
    """
    points = as_points(points_xy, drop_rest=True)
    if not len(points):
        return None
    side_px = roi_side_px(area_mm2, mpp)
    eps_px, min_samples = side_px * math.sqrt(2) / 2, math.ceil(len(points) / 6)
    kept = None
    for _ in range(_MAX_ROUNDS):
        labels = DBSCAN(eps=eps_px, min_samples=min_samples).fit_predict(points)
        num_clusters = int(labels.max()) + 1
        if num_clusters and (kept is None or num_clusters > 1):
            kept = labels, num_clusters, eps_px, min_samples
        if num_clusters > 1 or len(points) == 1:
            break
        if 2 * np.count_nonzero(labels >= 0) > len(points):
            eps_px *= _EPS_FACTOR
        else:
            min_samples = max(1, min(min_samples - 1, math.floor(min_samples * _MIN_SAMPLES_FACTOR)))
    assert kept is not None, 'with a core size of 1, which comes within the rounds, every figure is a cluster'
    labels, num_clusters, eps_px, min_samples = kept
    center, size = _most_populated(points, labels, num_clusters)
    roi = Roi(center[0] - side_px / 2, center[1] - side_px / 2, side_px, side_px)
    return ReferenceHotspot(
        roi=roi,
        area_mm2=area_mm2,
        count=int(np.count_nonzero(roi.contains(points))),
        cluster_size=size,
        num_clusters=num_clusters,
        eps_um=eps_px * mpp,
        min_samples=min_samples,
        converged=num_clusters > 1 or len(points) == 1,
    )


def density_map(points_xy: ArrayLike, *, mpp: float, cell_px: float, sigma_um: float, mask: ArrayLike) -> FloatArray:
    """Map mitoses per mm2 on a coarse grid, smoothed by a Gaussian.

    Both the counts and the examined area are smoothed, and their ratio is taken (Nadaraya-Watson): neither the slide's
    edge nor the edge of the tumour lowers the density beside it, and an even density stays even.

    Args:
        points_xy: ``(N, 2+)`` figures in level-0 pixels; those outside the grid or the mask are ignored.
        mpp: Micrometres per pixel.
        cell_px: Side of a cell in level-0 pixels; the grid starts at the slide's outer corner.
        sigma_um: Standard deviation of the Gaussian, cut off at 4 of them.
        mask: ``(rows, columns)`` cells that were examined.

    Returns:
        ``(rows, columns)`` float64; 0 outside the mask.

    Raises:
        ValueError: The mask has another shape, or a size is not positive.
    """
    examined = np.asarray(mask, dtype=bool)
    if examined.ndim != 2:
        raise ValueError(f'expected a mask of shape (rows, columns), found {examined.shape}')
    if not (mpp > 0 and cell_px > 0 and sigma_um > 0):
        raise ValueError(f'sizes must be positive, found mpp {mpp}, cell {cell_px} px, sigma {sigma_um} um')
    columns, rows = np.floor((as_points(points_xy, drop_rest=True) + 0.5) / cell_px).T
    inside = (rows >= 0) & (rows < examined.shape[0]) & (columns >= 0) & (columns < examined.shape[1])
    index = rows[inside].astype(np.int64) * examined.shape[1] + columns[inside].astype(np.int64)
    counts = np.bincount(index, minlength=examined.size).reshape(examined.shape) * examined
    sigma_cells = sigma_um / (cell_px * mpp)
    smooth_count = gaussian_filter(counts.astype(np.float64), sigma_cells, mode='constant')
    smooth_area = gaussian_filter(examined.astype(np.float64), sigma_cells, mode='constant')
    smooth_area *= (cell_px * mpp / 1000) ** 2
    return np.divide(smooth_count, smooth_area, out=np.zeros(examined.shape), where=examined)


def _hottest_corner(xy: FloatArray, side_px: float) -> tuple[float, float]:
    """Find the square with the most points among those whose left side is at a point's x and upper side at a point's y.

    A sweep over x keeps, for every such upper side, the points inside; a point that enters or leaves changes one run of
    them. Memory is O(n); time is O(n^2) in the worst case, n vector operations of up to n elements.

    Args:
        xy: ``(N, 2)`` float64, at least one point.
        side_px: Side of the square, in the points' unit.

    Returns:
        The upper left corner; of several, that with the smallest x, then y.
    """
    order = np.argsort(xy[:, 0], kind='stable')
    x, y = xy[order].T
    tops = np.unique(y)
    # The run of upper sides whose region holds the point: the same comparisons as in Roi.contains.
    firsts = np.searchsorted(tops + side_px, y, 'left').tolist()
    lasts = np.searchsorted(tops, y, 'right').tolist()
    lefts, leaving = np.unique(x, return_index=True)
    entering = np.searchsorted(x, lefts + side_px, 'right')
    # Half the bytes is half the time.
    inside = np.zeros(len(tops), dtype=np.int32)
    best, best_left, best_top = 0, 0, 0
    left_of, right_of = 0, 0
    for index, (gone, come) in enumerate(zip(leaving.tolist(), entering.tolist())):
        for point in range(left_of, gone):
            inside[firsts[point] : lasts[point]] -= 1
        left_of = gone
        if come == right_of:
            continue
        for point in range(right_of, come):
            inside[firsts[point] : lasts[point]] += 1
        # Only where something entered can the count have risen above the best so far.
        low, high = min(firsts[right_of:come]), max(lasts[right_of:come])
        right_of = come
        top = low + int(inside[low:high].argmax())
        if inside[top] > best:
            best, best_left, best_top = int(inside[top]), index, top
    return float(lefts[best_left]), float(tops[best_top])


def _centred(members: FloatArray, side_px: float, bounds_px: Bounds | None) -> Roi:
    low, high = members.min(axis=0), members.max(axis=0)
    left, top = (low + high - side_px) / 2
    if bounds_px is not None:
        left = max(min(left, bounds_px[2] - side_px), bounds_px[0])
        top = max(min(top, bounds_px[3] - side_px), bounds_px[1])
    roi = Roi(float(left), float(top), side_px, side_px)
    if roi.contains(members).all():
        return roi
    # The points reach from side to side, and rounding put one outside; from its first point the region holds them all.
    return Roi(float(low[0]), float(low[1]), side_px, side_px)


def _most_populated(points: FloatArray, labels: IntArray, num_clusters: int) -> tuple[tuple[float, float], int]:
    """Return the centroid and size of the cluster with the most figures."""
    members = labels >= 0
    sizes = np.bincount(labels[members], minlength=num_clusters)
    x, y = (np.bincount(labels[members], points[members, axis], minlength=num_clusters) / sizes for axis in (0, 1))
    chosen = int(np.lexsort((y, x, -sizes))[0])
    return (float(x[chosen]), float(y[chosen])), int(sizes[chosen])
