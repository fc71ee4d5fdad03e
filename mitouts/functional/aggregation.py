"""Aggregates a map of values into one value an image: values ``(N, C, h, w)`` to ``(N, C)``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_EPS = 1e-6


def max_pool(values: Tensor) -> Tensor:
    """Return the maximum; its gradient flows through one position only (Sec. 3.1 of Fernandez-Martin et al. 2024)."""
    return values.flatten(2).max(dim=2).values


def mean_pool(values: Tensor) -> Tensor:
    """Return the arithmetic mean."""
    return values.flatten(2).mean(dim=2)


def log_sum_exp_pool(values: Tensor, sharpness: Tensor | float) -> Tensor:
    """Compute the smooth maximum ``log(mean(exp(r x))) / r`` (Pinheiro and Collobert 2015), in float32.

    It tends to the mean for ``r -> 0`` and to the maximum for ``r -> inf``.
    """
    scaled = values.float().flatten(2) * sharpness
    return (torch.logsumexp(scaled, dim=2) - math.log(scaled.shape[2])) / sharpness


def top_k_mean(values: Tensor, k: int) -> Tensor:
    """Return the mean of the ``k`` largest values (all of them where the map is smaller)."""
    flat = values.flatten(2)
    return flat.topk(min(k, flat.shape[2]), dim=2).values.mean(dim=2)


def generalized_mean(values: Tensor, power: Tensor | float) -> Tensor:
    """Compute ``mean(x^p)^(1/p)`` of non-negative values (Radenovic et al. 2018), in float32.

    Values below 1e-6 are raised to 1e-6.

    It is the exponential of the log-sum-exp pooling of ``log x``: as powers, ``1e-6 ** 10`` or ``20 ** 30`` would leave
    the range of float32.
    """
    return log_sum_exp_pool(values.float().clamp(min=_EPS).log(), power).exp()


def noisy_or(probabilities: Tensor) -> Tensor:
    """Compute ``1 - prod(1 - p)`` (Maron and Lozano-Perez 1998), in float32 and in log space."""
    return -torch.expm1(_log_absent(probabilities))


def noisy_or_logit(probabilities: Tensor) -> Tensor:
    """Compute the logit of :func:`noisy_or`, ``log(1 - e^a) - a`` with ``a = sum(log(1 - p))``, in float32.

    Twenty positions at p = 0.5, an untrained map, already make a probability that float32 can hardly tell from 1: its
    own logit has no gradient left, this one has.
    """
    log_absent = _log_absent(probabilities).clamp(max=-torch.finfo(torch.float32).tiny)
    return torch.log(-torch.expm1(log_absent)) - log_absent


def _log_absent(probabilities: Tensor) -> Tensor:
    return torch.log1p(-probabilities.float().flatten(2).clamp(max=1 - _EPS)).sum(dim=2)


def attention_pool(values: Tensor, attention_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean weighted by a softmax over positions, Eqs. (7)-(8) of Ilse et al. 2018.

    Args:
        values: Tensor ``(N, C, h, w)``.
        attention_logits: Tensor ``(N, 1, h, w)``.

    Returns:
        The pooled values ``(N, C)`` and the weights ``(N, 1, h, w)``, which sum to 1 over positions.
    """
    weights = torch.softmax(attention_logits.float().flatten(2), dim=2)
    pooled = (values.float().flatten(2) * weights).sum(dim=2)
    return pooled, weights.view_as(attention_logits)


def probability_to_logit(probability: Tensor) -> Tensor:
    """Compute ``log(p / (1 - p))`` in float32, clipped to the range where float32 can tell ``p`` from 0 and 1.

    That range is from -69 to 16.6.

    A wider margin at 0 would leave an image that the network is wrongly sure about without a gradient.
    """
    probability = probability.float()
    return torch.log(probability.clamp(min=1e-30)) - torch.log1p(-probability.clamp(max=1 - 6e-8))
