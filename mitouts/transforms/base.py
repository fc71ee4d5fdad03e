"""Defines the step of a pipeline, with random numbers of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mitouts.utils.streams import named_stream


class Transform:
    """A step from a dict to a dict.

    Keys: ``img`` uint8 ``(H, W, 3)`` RGB, ``gt_points`` float32 ``(G, 2)``, ``gt_label`` 0 or 1, ``label_given``
    (whether the label comes from the file rather than from the points), ``augmentation_seed``, and the metainfo of
    :class:`~mitouts.structures.PointSample`.

    Attributes:
        stream_key: What follows the seed in the stream of a class that drew before streams had names, so that its
            trainings can be repeated. It holds for the class that sets it and for no subclass; a new one sets none.
    """

    stream_key: ClassVar[tuple[int, ...] | None] = None

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def generator(self, results: dict[str, Any]) -> np.random.Generator:
        """Random numbers for this sample, from a stream of this step's own.

        They depend on ``augmentation_seed``, the class's name, and how many of that name have drawn for the sample
        before, so no two steps of a pipeline share a stream: neither two classes nor two of one class.
        """
        return np.random.default_rng(self.seed_sequence(results))

    def seed_sequence(self, results: dict[str, Any]) -> np.random.SeedSequence:
        """The seeds of :meth:`generator`."""
        kind, seed = type(self), results['augmentation_seed']
        drawn = results.setdefault('streams_drawn', {})
        turn = drawn.get((kind.__name__, seed), 0)
        drawn[kind.__name__, seed] = turn + 1
        key = vars(kind).get('stream_key')
        if turn == 0 and key is not None:
            return np.random.SeedSequence([seed, *key])
        return named_stream(kind.__name__, seed, turn)
