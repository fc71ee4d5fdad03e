"""Defines the base class of pipeline steps, each with its own random numbers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mitouts.utils.streams import named_stream


class Transform:
    """A pipeline step that maps a dict to a dict.

    Keys: ``img`` uint8 ``(H, W, 3)`` RGB, ``gt_points`` float32 ``(G, 2)``, ``gt_label`` 0 or 1, ``label_given``
    (whether the label comes from the file rather than from the points), ``augmentation_seed``, and the metainfo of
    :class:`~mitouts.structures.PointSample`.

    Attributes:
        stream_key: Key after the seed in the random stream of a class that existed before streams had names, so that
            its old trainings can be repeated. It applies only to the class that sets it, not to subclasses; new classes
            set none.
    """

    stream_key: ClassVar[tuple[int, ...] | None] = None

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def generator(self, results: dict[str, Any]) -> np.random.Generator:
        """Return a generator of random numbers for this sample and this step.

        The numbers depend on ``augmentation_seed``, the class's name, and the number of steps of that name that have
        drawn for the sample before, so no two steps of a pipeline share a stream, not even two of one class.
        """
        return np.random.default_rng(self.seed_sequence(results))

    def seed_sequence(self, results: dict[str, Any]) -> np.random.SeedSequence:
        """Return the seed sequence of :meth:`generator`."""
        kind, seed = type(self), results['augmentation_seed']
        drawn = results.setdefault('streams_drawn', {})
        turn = drawn.get((kind.__name__, seed), 0)
        drawn[kind.__name__, seed] = turn + 1
        key = vars(kind).get('stream_key')
        if turn == 0 and key is not None:
            return np.random.SeedSequence([seed, *key])
        return named_stream(kind.__name__, seed, turn)
