"""Averages samples that count differently."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """``sum(w v) / sum(w)``, so that a sample of weight 0 might as well not be there; 0 when all weights are 0.

    The result has a graph in any case: a batch that counts for nothing can still be sent backwards.

    Args:
        values: Tensor ``(N,)``, finite.
        weights: Tensor ``(N,)``, not negative.
    """
    weights = weights.to(values.dtype)
    return (weights * values).sum() / weights.sum().clamp(min=torch.finfo(values.dtype).tiny)
