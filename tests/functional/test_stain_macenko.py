"""Macenko's stains, against torchstain, NumPy, and patches whose stains are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchstain
from hypothesis import given, settings
from hypothesis import strategies as st
from stained_patches import HARD, NO_STAINS, STAINS, draw_patch, mosaics

from mitouts.functional.stain import (
    StainFit,
    apply_stain_fit,
    complete_stains,
    fit_macenko,
    map_density,
    sample_pixels,
    stain_matrix,
)
from mitouts.functional.stain.macenko import upper_percentile

REFERENCE = StainFit(np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]]), np.array([1.9705, 1.0308]))
"""What torchstain normalizes to by default."""


def _torchstain(backend: str = 'torch'):
    normalizer = torchstain.normalizers.MacenkoNormalizer(backend=backend)

    def normalize(image):
        source = torch.from_numpy(image).permute(2, 0, 1) if backend == 'torch' else image
        return np.asarray(normalizer.normalize(source, stains=False)[0]).astype(int)

    return normalizer, normalize


@pytest.mark.parametrize('slide', ['007.tiff', '072.tiff', '106.tiff', '139.tiff'])
def test_real_patches_come_out_as_from_torchstain(slide) -> None:
    image = mosaics()[slide]
    _, normalize = _torchstain()
    difference = np.abs(apply_stain_fit(image, fit_macenko(image), REFERENCE) - normalize(image))
    assert difference.mean() <= 0.6
    # With every pixel in the fit, what is left is rounding.
    whole = np.abs(apply_stain_fit(image, fit_macenko(image, max_px=10**6), REFERENCE) - normalize(image))
    assert whole.mean() <= 0.25
    assert whole.max() <= 3


def test_fit_is_that_of_torchstain_where_it_takes_all_pixels() -> None:
    image = draw_patch(150, noise=2)
    normalizer, _ = _torchstain('numpy')
    normalizer.fit(image)
    fit = fit_macenko(image)
    np.testing.assert_allclose(fit.stains, normalizer.HERef.T, atol=1e-4)
    np.testing.assert_allclose(fit.maxima, normalizer.maxCRef, rtol=1e-4)


def test_known_stains_are_found_haematoxylin_first() -> None:
    for stains in (STAINS, STAINS[::-1]):
        fit = fit_macenko(draw_patch(300, stains=stains))
        np.testing.assert_allclose(fit.stains, STAINS, atol=0.03)
        np.testing.assert_allclose(np.linalg.norm(fit.stains, axis=1), 1)


def test_result_has_the_stains_of_the_reference() -> None:
    image = draw_patch(300)
    fit = fit_macenko(apply_stain_fit(image, fit_macenko(image), REFERENCE))
    np.testing.assert_allclose(fit.stains, REFERENCE.stains, atol=0.02)
    np.testing.assert_allclose(fit.maxima, REFERENCE.maxima, rtol=0.05)


def test_to_its_own_stains_an_image_hardly_changes() -> None:
    """The level is raised by 1 for the logarithm and not lowered again, as in torchstain; the rest is the residual."""
    image = draw_patch(200)
    fit = fit_macenko(image)
    assert np.abs(apply_stain_fit(image, fit, fit).astype(int) - image).mean() < 1


def test_a_fit_of_the_whole_serves_for_every_part() -> None:
    image = draw_patch(200)
    fit = fit_macenko(image)
    whole = apply_stain_fit(image, fit, REFERENCE)
    np.testing.assert_array_equal(apply_stain_fit(image[20:90, 30:180], fit, REFERENCE), whole[20:90, 30:180])


def test_view_of_an_image_is_as_good_as_a_copy() -> None:
    image = draw_patch(120)[::-1, ::2]
    np.testing.assert_array_equal(fit_macenko(image).stains, fit_macenko(image.copy()).stains)
    np.testing.assert_array_equal(map_density(image, np.eye(3)), map_density(image.copy(), np.eye(3)))


def test_mapping_is_that_of_every_pixel_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (333, 257, 3), dtype=np.uint8)
    matrix = np.array([[1.1, -0.3, 0.2], [0.1, 0.9, 0.0], [-0.2, 0.4, 1.3]])
    density = -np.log((image.astype(float) + 1) / 240)
    level = np.minimum(240 * np.exp(-density @ matrix.T), 255)
    difference = map_density(image, matrix).astype(int) - np.floor(level)
    assert np.abs(difference).max() <= 1
    assert np.abs(difference).mean() < 0.001


def test_huge_numbers_become_white_and_not_black() -> None:
    black = np.zeros((2, 2, 3), np.uint8)
    np.testing.assert_array_equal(map_density(black, -100 * np.eye(3)), np.full((2, 2, 3), 255))
    np.testing.assert_array_equal(map_density(black, 100 * np.eye(3)), black)


def test_matrix_is_least_squares_then_scaled_then_mixed() -> None:
    source = StainFit(STAINS, np.array([2.0, 1.0]))
    density = np.array([0.7, 0.9, 0.4])
    concentrations = np.linalg.lstsq(STAINS.T, density, rcond=None)[0] * REFERENCE.maxima / source.maxima
    np.testing.assert_allclose(stain_matrix(source, REFERENCE) @ density, concentrations @ REFERENCE.stains)


@pytest.mark.parametrize('name', [*NO_STAINS, 'one stain'])
def test_image_without_two_stains_has_no_fit(name) -> None:
    assert fit_macenko({**NO_STAINS, **HARD}[name]) is None


@pytest.mark.parametrize('noise', [1.0, 3.0])
def test_noise_is_not_taken_for_a_second_stain_that_darkens(noise) -> None:
    """A patch of eosin alone either has no fit or keeps out of the range of a blown-up second stain."""
    generator = np.random.default_rng(0)
    level = 240 * np.exp(-generator.uniform(0.3, 1.2, (200, 200, 1)) * STAINS[1]) + noise * generator.normal(
        size=(200, 200, 3)
    )
    fit = fit_macenko(np.clip(np.rint(level), 0, 255).astype(np.uint8))
    assert fit is None or np.linalg.cond(stain_matrix(fit, REFERENCE)[:2, :2]) < 100


@settings(max_examples=60)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    low=st.integers(0, 255),
    spread=st.integers(0, 255),
    tinted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_image_has_a_usable_fit_or_none(height, width, low, spread, tinted, seed) -> None:
    generator = np.random.default_rng(seed)
    levels = generator.integers(low, min(255, low + spread) + 1, (height, width, 3))
    image = (levels // [1, 2, 1] if tinted else levels).astype(np.uint8)
    fit = fit_macenko(image)
    if fit is not None:
        assert np.isfinite(fit.stains).all()
        assert (fit.maxima >= 0.1).all()
        assert apply_stain_fit(image, fit, REFERENCE).shape == image.shape


@settings(max_examples=60)
@given(
    values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=300),
    repeats=st.integers(1, 20),
    percent=st.sampled_from([0, 50, 90.5, 99, 100]),
)
def test_upper_percentile_is_that_of_numpy(values, repeats, percent) -> None:
    array = np.array(values * repeats, dtype=np.float32)
    expected = np.percentile(array.astype(np.float64), percent)
    assert upper_percentile(array, percent) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=60)
@given(height=st.integers(1, 200), width=st.integers(1, 200), max_px=st.integers(1, 5000))
def test_sample_is_bounded_and_nothing_is_left_out_needlessly(height, width, max_px) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    sample = sample_pixels(image, max_px)
    if height * width <= max_px:
        assert sample.shape == image.shape
    assert 1 <= sample.shape[0] * sample.shape[1] <= max(2 * max_px, height + width)


def test_residual_is_at_right_angles() -> None:
    stains = complete_stains(STAINS)
    np.testing.assert_allclose(stains[2] @ STAINS.T, 0, atol=1e-12)
    assert np.linalg.norm(stains[2]) == pytest.approx(1)
