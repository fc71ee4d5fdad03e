"""Tissue against glass, on constructed thumbnails."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label

from mitouts.functional.tissue_mask import (
    OTSU_RANGE,
    drop_small,
    fill_small_holes,
    find_ink,
    find_tissue,
    tissue_mask,
    tissue_share,
    tissue_threshold,
)
from mitouts.synthetic.phantom import SCANNERS

MPP = 16.0
GLASS, EOSIN, HAEMATOXYLIN = (243, 240, 234), (205, 140, 190), (110, 70, 150)
BLUE_PEN, GREEN_PEN, BLACK_PEN = (40, 70, 180), (40, 140, 70), (20, 20, 25)
SHAPE = (200, 300)


def flat(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((*SHAPE, 3), colour, dtype=np.uint8)


def noisy(image: np.ndarray, sigma: float = 3.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1.0) + noise, 0, 255).astype(np.uint8)


def with_ellipse(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A piece of tissue with a dark core on the image, and where it is."""
    truth = cv2.ellipse(np.zeros(SHAPE, np.uint8), (120, 100), (70, 50), 20, 0, 360, 1, -1) > 0
    out = image.copy()
    out[truth] = EOSIN
    cv2.ellipse(out, (130, 100), (25, 15), 0, 0, 360, HAEMATOXYLIN, -1)
    return out, truth


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


@pytest.mark.parametrize('colour', [GLASS, (255, 255, 255), (128, 128, 128), (4, 4, 4)])
@pytest.mark.parametrize('sigma', [0.0, 2.0, 6.0])
def test_a_slide_without_tissue_has_none(colour, sigma) -> None:
    assert not find_tissue(noisy(flat(colour), sigma), MPP).any()


@pytest.mark.parametrize('colour', [EOSIN, HAEMATOXYLIN, (232, 205, 222)])
def test_a_slide_full_of_tissue_is_tissue_throughout(colour) -> None:
    assert find_tissue(noisy(flat(colour)), MPP).all()


def test_two_kinds_of_tissue_are_both_tissue() -> None:
    image = flat(EOSIN)
    image[:, :150] = HAEMATOXYLIN
    # Otsu alone would cut between the two.
    chroma = image.max(axis=2) - image.min(axis=2)
    assert threshold_otsu(chroma) > OTSU_RANGE[1]
    assert find_tissue(noisy(image), MPP).all()


def test_the_outline_is_found() -> None:
    image, truth = with_ellipse(flat(GLASS))
    found = find_tissue(noisy(image), MPP)
    assert overlap(found, truth) > 0.95
    assert ndimage.label(found)[1] == 1


@pytest.mark.parametrize('pen', [BLUE_PEN, GREEN_PEN, BLACK_PEN])
def test_pen_beside_and_across_the_tissue_is_left_out(pen) -> None:
    image, truth = with_ellipse(flat(GLASS))
    mark = np.zeros(SHAPE, np.uint8)
    cv2.line(mark, (20, 180), (280, 170), 1, 7)
    cv2.line(mark, (100, 20), (140, 190), 1, 7)
    image[mark > 0] = pen
    found = find_tissue(noisy(image), MPP)
    assert not (found & (mark > 0)).any()
    assert not (found & ~truth & (ndimage.distance_transform_edt(~truth) > 2)).any()
    assert found.sum() > 0.65 * truth.sum()


def test_a_black_border_is_left_out() -> None:
    image, truth = with_ellipse(flat(GLASS))
    image[:, :12] = 0
    image[-9:] = 2
    assert overlap(find_tissue(noisy(image), MPP), truth) > 0.95


def test_specks_go_and_small_holes_close_by_their_area_in_um() -> None:
    image, _ = with_ellipse(flat(GLASS))
    image[20:26, 250:256] = EOSIN
    image[80:92, 85:97] = GLASS
    for mpp, there in ((4.0, False), (64.0, True)):
        found = find_tissue(image, mpp)
        assert found[22:24, 252:254].all() == there
        assert (not found[85:87, 90:92].any()) == there


def test_sizes_are_in_um() -> None:
    image, truth = with_ellipse(flat(GLASS))
    area_um2 = float(truth.sum() * MPP**2)
    assert find_tissue(image, MPP, min_area_um2=0.9 * area_um2).any()
    assert not find_tissue(image, MPP, min_area_um2=1.2 * area_um2).any()


@pytest.mark.parametrize('scanner', SCANNERS.values(), ids=list(SCANNERS))
def test_no_mixture_of_stains_is_ink(scanner) -> None:
    hematoxylin, eosin = np.meshgrid(np.linspace(0, 2.5, 40), np.linspace(0.1, 2.0, 40))
    density = hematoxylin[..., None] * np.array(scanner.hematoxylin_od) + eosin[..., None] * np.array(scanner.eosin_od)
    image = np.rint(np.array(scanner.white) * np.exp(-density)).astype(np.uint8)
    assert not find_ink(image, np.ones(image.shape[:2], dtype=bool)).any()


def test_threshold_is_otsus_where_it_is_believable() -> None:
    generator = np.random.default_rng(0)
    low, high = generator.normal(8, 2, 5000), generator.normal(32, 3, 5000)
    chroma = np.clip(np.concatenate([low, high]), 0, 255).astype(np.uint8).reshape(100, 100)
    assert tissue_threshold(chroma) == threshold_otsu(chroma) + 1
    assert tissue_threshold(np.full((9, 9), 3, np.uint8)) == OTSU_RANGE[0]


def larger_pieces(mask: np.ndarray, area_px: int, connectivity: int) -> np.ndarray:
    """``mask`` without its pieces of up to ``area_px`` pixels, by skimage's labels, which every release has."""
    pieces = label(mask, connectivity=connectivity)
    return mask & (np.bincount(pieces.ravel())[pieces] > area_px)


@given(st.integers(0, 10_000), st.integers(0, 12))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_small_pieces_and_holes_as_skimage_has_them(seed: int, area: int) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24, 31)), 0.8)
    mask = noise > 0
    np.testing.assert_array_equal(drop_small(mask, area + 1), larger_pieces(mask, area, connectivity=2))
    # What the border cuts is no hole: a frame that is too large to be filled joins it.
    background = np.pad(~mask, 20, constant_values=True)
    expected = ~larger_pieces(background, area, connectivity=1)[20:-20, 20:-20]
    np.testing.assert_array_equal(fill_small_holes(mask, area), expected)


@pytest.mark.parametrize('mpp', [0.0, -1.0, float('nan'), float('inf')])
def test_a_resolution_that_makes_no_sense(mpp) -> None:
    with pytest.raises(ValueError, match='mpp must be'):
        find_tissue(flat(GLASS), mpp)


@pytest.mark.parametrize('image', [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)])
def test_no_thumbnail(image) -> None:
    with pytest.raises(ValueError, match='RGB uint8'):
        find_tissue(image, MPP)


def test_one_pixel() -> None:
    assert find_tissue(np.full((1, 1, 3), EOSIN, np.uint8), 256.0).tolist() == [[True]]
    assert find_tissue(np.full((1, 1, 3), GLASS, np.uint8), 256.0).tolist() == [[False]]


def test_share_of_coloured_pixels() -> None:
    image = flat(GLASS)
    image[:, :75] = EOSIN
    assert tissue_share(image) == pytest.approx(0.25, abs=0.01)
    np.testing.assert_array_equal(tissue_mask(image)[0], np.arange(300) < 75)
