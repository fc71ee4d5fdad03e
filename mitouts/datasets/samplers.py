"""Samplers that draw as many samples of one class as of the other, in an order that depends on seed and epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mitouts.errors import AnnotationError, ConfigError
from mitouts.registry import DATA_SAMPLERS
from mitouts.utils.streams import named_stream


class EpochSampler(Sampler[int]):
    """Draws an order that depends only on seed and epoch; every process takes its part of it."""

    def __init__(self, dataset: Any, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.dataset = dataset
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; the order is a function of it."""
        self.epoch = epoch

    def check_classes(self, of_class: Sequence[np.ndarray], method: str) -> None:
        """Refuse a data set without samples of one of the classes."""
        if min(map(len, of_class)) == 0:
            raise AnnotationError(
                f'{getattr(self.dataset, "ann_file", "the dataset")}: {method} needs both classes, found '
                f'{len(of_class[0])} negative and {len(of_class[1])} positive images. Add the missing class, check '
                'positive_categories, or use DefaultSampler'
            )

    def check_length(self, per_process: int) -> None:
        """Refuse a data set that has no sample for some processes."""
        if per_process == 0:
            raise AnnotationError(f'{len(self.dataset.labels())} images are too few for {self.world_size} processes')


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(EpochSampler):
    """Draws half of the indices from each class.

    Each class runs through permutations of its own samples, one after the other, so every sample is drawn as often
    as any other of its class (give or take one). Positives and negatives alternate in one global order, which
    depends on seed and epoch alone; the ranks take every ``world_size``-th pair of it, so each sees both classes.
    Samples whose weight is 0 when an epoch begins are not drawn in it.

    Args:
        dataset: Gives ``labels()``.
        seed: Common to all ranks.
        num_samples: Length of a global epoch; default the length of the dataset, rounded down so that every rank
            gets the same number of whole pairs.

    Raises:
        AnnotationError: The dataset holds one class only, or fewer samples than ranks need.
    """

    def __init__(self, dataset: Any, seed: int | None = None, num_samples: int | None = None) -> None:
        super().__init__(dataset, seed)
        labels = dataset.labels()
        self._of_class = [np.flatnonzero(labels == value) for value in (0, 1)]
        self._members()
        self.pairs = (len(labels) if num_samples is None else num_samples) // (2 * self.world_size)
        self.check_length(self.pairs)

    def global_order(self) -> np.ndarray:
        """Return pairs ``(world_size * pairs, 2)`` of a negative and a positive index, the same on every rank."""
        count = self.pairs * self.world_size
        members = self._members()
        return np.stack([self._draw(value, members[value], count) for value in (0, 1)], axis=1)

    def _draw(self, value: int, members: np.ndarray, count: int) -> np.ndarray:
        """Return the ``count`` samples of a class that this epoch draws."""
        return self._cycle(lambda turn: [self.seed, value, turn], members, self.epoch * count, count)

    def _members(self) -> list[np.ndarray]:
        """Return the samples of each class that may be drawn now."""
        # A data set from outside has labels, but may know neither weights nor an annotation file.
        weights = getattr(self.dataset, 'weights', None)
        drawn = [indices if weights is None else indices[weights()[indices] > 0] for indices in self._of_class]
        self.check_classes(drawn, 'class-balanced sampling')
        return drawn

    def _cycle(self, seed_of: Callable[[int], Any], members: np.ndarray, start: int, count: int) -> np.ndarray:
        """Return ``count`` of the members, from place ``start`` of endless permutations, each with its own seed."""
        first, last = start // len(members), (start + max(count, 1) - 1) // len(members)
        stream = [np.random.default_rng(seed_of(turn)).permutation(members) for turn in range(first, last + 1)]
        offset = start - first * len(members)
        return np.concatenate(stream)[offset : offset + count]

    def __iter__(self) -> Iterator[int]:
        for negative, positive in self.global_order()[self.rank :: self.world_size]:
            yield int(negative)
            yield int(positive)

    def __len__(self) -> int:
        return 2 * self.pairs


@DATA_SAMPLERS.register_module()
class HardNegativeSampler(ClassBalancedSampler):
    """Draws half of the indices from each class, and of the negatives mostly those that the Teacher scores highest.

    Few negatives look like a figure, and once a model has begun to learn, the others teach it nothing. The scores are
    those that a ``distill`` stage writes into its annotation file (``images[].teacher_score``), so image labels alone
    say which negatives are hard. In all else it is a :class:`ClassBalancedSampler`; hard and easy negatives each run
    through permutations of their own.

    Args:
        dataset: Gives ``labels()`` and ``teacher_scores()``.
        hardest: This share of the negatives, those with the highest scores (at least one), is hard.
        share: This share of the drawn negatives is hard.
        seed: As for :class:`ClassBalancedSampler`.
        num_samples: As for :class:`ClassBalancedSampler`.

    Raises:
        AnnotationError: As for :class:`ClassBalancedSampler`, or a negative has no Teacher's score.
        ConfigError: ``hardest`` or ``share`` is not between 0 and 1, both excluded.
    """

    def __init__(
        self,
        dataset: Any,
        hardest: float = 0.15,
        share: float = 0.6,
        seed: int | None = None,
        num_samples: int | None = None,
    ) -> None:
        for name, value in (('hardest', hardest), ('share', share)):
            if not 0 < value < 1:
                raise ConfigError(
                    f'HardNegativeSampler.{name} must lie between 0 and 1, both excluded, found {value!r}'
                )
        self.hardest, self.share = hardest, share
        scores = getattr(dataset, 'teacher_scores', None)
        self._scores = np.full(len(dataset.labels()), np.nan) if scores is None else scores()
        super().__init__(dataset, seed, num_samples)

    def _draw(self, value: int, members: np.ndarray, count: int) -> np.ndarray:
        def cycle(kind: int, members: np.ndarray, start: int, count: int) -> np.ndarray:
            return self._cycle(
                lambda turn: named_stream('HardNegativeSampler', self.seed, kind, turn), members, start, count
            )

        if value == 1 or len(members) < 2:
            return cycle(2 + value, members, self.epoch * count, count)
        hard, easy = self._hard_and_easy(members)
        # Place p of the endless stream of negatives is a hard one where the whole part of p * share goes up.
        places = np.floor(np.arange(self.epoch * count, (self.epoch + 1) * count + 1) * self.share).astype(int)
        is_hard = np.diff(places) > 0
        drawn = np.empty(count, dtype=members.dtype)
        before = int(places[0])
        drawn[is_hard] = cycle(1, hard, before, int(is_hard.sum()))
        drawn[~is_hard] = cycle(0, easy, self.epoch * count - before, int((~is_hard).sum()))
        return drawn

    def _hard_and_easy(self, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = self._scores[negatives]
        if np.isnan(scores).any():
            raise AnnotationError(
                f'{getattr(self.dataset, "ann_file", "the dataset")}: {np.isnan(scores).sum()} of {len(negatives)} '
                'negative images have no teacher_score, by which HardNegativeSampler tells hard ones: take the '
                'distilled.json of a distill stage (data_from), or use ClassBalancedSampler'
            )
        order = negatives[np.argsort(-scores, kind='stable')]
        count = min(max(round(self.hardest * len(order)), 1), len(order) - 1)
        return order[:count], order[count:]
