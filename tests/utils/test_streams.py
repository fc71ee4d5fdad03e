from __future__ import annotations

import itertools

import numpy as np
import pytest

from mitouts.utils.streams import named_stream


def test_name_seed_and_key_tell_streams_apart() -> None:
    keys = itertools.product(('A', 'B'), (0, 1), ((), (0,), (1,), (0, 0), (1, 0), (0, 1)))
    first = [np.random.default_rng(named_stream(name, seed, *key)).random() for name, seed, key in keys]
    assert len(set(first)) == len(first) == 24


def test_a_stream_is_none_of_the_bare_seeds() -> None:
    bare = {np.random.default_rng(seed).random() for seed in ([0], [0, 1], [0, 2], [0, 0, 1])}
    assert np.random.default_rng(named_stream('A', 0)).random() not in bare


def test_a_stream_is_the_same_in_every_process_and_version() -> None:
    """By hand: the first four little-endian words of the name's SHA-256 are the spawn key."""
    # sha256sum says 559aead0 8264d579 5d390971 8cdd05ab ...
    expected = np.random.SeedSequence(5, spawn_key=(0xD0EA9A55, 0x79D56482, 0x7109395D, 0xAB05DD8C, 7))
    np.testing.assert_array_equal(named_stream('A', 5, 7).generate_state(8), expected.generate_state(8))


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match='non-negative'):
        named_stream('A', -1)
