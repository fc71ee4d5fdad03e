"""Stain jitter, against one linear solve per pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mitouts.functional.stain import HED_RUIFROK, jitter_stain

TWO_STAINS_AND_A_RESIDUAL = np.array([[1.3, 1.4, 0.6], [0.1, 2.0, 0.2], [0.5, 0.1, 0.9]])
FACTORS = st.lists(st.floats(0.5, 1.5), min_size=3, max_size=3)
OFFSETS = st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3)


def _jitter_pixel(
    pixel: NDArray[np.uint8], factors: list[float], offsets: list[float], stains: NDArray[np.float64]
) -> list[int]:
    unit = [row / np.sqrt((row**2).sum()) for row in stains]
    density = [-np.log(max(int(level), 1) / 255) for level in pixel]
    concentration = np.linalg.solve(np.array(unit).T, density)
    changed = [factors[stain] * concentration[stain] + offsets[stain] for stain in range(3)]
    mixed = [sum(changed[stain] * unit[stain][channel] for stain in range(3)) for channel in range(3)]
    return [round(min(255.0, 255 * float(np.exp(-value)))) for value in mixed]


@pytest.mark.parametrize('stains', [HED_RUIFROK, TWO_STAINS_AND_A_RESIDUAL], ids=['Ruifrok', 'own'])
@settings(max_examples=25)
@given(factors=FACTORS, offsets=OFFSETS, seed=st.integers(0, 99))
def test_jitter_changes_each_concentration(
    stains: NDArray[np.float64], factors: list[float], offsets: list[float], seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    expected = [[_jitter_pixel(pixel, factors, offsets, stains) for pixel in row] for row in image]
    changed = jitter_stain(image, factors, offsets, stains)
    assert changed.dtype == np.uint8
    np.testing.assert_allclose(changed.astype(int), expected, atol=1)


def test_no_change_leaves_every_grey_level_but_black() -> None:
    levels = np.arange(256, dtype=np.uint8)
    image = np.stack([*np.meshgrid(levels, levels[::5]), np.full((52, 256), 128, np.uint8)], axis=-1)
    changed = jitter_stain(image, (1, 1, 1), (0, 0, 0))
    np.testing.assert_array_equal(changed, np.maximum(image, 1))


def test_glass_stays_glass_when_concentrations_are_scaled() -> None:
    glass = np.full((2, 2, 3), 255, np.uint8)
    np.testing.assert_array_equal(jitter_stain(glass, (1.4, 0.6, 1.2), (0, 0, 0)), glass)


def test_more_of_every_stain_is_darker() -> None:
    image = np.full((1, 1, 3), 150, np.uint8)
    assert (jitter_stain(image, (1.3, 1.3, 1.3), (0, 0, 0)) < image).all()
    assert (jitter_stain(image, (1, 1, 1), (0.1, 0.1, 0.1)) < image).all()
    assert (jitter_stain(image, (1, 1, 1), (-0.1, -0.1, -0.1)) > image).all()
