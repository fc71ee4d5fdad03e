"""Computes the concentric loss of Li et al. 2019 (Medical Image Analysis 53), which labels cells from centroids alone.

Around an annotated centroid, what lies within a small circle certainly belongs to the figure and what lies outside of a
large one certainly does not; the ring between them may be either, and is not learned from.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mitouts.functional.segmentation import IGNORE_INDEX
from mitouts.functional.weighting import weighted_mean


def concentric_target(points_xy: Tensor, x_px: Tensor, y_px: Tensor, *, inner_px: float, outer_px: float) -> Tensor:
    """Label every cell of a map.

    A cell is 1 where its centre is at most ``inner_px`` from any point, ignored where it is at most ``outer_px`` from
    any point, and 0 elsewhere. Where the cells are so far apart that no centre is within ``inner_px`` of a point, the
    nearest cell (the first of equally near ones) is labelled 1, so that every figure is learned from.

    Args:
        points_xy: Tensor ``(G, 2)``, ``(x, y)`` in pixels.
        x_px: Tensor ``(w,)``, where the centres of the columns lie in the image, in pixels.
        y_px: Tensor ``(h,)``, where those of the rows lie.
        inner_px: Radius of the inner circle.
        outer_px: Radius of the outer circle.

    Returns:
        Tensor ``(h, w)``, uint8: 1, 0 or :data:`~mitouts.functional.segmentation.IGNORE_INDEX`.

    Raises:
        ValueError: The inner circle is larger than the outer one.
    """
    if not 0 <= inner_px <= outer_px:
        raise ValueError(f'expected 0 <= inner_px <= outer_px, found {inner_px} and {outer_px}')
    target = torch.zeros(len(y_px), len(x_px), dtype=torch.uint8, device=x_px.device)
    if not len(points_xy):
        return target
    points = points_xy.to(x_px.device, torch.float64)
    dx, dy = x_px.double() - points[:, :1], y_px.double() - points[:, 1:]
    distance_px = torch.hypot(dx[:, None, :], dy[:, :, None])
    target[(distance_px <= outer_px).any(dim=0)] = IGNORE_INDEX
    target[(distance_px <= inner_px).any(dim=0)] = 1
    target.view(-1)[distance_px.flatten(1).argmin(dim=1)] = 1
    return target


def concentric_loss(
    logits: Tensor, target: Tensor, weights: Tensor, *, inner_weight: float = 1.0, outer_weight: float = 1.0
) -> Tensor:
    """Compute the cross entropy of the inner and of the outer cells, each averaged by itself.

    ``L = a * sum_in(w l) / sum_in(w) + b * sum_out(w l) / sum_out(w)``, where ``l`` is the binary cross entropy of a
    cell, ``w`` the weight of its image, and the sums go over all inner and all outer cells of the batch. An image
    without figures has no inner cells and so adds to the second term only; a term without cells is 0. Computed in
    float32.

    Args:
        logits: Tensor ``(N, h, w)``.
        target: Tensor ``(N, h, w)``, of :func:`concentric_target`.
        weights: Tensor ``(N,)``, how much each image counts.
        inner_weight: ``a``.
        outer_weight: ``b``.

    Returns:
        Scalar with a graph in any case.
    """
    is_inner = target == 1
    losses = functional.binary_cross_entropy_with_logits(logits.float(), is_inner.float(), reduction='none').flatten()
    counts = weights.float()[:, None, None]
    inner = weighted_mean(losses, (counts * is_inner).flatten())
    outer = weighted_mean(losses, (counts * (target == 0)).flatten())
    return inner_weight * inner + outer_weight * outer
