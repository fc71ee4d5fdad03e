"""Combines a localizer that proposes with a classifier that verifies (Chen et al. 2016, Tellez et al. 2018)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mitouts.functional.matching import has_neighbour
from mitouts.functional.suppression import suppress_by_distance

CombinationRule = Literal['product', 'verifier', 'mean']
RULES: tuple[str, ...] = get_args(CombinationRule)


def hard_negatives(
    points: ArrayLike,
    truth_xy: ArrayLike,
    ignored_xy: ArrayLike = (),
    *,
    radius_px: float,
    spacing_px: float = 25.0,
    known_xy: ArrayLike = (),
    max_count: int | None = None,
) -> NDArray[np.float64]:
    """Pick the false proposals of one image that a verifier should learn to reject.

    Args:
        points: Array ``(P, 3)``, proposals ``(x, y, score)`` in pixels.
        truth_xy: Array ``(G, 2)``, annotated figures.
        ignored_xy: Array ``(I, 2)``, figures that are neither true nor false here.
        radius_px: A proposal within this distance (inclusive) of either is not false.
        spacing_px: Of proposals within this distance (inclusive) of each other, the strongest stays.
        known_xy: Array ``(K, 2)``, hard negatives that are annotated already; proposals within ``spacing_px`` of one
            are left out as duplicates.
        max_count: At most this many, the strongest; None for all.

    Returns:
        Array ``(H, 3)``, float64, by descending score.

    Raises:
        ValueError: A distance or ``max_count`` is negative, or a coordinate or score is not finite.
    """
    proposals = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    if max_count is not None and max_count < 0:
        raise ValueError(f'max_count must be at least 0, or None, found {max_count}')
    around = [(truth_xy, radius_px), (ignored_xy, radius_px), (known_xy, spacing_px)]
    is_taken = np.zeros(len(proposals), dtype=bool)
    for others, distance_px in around:
        is_taken |= has_neighbour([proposals[:, :2]], [others], distance_px)
    false = proposals[~is_taken]
    return false[suppress_by_distance(false, spacing_px)][:max_count]


def combine_scores(proposal: ArrayLike, verification: ArrayLike, rule: CombinationRule) -> NDArray[np.float64]:
    """Combine the proposer's and the verifier's scores.

    Args:
        proposal: Array ``(P,)``, probabilities.
        verification: Array ``(P,)``, probabilities.
        rule: ``product`` is ``p v``, as if both were independent; ``mean`` their geometric mean ``sqrt(p v)``, which
            ranks alike but keeps the scale of a probability; ``verifier`` is ``v`` alone, as in Tellez et al. 2018.

    Raises:
        ValueError: An unknown rule, or arrays that differ in shape.
    """
    p, v = np.asarray(proposal, dtype=np.float64), np.asarray(verification, dtype=np.float64)
    if p.shape != v.shape:
        raise ValueError(f'expected a verification for each proposal, found shapes {p.shape} and {v.shape}')
    if rule == 'verifier':
        return v.copy()
    if rule not in RULES:
        raise ValueError(f'unknown rule {rule!r}; known are {", ".join(RULES)}')
    return p * v if rule == 'product' else np.sqrt(p * v)


def crop_corner(x: float, y: float, crop_px: int) -> tuple[int, int]:
    """Return the column and row of the first pixel of the crop whose centre is nearest to a point."""
    half = (crop_px - 1) / 2
    return int(np.floor(x - half + 0.5)), int(np.floor(y - half + 0.5))


def reflected_indices(first: int, count: int, size: int) -> NDArray[np.int64]:
    """List the indices ``first`` to ``first + count - 1`` into an axis that is reflected at its ends.

    The outermost pixels are not repeated, as in NumPy's ``reflect`` and OpenCV's ``BORDER_REFLECT_101``.

    Args:
        first: May lie outside.
        count: Number of indices.
        size: Length of the axis.

    Returns:
        Array ``(count,)``, from 0 to ``size - 1``.
    """
    if size == 1:
        return np.zeros(count, dtype=np.int64)
    period = 2 * (size - 1)
    position = np.arange(first, first + count, dtype=np.int64) % period
    return np.minimum(position, period - position)
