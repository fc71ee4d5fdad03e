"""Class-balanced sampling."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mitouts.datasets import ClassBalancedSampler, PointDataset, samplers
from mitouts.errors import AnnotationError
from mitouts.registry import DATA_SAMPLERS


class _Labels:
    """What a sampler needs of a data set."""

    def __init__(self, negatives: int, positives: int) -> None:
        shuffled = np.random.default_rng(0).permutation(negatives + positives)
        self._labels: NDArray[np.int64] = (shuffled < positives).astype(np.int64)

    def labels(self) -> NDArray[np.int64]:
        return self._labels


def _epoch(sampler: ClassBalancedSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)


def _ranks(
    monkeypatch: pytest.MonkeyPatch, world_size: int, dataset: _Labels | PointDataset, seed: int = 0
) -> list[ClassBalancedSampler]:
    built = []
    for rank in range(world_size):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda rank=rank: (rank, world_size))
        built.append(ClassBalancedSampler(dataset, seed=seed))
    return built


@given(negatives=st.integers(1, 20), positives=st.integers(1, 20), epoch=st.integers(0, 5))
def test_exactly_half_of_an_epoch_is_positive(negatives: int, positives: int, epoch: int) -> None:
    dataset = _Labels(negatives, positives)
    sampler = ClassBalancedSampler(dataset, seed=1)
    indices = _epoch(sampler, epoch)
    labels = dataset.labels()[indices]
    assert len(indices) == len(sampler) == 2 * ((negatives + positives) // 2)
    np.testing.assert_array_equal(labels, np.tile([0, 1], len(indices) // 2))


def test_every_batch_of_even_size_is_balanced() -> None:
    dataset = _Labels(30, 7)
    indices = np.array(_epoch(ClassBalancedSampler(dataset, seed=0), 0))
    np.testing.assert_array_equal(dataset.labels()[indices[:36]].reshape(9, 4).sum(axis=1), 2)


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    dataset = _Labels(12, 9)
    sampler, resumed, other = (ClassBalancedSampler(dataset, seed=seed) for seed in (0, 0, 1))
    epochs = [_epoch(sampler, epoch) for epoch in range(4)]
    assert _epoch(resumed, 3) == epochs[3]
    assert _epoch(sampler, 0) == epochs[0]
    assert _epoch(other, 0) != epochs[0]
    assert len({tuple(indices) for indices in epochs}) == 4


@pytest.mark.parametrize('world_size', [1, 2, 3])
@pytest.mark.parametrize('counts', [(20, 5), (5, 20), (13, 13), (40, 3)], ids=str)
def test_ranks_share_the_global_order_out(
    world_size: int, counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _Labels(*counts)
    built = _ranks(monkeypatch, world_size, dataset)
    for epoch in range(3):
        parts = [_epoch(sampler, epoch) for sampler in built]
        orders = [sampler.global_order() for sampler in built]
        assert len({len(part) for part in parts}) == 1
        for order in orders:
            np.testing.assert_array_equal(order, orders[0])
        assert Counter(index for part in parts for index in part) == Counter(orders[0].ravel().tolist())
        for part in parts:
            assert dataset.labels()[part].mean() == 0.5


def test_ranks_see_different_images(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (_epoch(sampler, 0) for sampler in _ranks(monkeypatch, 2, _Labels(20, 20)))
    assert not set(first) & set(second)


@pytest.mark.parametrize('world_size', [1, 2])
@pytest.mark.parametrize('counts', [(20, 5), (7, 11), (3, 40)], ids=str)
def test_every_image_of_a_class_is_drawn_as_often_as_any_other(
    world_size: int, counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _Labels(*counts)
    built = _ranks(monkeypatch, world_size, dataset)
    drawn: Counter[int] = Counter()
    for epoch in range(17):
        for sampler in built:
            drawn.update(_epoch(sampler, epoch))
        for value in (0, 1):
            times = [drawn[int(index)] for index in np.flatnonzero(dataset.labels() == value)]
            assert max(times) - min(times) <= 1


def test_number_of_samples_can_be_set() -> None:
    dataset = _Labels(4, 4)
    assert len(_epoch(ClassBalancedSampler(dataset, seed=0, num_samples=20), 0)) == 20
    assert len(_epoch(ClassBalancedSampler(dataset, seed=0, num_samples=5), 0)) == 4


@pytest.mark.parametrize(('negatives', 'positives'), [(6, 0), (0, 6)])
def test_one_class_alone_is_refused(negatives: int, positives: int) -> None:
    expected = rf'needs both classes, found {negatives} negative and {positives} positive images'
    with pytest.raises(AnnotationError, match=expected):
        ClassBalancedSampler(_Labels(negatives, positives), seed=0)


def test_one_class_alone_names_the_file(tiny_dataset: Path) -> None:
    dataset = PointDataset(str(tiny_dataset), case_subset=['case_1', 'case_2'])
    with pytest.raises(AnnotationError, match=r'train\.json: class-balanced sampling .*check positive_categories'):
        ClassBalancedSampler(dataset, seed=0)


def test_fewer_samples_than_ranks_need_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnnotationError, match='3 images are too few for 2 processes'):
        _ranks(monkeypatch, 2, _Labels(2, 1))


def test_sampler_is_built_by_name(tiny_dataset: Path) -> None:
    sampler = DATA_SAMPLERS.build({'type': 'ClassBalancedSampler', 'dataset': PointDataset(str(tiny_dataset))})
    assert len(list(sampler)) == 8
    assert isinstance(sampler.seed, int)


def _weighted(tiny_dataset: Path, weights: list[float]) -> PointDataset:
    dataset = PointDataset(str(tiny_dataset))
    dataset.set_weights(np.array(weights))
    return dataset


def test_what_weighs_nothing_is_not_drawn_from_the_next_epoch_on(tiny_dataset: Path) -> None:
    """The tiny data set has its three positives first, then five negatives."""
    dataset = PointDataset(str(tiny_dataset))
    sampler = ClassBalancedSampler(dataset, seed=0, num_samples=24)
    assert set(_epoch(sampler, 0)) == set(range(8))
    dataset.set_weights(np.array([1, 0, 1e-6, 1, 0, 0.5, 1, 1]))
    for epoch in range(1, 4):
        drawn = Counter(_epoch(sampler, epoch))
        assert set(drawn) == {0, 2, 3, 5, 6, 7}
        assert {drawn[0], drawn[2]} == {6}
        assert {drawn[index] for index in (3, 5, 6, 7)} == {3}
    dataset.set_weights(np.ones(8))
    assert set(_epoch(sampler, 4)) == set(range(8))


def test_weights_above_0_change_nothing_of_the_order(tiny_dataset: Path) -> None:
    plain, weighted = PointDataset(str(tiny_dataset)), _weighted(tiny_dataset, [0.1] * 8)
    for epoch in range(3):
        orders = [_epoch(ClassBalancedSampler(dataset, seed=3), epoch) for dataset in (plain, weighted)]
        assert orders[0] == orders[1]


def test_ranks_share_what_is_left(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = _weighted(tiny_dataset, [1, 0, 1, 1, 1, 0, 0, 1])
    orders = [sampler.global_order() for sampler in _ranks(monkeypatch, 2, dataset)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert set(orders[0].ravel().tolist()) <= {0, 2, 3, 4, 7}


def test_a_class_that_weighs_nothing_is_refused(tiny_dataset: Path) -> None:
    with pytest.raises(AnnotationError, match='found 5 negative and 0 positive images'):
        ClassBalancedSampler(_weighted(tiny_dataset, [0, 0, 0, 1, 1, 1, 1, 1]), seed=0)
    dataset = PointDataset(str(tiny_dataset))
    sampler = ClassBalancedSampler(dataset, seed=0)
    dataset.set_weights(np.array([1, 1, 1, 0, 0, 0, 0, 0]))
    with pytest.raises(AnnotationError, match='found 0 negative and 3 positive images'):
        list(sampler)


def test_twice_as_many_samples_as_positives_are_all_positives_and_as_many_others() -> None:
    labels = _Labels(negatives=50, positives=7)
    drawn = list(ClassBalancedSampler(labels, seed=0, num_samples=14))
    positive = [index for index in drawn if labels.labels()[index]]
    assert sorted(positive) == np.flatnonzero(labels.labels()).tolist()
    assert len(set(drawn)) == 14
    assert list(ClassBalancedSampler(labels, seed=0, num_samples=14)) == drawn
