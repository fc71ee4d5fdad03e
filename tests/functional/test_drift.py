from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitouts.functional.drift import estimate_drift, remove_drift

SIZES = np.array([[200, 120]] * 30)


def predictions(drift: tuple[float, float], noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Points of a network that falls ``drift`` beside every figure, on images and on the turned images."""
    generator = np.random.default_rng(0)
    truth = generator.uniform(20, 100, (30, 2))
    jitter = generator.normal(0, noise, (2, 30, 2))
    return truth + drift + jitter[0], SIZES - 1 - truth + drift + jitter[1]


@given(st.floats(-15, 15), st.floats(-15, 15))
def test_a_constant_drift_is_found_exactly(dx: float, dy: float) -> None:
    points, turned = predictions((dx, dy))
    np.testing.assert_allclose(estimate_drift(points, turned, SIZES), (dx, dy), atol=1e-9)


def test_other_figures_and_noise_hardly_move_it() -> None:
    points, turned = predictions((6.0, -3.0), noise=2.0)
    turned[:8] = np.random.default_rng(1).uniform(0, 120, (8, 2))
    np.testing.assert_allclose(estimate_drift(points, turned, SIZES), (6.0, -3.0), atol=1.5)


@pytest.mark.parametrize(
    ('options', 'points'),
    [({'max_drift_px': 5.0}, 30), ({'max_spread_px': 0.5}, 30), ({}, 9)],
)
def test_what_cannot_be_believed_is_no_drift(options: dict[str, float], points: int) -> None:
    one, other = predictions((6.0, -3.0), noise=2.0)
    assert estimate_drift(one[:points], other[:points], SIZES[:points], **options).tolist() == [0, 0]


def test_no_image_no_drift() -> None:
    assert estimate_drift([], [], []).tolist() == [0, 0]


def test_points_move_back_and_stay_inside() -> None:
    points = np.array([[50.0, 60.0, 0.9], [3.0, 99.0, 0.8]])
    moved = remove_drift(points, (5.0, -4.0), width=100, height=100)
    np.testing.assert_allclose(moved, [[45.0, 64.0, 0.9], [0.0, 99.0, 0.8]])
    assert points[0, 0] == 50.0
