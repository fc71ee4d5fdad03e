"""Drawing the negatives that the Teacher scores highest more often."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mitouts.datasets import HardNegativeSampler, samplers
from mitouts.errors import AnnotationError, ConfigError
from mitouts.registry import DATA_SAMPLERS


class _Scored:
    """What the sampler needs of a data set: negatives first, and a Teacher's score of each."""

    def __init__(self, negatives: int, positives: int, scores: NDArray[np.float64] | None = None) -> None:
        self._labels = np.repeat([0, 1], [negatives, positives])
        drawn = np.random.default_rng(3).permutation(negatives + positives) / 100
        self._scores = drawn if scores is None else scores

    def labels(self) -> NDArray[np.int64]:
        return self._labels

    def teacher_scores(self) -> NDArray[np.float64]:
        return self._scores

    def hardest(self, count: int) -> set[int]:
        negatives = np.flatnonzero(self._labels == 0)
        return set(sorted(negatives, key=lambda index: -self._scores[index])[:count])


def _negatives(sampler: HardNegativeSampler, epochs: int) -> list[list[int]]:
    drawn = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        drawn.append(list(sampler)[::2])
    return drawn


def test_the_given_share_of_the_drawn_negatives_is_of_the_hardest() -> None:
    dataset = _Scored(40, 10)
    hard = dataset.hardest(8)
    epochs = _negatives(HardNegativeSampler(dataset, hardest=0.2, share=0.6, seed=0, num_samples=50), 8)
    for drawn in epochs:
        assert len(drawn) == 25
        assert sum(index in hard for index in drawn) == 15
    counts = Counter(index for drawn in epochs for index in drawn)
    # 120 draws of 8 hard ones, 80 of 32 others: each as often as its like.
    assert {counts[index] for index in hard} == {15}
    assert sorted(counts[index] for index in range(40) if index not in hard) == [2] * 16 + [3] * 16


def test_positives_are_half_of_an_epoch_and_drawn_alike() -> None:
    dataset = _Scored(40, 10)
    sampler = HardNegativeSampler(dataset, seed=4, num_samples=30)
    counts: Counter[int] = Counter()
    for epoch in range(4):
        sampler.set_epoch(epoch)
        counts.update(list(sampler)[1::2])
    assert counts == dict.fromkeys(range(40, 50), 6)
    assert len(sampler) == 30


def test_ranks_share_an_epoch_out(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = _Scored(30, 12)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda rank=rank: (rank, 2))
        sampler = HardNegativeSampler(dataset, seed=1)
        sampler.set_epoch(2)
        parts.append(np.array(list(sampler)).reshape(-1, 2))
        order = sampler.global_order()
    np.testing.assert_array_equal(np.stack(parts, axis=1).reshape(-1, 2), order)


def test_two_negatives_are_one_of_each_kind() -> None:
    dataset = _Scored(2, 2, np.array([0.1, 0.9, 0.5, 0.5]))
    (drawn,) = _negatives(HardNegativeSampler(dataset, share=0.5, seed=0, num_samples=8), 1)
    assert Counter(drawn) == {0: 2, 1: 2}
    (alone,) = _negatives(HardNegativeSampler(_Scored(1, 3), seed=0, num_samples=8), 1)
    assert alone == [0] * 4


def test_a_negative_without_a_score_is_refused() -> None:
    scores = np.array([0.1, np.nan, 0.3, np.nan])
    sampler = HardNegativeSampler(_Scored(3, 1, scores), seed=0)
    with pytest.raises(AnnotationError, match='1 of 3 negative images have no teacher_score'):
        list(sampler)


@pytest.mark.parametrize('settings', [{'hardest': 0.0}, {'hardest': 1.0}, {'share': 0.0}, {'share': 1}], ids=str)
def test_shares_lie_between_0_and_1(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match='HardNegativeSampler'):
        DATA_SAMPLERS.build(dict(type='HardNegativeSampler', dataset=_Scored(4, 4), seed=0, **settings))
