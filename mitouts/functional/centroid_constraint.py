"""Computes the location constraint of Section 3.2 of Fernandez-Martin et al. 2024."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

ConstraintKind = Literal['l2', 'log_barrier']
CONSTRAINT_KINDS: tuple[str, ...] = get_args(ConstraintKind)


def soft_centroid(map_logit: Tensor, x_px: Tensor, y_px: Tensor, sharpness: float = 10.0) -> Tensor:
    """Compute the centroid of a score map as a differentiable function of its logits, Eq. (2).

    ``sum_i h_i c_i / sum_i h_i`` with ``h_i = sigmoid(sharpness * logit_i)`` and ``c_i`` the place of cell ``i``. The
    weights are computed as the softmax of ``log h``, which is the same and stays finite where all ``h`` underflow.

    Args:
        map_logit: Tensor ``(N, h, w)``.
        x_px: Tensor ``(w,)``, where the columns lie in the image, in pixels.
        y_px: Tensor ``(h,)``, where the rows lie.
        sharpness: Factor of the logits (10 in the authors' public code); the paper's text has none, which is 1.

    Returns:
        Tensor ``(N, 2)``, ``(x, y)`` in pixels.
    """
    log_score = functional.logsigmoid(sharpness * map_logit)
    share = torch.softmax(log_score.flatten(1), dim=1).view_as(map_logit)
    return torch.stack([(share.sum(dim=1) * x_px).sum(dim=1), (share.sum(dim=2) * y_px).sum(dim=1)], dim=1)


def log_barrier_extension(excess: Tensor, t: float) -> Tensor:
    """Compute a penalty for the constraint ``z <= 0`` that stays finite where it is violated (Kervadec et al. 2022).

    ``psi(z) = -log(-z) / t`` for ``z <= -1 / t^2``, beyond that its tangent ``t z - log(1 / t^2) / t + 1 / t``.

    Args:
        excess: ``z``, any shape.
        t: Higher is closer to a hard constraint.
    """
    knee = -1 / t**2
    inside = -torch.log(-excess.clamp(max=knee)) / t
    return torch.where(excess <= knee, inside, t * excess - math.log(1 / t**2) / t + 1 / t)


def centroid_penalty(
    distance_px: Tensor, kind: ConstraintKind = 'l2', *, margin_px: float = 40.0, t: float = 50.0
) -> Tensor:
    """Penalize the distance between the predicted and the annotated centroid, the second term of Eq. (3).

    ``l2`` is the distance itself (the paper's text); ``log_barrier`` is ``psi(distance - margin)`` of
    :func:`log_barrier_extension` (an option of the authors' public code): next to nothing within the margin, ``t`` for
    every pixel beyond it.

    Args:
        distance_px: Tensor ``(N,)``, in pixels.
        kind: ``l2`` or ``log_barrier``.
        margin_px: Distance that is allowed.
        t: See :func:`log_barrier_extension`.

    Raises:
        ValueError: The kind is unknown.
    """
    if kind not in CONSTRAINT_KINDS:
        raise ValueError(f'unknown constraint {kind!r}; known are {", ".join(CONSTRAINT_KINDS)}')
    return distance_px if kind == 'l2' else log_barrier_extension(distance_px - margin_px, t)
