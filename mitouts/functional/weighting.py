"""Computes a weighted mean of samples."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Compute ``sum(w v) / sum(w)``, so that samples of weight 0 have no effect; 0 if all weights are 0.

    The result always has a graph, so that ``backward`` works even for a batch whose weights are all 0.

    Args:
        values: Tensor ``(N,)``, finite.
        weights: Tensor ``(N,)``, not negative.
    """
    weights = weights.to(values.dtype)
    return (weights * values).sum() / weights.sum().clamp(min=torch.finfo(values.dtype).tiny)
