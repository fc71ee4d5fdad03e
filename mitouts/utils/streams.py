"""Makes independent streams of random numbers, one for each name."""

from __future__ import annotations

import hashlib

import numpy as np


def named_stream(name: str, seed: int, *key: int) -> np.random.SeedSequence:
    """Return the seed sequence of a stream; another name, seed or key gives an independent one.

    Args:
        name: Name of the class that draws.
        seed: Seed of the run or of the sample, at least 0.
        *key: Further numbers that identify the stream, such as an epoch; each at least 0.

    Example:
        ``np.random.default_rng(named_stream('StainJitter', 0))``
    """
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype='<u4').tolist()
    # As a spawn key: numpy fills a seed up with zeros, so that [0, 1] and [0, 1, 0] are one and the same.
    return np.random.SeedSequence(seed, spawn_key=(*words, *key))
