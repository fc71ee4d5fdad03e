"""Oversamples the minority class as the authors' public code does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.datasets.samplers import EpochSampler
from mitouts.registry import DATA_SAMPLERS
from mitouts.utils.streams import named_stream

_POOL, _EPOCH = range(2)


@DATA_SAMPLERS.register_module()
class OversampledSampler(EpochSampler):
    """Draws from one fixed pool in which the minority class is oversampled; an epoch takes part of it.

    The pool is drawn once: where the majority is ``r`` times the minority, ``r`` rounded, the minority's samples are
    replaced by ``r`` times as many draws with replacement (so some of them are never seen), and the majority stays as
    it is. With an ``r`` of 1 nothing is oversampled. Every epoch shuffles the pool and takes as many indices as the
    data set has images, which is about half of the pool where the minority is rare. The order depends on seed and
    epoch alone; the ranks take every ``world_size``-th index of it.

    :class:`~mitouts.datasets.ClassBalancedSampler` shows every sample equally often instead.

    Args:
        dataset: Gives ``labels()``.
        seed: Common to all ranks.

    Raises:
        AnnotationError: The dataset holds one class only, or fewer samples than there are processes.
    """

    def __init__(self, dataset: Any, seed: int | None = None) -> None:
        super().__init__(dataset, seed)
        labels = dataset.labels()
        of_class = [np.flatnonzero(labels == value) for value in (0, 1)]
        self.check_classes(of_class, 'oversampling')
        self.num_samples = len(labels) // self.world_size
        self.check_length(self.num_samples)
        minority, majority = sorted(of_class, key=len)
        self.pool = oversampled_pool(minority, majority, self._generator(_POOL))

    def global_order(self) -> NDArray[np.int64]:
        """Return the indices ``(world_size * num_samples,)`` of the epoch, the same on every rank."""
        shuffled = self._generator(_EPOCH, self.epoch).permutation(self.pool)
        return shuffled[: self.num_samples * self.world_size]

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(named_stream(type(self).__name__, self.seed, *key))

    def __iter__(self) -> Iterator[int]:
        return iter(self.global_order()[self.rank :: self.world_size].tolist())

    def __len__(self) -> int:
        return self.num_samples


def oversampled_pool(
    minority: NDArray[np.int64], majority: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return the majority, and ``round(len(majority) / len(minority))`` times as many minority draws with replacement.

    Args:
        minority: Indices ``(M,)`` of the rarer class, at least one.
        majority: Indices ``(N,)`` of the other class, at least as many.
    """
    times = round(len(majority) / len(minority))
    drawn = minority if times == 1 else generator.choice(minority, times * len(minority))
    return np.concatenate([majority, drawn])
