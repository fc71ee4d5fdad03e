"""Reinhard, histogram matching and Fourier swaps, against staintools, scikit-image and a full transform."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import staintools
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.exposure import match_histograms
from stained_patches import NO_STAINS, STAINS, draw_patch

from mitouts.functional.stain import (
    apply_histogram,
    apply_reinhard,
    fit_histogram,
    fit_reinhard,
    low_frequencies,
    swap_amplitude,
)

OTHER = draw_patch(180, seed=1, stains=STAINS[:, [2, 1, 0]], noise=3)
IMAGE = draw_patch(200, noise=3)


def test_reinhard_is_that_of_staintools() -> None:
    normalizer = staintools.ReinhardColorNormalizer()
    normalizer.fit(OTHER)
    expected = normalizer.transform(IMAGE)
    moved = apply_reinhard(IMAGE, fit_reinhard(IMAGE), fit_reinhard(OTHER))
    # staintools cuts Lab's fractions off where ours are rounded, which is half a level of Lab.
    assert np.abs(moved.astype(int) - expected).mean() < 1.5
    np.testing.assert_allclose(fit_reinhard(OTHER).mean, np.ravel(normalizer.target_means), atol=1e-3)
    np.testing.assert_allclose(fit_reinhard(OTHER).std, np.ravel(normalizer.target_stds), atol=1e-3)


def test_reinhard_gives_the_moments_of_the_reference() -> None:
    moved = fit_reinhard(apply_reinhard(IMAGE, fit_reinhard(IMAGE), fit_reinhard(OTHER)))
    np.testing.assert_allclose(moved.mean, fit_reinhard(OTHER).mean, atol=2)


def test_reinhard_to_its_own_moments_only_goes_through_lab() -> None:
    fit = fit_reinhard(IMAGE)
    there_and_back = cv2.cvtColor(cv2.cvtColor(IMAGE, cv2.COLOR_RGB2LAB), cv2.COLOR_LAB2RGB)
    np.testing.assert_array_equal(apply_reinhard(IMAGE, fit, fit), there_and_back)


def test_histograms_are_matched_as_by_scikit_image() -> None:
    expected = match_histograms(IMAGE, OTHER, channel_axis=-1)
    matched = apply_histogram(IMAGE, fit_histogram(IMAGE), fit_histogram(OTHER))
    # It cuts off the fraction that ours rounds.
    difference = matched.astype(int) - expected
    assert set(np.unique(difference)) <= {0, 1}


def test_histogram_matched_to_itself_stays() -> None:
    fit = fit_histogram(IMAGE)
    np.testing.assert_array_equal(apply_histogram(IMAGE, fit, fit), IMAGE)


def test_histogram_of_the_whole_serves_for_every_part() -> None:
    own, wanted = fit_histogram(IMAGE), fit_histogram(OTHER)
    whole = apply_histogram(IMAGE, own, wanted)
    np.testing.assert_array_equal(apply_histogram(IMAGE[5:50, 7:99], own, wanted), whole[5:50, 7:99])


def _swap_by_full_transform(image, reference, radius):
    """The authors' way: all frequencies, the middle of the shifted amplitudes replaced."""
    own = np.fft.fftshift(np.fft.fft2(image.astype(float), axes=(0, 1)), axes=(0, 1))
    other = np.fft.fftshift(np.fft.fft2(reference.astype(float), axes=(0, 1)), axes=(0, 1))
    amplitude, phase = np.abs(own), np.angle(own)
    row, column = image.shape[0] // 2, image.shape[1] // 2
    window = np.s_[row - radius : row + radius + 1, column - radius : column + radius + 1]
    amplitude[window] = np.abs(other)[window]
    mixed = np.fft.ifftshift(amplitude * np.exp(1j * phase), axes=(0, 1))
    return np.clip(np.real(np.fft.ifft2(mixed, axes=(0, 1))), 0, 255)


@pytest.mark.parametrize(('height', 'width', 'radius'), [(64, 64, 0), (64, 80, 3), (61, 47, 5)])
def test_swap_is_that_of_a_full_transform(height, width, radius) -> None:
    image, reference = IMAGE[-height:, :width], OTHER[-height:, -width:]
    swapped = swap_amplitude(image, low_frequencies(reference, radius), radius)
    np.testing.assert_allclose(swapped, _swap_by_full_transform(image, reference, radius), atol=0.6)


def test_swap_with_itself_changes_nothing() -> None:
    np.testing.assert_array_equal(swap_amplitude(IMAGE, low_frequencies(IMAGE, 4), 4), IMAGE)


def test_size_of_the_reference_hardly_matters() -> None:
    half = cv2.resize(OTHER, (90, 90), interpolation=cv2.INTER_AREA)
    whole, shrunk = (swap_amplitude(IMAGE, low_frequencies(image, 2), 2) for image in (OTHER, half))
    assert np.abs(whole.astype(int) - shrunk).mean() < 1


def test_without_frequencies_the_mean_colour_is_swapped() -> None:
    swapped = swap_amplitude(IMAGE // 2 + 60, low_frequencies(OTHER // 2 + 60, 0), 0)
    np.testing.assert_allclose(swapped.mean(axis=(0, 1)), (OTHER // 2 + 60).mean(axis=(0, 1)), atol=0.5)


@pytest.mark.parametrize('name', NO_STAINS)
def test_what_is_no_tissue_has_no_fit(name) -> None:
    assert fit_reinhard(NO_STAINS[name]) is None
    assert fit_histogram(NO_STAINS[name]) is None
    if name != 'grey':
        assert swap_amplitude(NO_STAINS[name], low_frequencies(OTHER, 0), 0) is None


@settings(max_examples=40)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    low=st.integers(0, 255),
    spread=st.integers(0, 255),
    seed=st.integers(0, 99),
)
def test_any_image_is_normalized_or_has_no_fit(height, width, low, spread, seed) -> None:
    image = np.random.default_rng(seed).integers(low, min(255, low + spread) + 1, (height, width, 3)).astype(np.uint8)
    for fit, apply in ((fit_reinhard, apply_reinhard), (fit_histogram, apply_histogram)):
        own = fit(image)
        if own is not None:
            assert apply(image, own, fit(OTHER)).shape == image.shape
    swapped = swap_amplitude(image, low_frequencies(OTHER, 0), 0)
    assert swapped is None or swapped.shape == image.shape
