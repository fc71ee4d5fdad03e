"""Turns the components and the peaks of a score map into points."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from mitouts.functional.geometry import FeatureGeometry, cell_maxima

Centroid = Literal['geometric', 'score_weighted']


def mask_components(
    score_map: NDArray[np.float32], threshold: float, *, min_area_px: int = 1, centroid: Centroid = 'geometric'
) -> NDArray[np.float64]:
    """Find the connected components (8 neighbours) of ``score_map > threshold``, one point each.

    Args:
        score_map: Array ``(H, W)``, probabilities at image size.
        threshold: Cut; strict.
        min_area_px: Smaller components are left out.
        centroid: ``geometric`` is the mean position of the component's pixels; ``score_weighted`` weights them by
            their score, Eq. (2) of Fernandez-Martin et al. 2024.

    Returns:
        Points ``(N, 3)`` as ``(x, y, score)`` where the score is the component's highest, in descending order.
    """
    # In float64: a threshold between two neighbouring float32 scores must stay between them.
    mask = (score_map.astype(np.float64) > threshold).astype(np.uint8)
    count, labels = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    rows, columns = np.nonzero(labels)
    index = labels[rows, columns].astype(np.intp)
    scores = score_map[rows, columns].astype(np.float64)
    weights = scores if centroid == 'score_weighted' else np.ones_like(scores)
    area = np.bincount(index, minlength=count)
    total = np.bincount(index, weights, minlength=count)
    top = np.zeros(count)
    np.maximum.at(top, index, scores)
    keep = area >= min_area_px
    keep[0] = False
    with np.errstate(invalid='ignore', divide='ignore'):
        x = np.bincount(index, weights * columns, minlength=count) / total
        y = np.bincount(index, weights * rows, minlength=count) / total
    return strongest_first(np.stack([x[keep], y[keep], top[keep]], axis=1))


def strongest_first(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sort points ``(N, 3)``, ``(x, y, score)``, by descending score; equal scores keep their order."""
    return points[np.argsort(-points[:, 2], kind='stable')]


def map_peaks(
    score_map: NDArray[np.float32], geometry: FeatureGeometry, height: int, width: int, min_score: float
) -> NDArray[np.float64]:
    """Find the local maxima of a map: cells that none of the eight around them exceeds.

    A cell's height is read in the up-sampled map (:func:`mitouts.functional.geometry.cell_maxima`), so that
    the highest peak has the score of the image's best component. A plateau of equal cells is one peak, at their mean,
    unless a higher cell lies beside it. The set of peaks does not depend on a threshold.

    Args:
        score_map: Array ``(h, w)``, probabilities at network resolution; may be memory-mapped.
        geometry: Where the cells of the map lie.
        height: Image height in pixels.
        width: Image width in pixels.
        min_score: A peak's score is > this.

    Returns:
        Points ``(N, 3)`` as ``(x, y, score)`` in image pixels, inside the image, descending by score.
    """
    reached = cell_maxima(score_map, height, width, geometry)
    # OpenCV's default border value for a dilation is -inf, so the border never hides a maximum.
    is_top = reached >= cv2.dilate(reached, np.ones((3, 3), np.uint8))
    is_top &= reached > min_score
    cells = np.argwhere(is_top)
    plateau = _plateaus(cells)
    is_shoulder = np.zeros(plateau.max(initial=-1) + 1, dtype=bool)
    is_shoulder[plateau[_continues(cells, reached, is_top)]] = True
    area = np.bincount(plateau, minlength=len(is_shoulder))
    row, column = (np.bincount(plateau, axis, len(is_shoulder)) / area for axis in cells.T)
    scores = np.zeros(len(is_shoulder))
    scores[plateau] = reached[is_top]
    x = np.clip(geometry.on_axis(width, reached.shape[1]).cell_to_px(column), 0, width - 1)
    y = np.clip(geometry.on_axis(height, reached.shape[0]).cell_to_px(row), 0, height - 1)
    return strongest_first(np.stack([x, y, scores], axis=1)[~is_shoulder])


def _plateaus(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a group number ``(N,)`` for each cell: cells that touch share one. Local maxima that touch are equal."""
    pairs = cKDTree(cells).query_pairs(1, p=np.inf, output_type='ndarray')
    if not len(pairs):
        return np.arange(len(cells))
    links = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(cells), len(cells)))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _continues(cells: NDArray[np.int64], reached: NDArray[np.float32], is_top: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which cells ``(N,)`` have a neighbour that is as high but no local maximum: the plateau leads upwards."""
    continues = np.zeros(len(cells), dtype=bool)
    own = reached[tuple(cells.T)]
    for step in np.ndindex(3, 3):
        beside = tuple(np.clip(cells + step - np.array(1), 0, np.array(reached.shape) - 1).T)
        continues |= ~is_top[beside] & (reached[beside] == own)
    return continues
