from __future__ import annotations

import numpy as np
import pytest

from mitouts.errors import ConfigError
from mitouts.transforms import TileMeans


def test_each_tile_has_its_own_mean() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    before = image.copy()
    result = TileMeans(tile_px=3)({'img': image})['img']
    for top, left, bottom, right in (
        (0, 0, 3, 3),
        (0, 3, 3, 6),
        (0, 6, 3, 7),
        (3, 0, 5, 3),
        (3, 3, 5, 6),
        (3, 6, 5, 7),
    ):
        mean = [
            round(float(sum(before[top:bottom, left:right, c].ravel().tolist())) / ((bottom - top) * (right - left)))
            for c in range(3)
        ]
        assert (result[top:bottom, left:right] == mean).all()
    assert (image == before).all()


def test_a_tile_without_a_side_is_refused() -> None:
    with pytest.raises(ConfigError, match='tile_px must be a whole number above 0, found 0'):
        TileMeans(0)
