"""Oversampling as the authors' public code does it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mitouts.datasets import OversampledSampler, PointDataset
from mitouts.errors import AnnotationError
from mitouts.registry import DATA_SAMPLERS


class _Labels:
    """What a sampler needs of a data set."""

    def __init__(self, negatives: int, positives: int) -> None:
        self._labels: NDArray[np.int64] = np.repeat([0, 1], [negatives, positives])

    def labels(self) -> NDArray[np.int64]:
        return self._labels


def _epoch(sampler: OversampledSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize(
    ('negatives', 'positives', 'drawn'),
    # 100 / 30 is rounded to 3, 100 / 80 to 1, and halves to the even number as the authors' code does.
    [(100, 25, 100), (100, 30, 90), (100, 40, 80), (25, 100, 100), (100, 80, 80), (50, 50, 50)],
)
def test_pool_is_the_majority_and_the_minority_that_many_times_over(negatives: int, positives: int, drawn: int) -> None:
    dataset = _Labels(negatives, positives)
    rare = int(positives <= negatives)
    pool = OversampledSampler(dataset, seed=0).pool
    is_rare = dataset.labels()[pool] == rare
    assert np.count_nonzero(is_rare) == drawn
    np.testing.assert_array_equal(np.sort(pool[~is_rare]), np.flatnonzero(dataset.labels() != rare))


def test_minority_is_drawn_with_replacement_and_only_once() -> None:
    sampler, again, other = (OversampledSampler(_Labels(1000, 100), seed=seed) for seed in (0, 0, 1))
    times = Counter(index for index in sampler.pool.tolist() if index >= 1000)
    assert len(times) < 100 or max(times.values()) > min(times.values()) + 1
    np.testing.assert_array_equal(sampler.pool, again.pool)
    assert not np.array_equal(sampler.pool, other.pool)
    for epoch in range(3):
        assert not Counter(_epoch(sampler, epoch)) - Counter(sampler.pool.tolist())


def test_minority_that_is_not_oversampled_is_there_once_each() -> None:
    assert sorted(OversampledSampler(_Labels(100, 80), seed=0).pool.tolist()) == list(range(180))


def test_an_epoch_is_as_long_as_the_data_set_and_about_balanced() -> None:
    sampler = OversampledSampler(_Labels(900, 100), seed=0)
    for epoch in range(3):
        indices = _epoch(sampler, epoch)
        assert len(indices) == len(sampler) == 1000
        assert 0.4 < np.mean(np.array(indices) >= 900) < 0.6


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    sampler, resumed, other = (OversampledSampler(_Labels(30, 9), seed=seed) for seed in (0, 0, 1))
    epochs = [_epoch(sampler, epoch) for epoch in range(4)]
    assert _epoch(resumed, 3) == epochs[3]
    assert _epoch(sampler, 0) == epochs[0]
    assert _epoch(other, 0) != epochs[0]
    assert len({tuple(indices) for indices in epochs}) == 4


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_share_the_order_of_one_process_out(world_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = _Labels(31, 9)
    alone = OversampledSampler(dataset, seed=0)
    parts = []
    for rank in range(world_size):
        monkeypatch.setattr('mitouts.datasets.samplers.get_dist_info', lambda rank=rank: (rank, world_size))
        parts.append(_epoch(OversampledSampler(dataset, seed=0), 2))
    assert {len(part) for part in parts} == {40 // world_size}
    together = [index for step in zip(*parts) for index in step]
    assert together == _epoch(alone, 2)[: len(together)]


@pytest.mark.parametrize(('negatives', 'positives'), [(6, 0), (0, 6)])
def test_one_class_alone_is_refused(negatives: int, positives: int) -> None:
    expected = rf'needs both classes, found {negatives} negative and {positives} positive images'
    with pytest.raises(AnnotationError, match=expected):
        OversampledSampler(_Labels(negatives, positives), seed=0)


def test_fewer_images_than_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mitouts.datasets.samplers.get_dist_info', lambda: (0, 4))
    with pytest.raises(AnnotationError, match='3 images are too few for 4 processes'):
        OversampledSampler(_Labels(2, 1), seed=0)


def test_sampler_is_built_by_name(tiny_dataset: Path) -> None:
    sampler = DATA_SAMPLERS.build({'type': 'OversampledSampler', 'dataset': PointDataset(str(tiny_dataset))})
    assert len(list(sampler)) == 8
    assert isinstance(sampler.seed, int)
