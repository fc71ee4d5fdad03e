"""Colour augmentation in a pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mitouts.transforms import StainJitter


def _results(seed: int) -> dict[str, Any]:
    image = np.random.default_rng(0).integers(20, 240, (8, 9, 3), dtype=np.uint8)
    return {'img': image, 'gt_points': np.array([[1.5, 2.0]], dtype=np.float32), 'augmentation_seed': seed}


def test_draw_is_a_function_of_the_seed() -> None:
    jitter = StainJitter()
    images = [jitter(_results(seed))['img'] for seed in (1, 2, 1)]
    np.testing.assert_array_equal(images[0], images[2])
    assert not np.array_equal(images[0], images[1])


def test_points_stay() -> None:
    np.testing.assert_array_equal(StainJitter()(_results(0))['gt_points'], [[1.5, 2.0]])


def test_nothing_changes_without_range() -> None:
    np.testing.assert_array_equal(StainJitter(scale=0, shift=0)(_results(0))['img'], _results(0)['img'])


@pytest.mark.parametrize(('prob', 'low', 'high'), [(0.0, 0, 0), (0.5, 25, 75), (1.0, 100, 100)])
def test_share_of_images_that_change(prob: float, low: int, high: int) -> None:
    jitter = StainJitter(prob=prob)
    original = _results(0)['img']
    changed = sum(not np.array_equal(jitter(_results(seed))['img'], original) for seed in range(100))
    assert low <= changed <= high


def test_concentrations_change_by_no_more_than_the_range() -> None:
    """An achromatic pixel shows the shift: its optical density cannot change by more than three stains' shifts."""
    results = _results(0)
    results['img'] = np.full((2, 2, 3), 128, np.uint8)
    for seed in range(30):
        changed = StainJitter(scale=0, shift=0.03)({**results, 'augmentation_seed': seed})['img']
        density = -np.log(changed / 255)
        assert np.abs(density + np.log(128 / 255)).max() <= 3 * 0.03 + 0.01
