"""From a score map to points."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.functional.geometry import FeatureGeometry, upsample_map

Centroid = Literal['geometric', 'score_weighted']


def mask_components(
    score_map: NDArray[np.float32],
    threshold: float,
    *,
    min_area_px: int = 1,
    centroid: Centroid = 'geometric',
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Connected components (8 neighbours) of ``score_map > threshold``, one point each.

    Args:
        score_map: Array ``(H, W)``, probabilities at image size.
        threshold: Cut; strict.
        min_area_px: Smaller components are left out.
        centroid: ``geometric`` is the mean position of the component's pixels; ``score_weighted`` weights them by
            their score, Eq. (2) of Fernandez-Martin et al. 2024.

    Returns:
        Points ``(N, 3)`` as ``(x, y, score)`` where the score is the component's highest, in descending order, and
        the label image ``(H, W)`` with 0 outside the components that were kept.
    """
    # In float64: a threshold between two neighbouring float32 scores must stay between them.
    mask = (score_map.astype(np.float64) > threshold).astype(np.uint8)
    count, found = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    labels = np.asarray(found, dtype=np.int32)
    if count == 1:
        return np.zeros((0, 3)), labels
    rows, columns = np.nonzero(labels)
    index = labels[rows, columns]
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
    if not keep[1:].all():
        labels = np.where(keep[labels], labels, 0).astype(np.int32)
    points = np.stack([x[keep], y[keep], top[keep]], axis=1)
    return points[np.argsort(-points[:, 2], kind='stable')], labels


def map_peaks(
    score_map: NDArray[np.float32], geometry: FeatureGeometry, height: int, width: int, min_score: float
) -> NDArray[np.float64]:
    """Local maxima (3 x 3 cells) of a map at network resolution.

    A plateau gives one peak per cell of it; saturated maps are cut by ``mask_components`` before this matters.

    Returns:
        Points ``(N, 3)`` as ``(x, y, score)`` in image pixels, inside the image.
    """
    # OpenCV's default border value for a dilation is -inf, so the border never hides a maximum.
    dilated = cv2.dilate(score_map.astype(np.float32), np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero((score_map >= dilated) & (score_map > min_score))
    x = np.clip(geometry.on_axis(width, score_map.shape[1]).cell_to_px(columns), 0, width - 1)
    y = np.clip(geometry.on_axis(height, score_map.shape[0]).cell_to_px(rows), 0, height - 1)
    return np.stack([x, y, score_map[rows, columns].astype(np.float64)], axis=1)


def map_to_points(
    score_map: NDArray[np.float32],
    height: int,
    width: int,
    geometry: FeatureGeometry,
    *,
    map_threshold: float,
    min_score: float | None = 0.01,
    min_area_px: int = 1,
    centroid: Centroid = 'geometric',
) -> NDArray[np.float64]:
    """Points of one image: components at ``map_threshold``, then weaker peaks.

    The components are the prediction. The peaks below the threshold are kept so that curves over all thresholds can
    be drawn from one file; their scores are at most ``map_threshold``.

    Args:
        score_map: Array ``(h, w)``, probabilities at network resolution.
        height: Image height in pixels.
        width: Image width in pixels.
        geometry: Where the cells of the map lie.
        map_threshold: Cut of the up-sampled map; strict.
        min_score: Weakest peak that is kept; None keeps no peaks.
        min_area_px: Smaller components are left out.
        centroid: See :func:`mask_components`.

    Returns:
        Points ``(N, 3)`` as ``(x, y, score)``, descending by score.
    """
    full = upsample_map(score_map, height, width, geometry)
    points, labels = mask_components(full, map_threshold, min_area_px=min_area_px, centroid=centroid)
    if min_score is None or min_score >= map_threshold:
        return points
    peaks = map_peaks(score_map, geometry, height, width, min_score)
    at = labels[np.rint(peaks[:, 1]).astype(int), np.rint(peaks[:, 0]).astype(int)]
    peaks = peaks[(at == 0) & (peaks[:, 2] <= map_threshold)]
    peaks = peaks[np.argsort(-peaks[:, 2], kind='stable')]
    return np.concatenate([points, peaks])
