"""Normalizers: what they do to images and slides, and to what cannot be normalized."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import spams
import staintools
from hypothesis import given, settings
from hypothesis import strategies as st
from stained_patches import HARD, NO_STAINS, STAINS, draw_patch

from mitouts.errors import ConfigError, ImageError
from mitouts.functional import stain
from mitouts.imaging.image import write_rgb
from mitouts.stain import (
    Fit,
    NormalizerChain,
    build_normalizer,
    fit_reference,
    from_description,
    known_methods,
    normalizers,
)
from mitouts.stain.methods import Macenko
from mitouts.stain.staintools_backend import DICTIONARY_ITERATIONS

NAMES = [*known_methods(), 'histogram+macenko']
IMAGE = draw_patch(160, noise=2)
OTHER = draw_patch(160, seed=3, stains=STAINS[:, [0, 2, 1]], noise=2)


@pytest.mark.parametrize('name', NAMES)
def test_given_the_fit_the_result_is_the_same(name) -> None:
    normalizer = build_normalizer(name)
    normalized, done = normalizer.normalize(IMAGE)
    assert done
    assert not np.array_equal(normalized, IMAGE)
    fit = Fit.from_dict(json.loads(json.dumps(normalizer.fit(IMAGE).to_dict())))
    np.testing.assert_array_equal(normalizer.apply(IMAGE, fit), normalized)
    np.testing.assert_array_equal(normalizer.normalize(IMAGE, fit)[0], normalized)


@pytest.mark.parametrize('name', NAMES)
def test_images_of_different_stains_become_alike(name) -> None:
    normalizer = build_normalizer(name)
    before = np.abs(IMAGE.astype(float).mean(axis=(0, 1)) - OTHER.astype(float).mean(axis=(0, 1))).max()
    first, second = (normalizer.normalize(image)[0].astype(float).mean(axis=(0, 1)) for image in (IMAGE, OTHER))
    assert np.abs(first - second).max() < before / 2


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('kind', NO_STAINS)
def test_what_cannot_be_normalized_comes_back_unchanged(name, kind) -> None:
    image = NO_STAINS[kind].copy()
    normalized, done = build_normalizer(name).normalize(image)
    assert not done
    assert normalized is image
    np.testing.assert_array_equal(image, NO_STAINS[kind])


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('kind', HARD)
def test_hard_images_are_normalized_or_left(name, kind) -> None:
    image = HARD[kind].copy()
    normalized, done = build_normalizer(name).normalize(image)
    np.testing.assert_array_equal(image, HARD[kind])
    assert normalized.shape == image.shape
    assert normalized.dtype == np.uint8
    assert done or normalized is image


@settings(max_examples=25)
@given(
    name=st.sampled_from(NAMES),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    levels=st.tuples(st.integers(0, 255), st.integers(0, 255)),
    seed=st.integers(0, 99),
)
def test_any_image_survives_without_a_warning(name, size, levels, seed) -> None:
    image = np.random.default_rng(seed).integers(min(levels), max(levels) + 1, (*size, 3)).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        normalized, done = build_normalizer(name).normalize(image)
    assert normalized.shape == image.shape
    assert done or normalized is image


def test_chain_is_one_after_the_other() -> None:
    between = build_normalizer('histogram').normalize(IMAGE)[0]
    expected = build_normalizer('macenko').normalize(between)[0]
    np.testing.assert_array_equal(NormalizerChain(['histogram', 'macenko']).normalize(IMAGE)[0], expected)


def test_chain_that_stops_half_way_leaves_the_image(monkeypatch) -> None:
    monkeypatch.setattr(Macenko, 'measure', lambda self, image: None)
    normalized, done = NormalizerChain(['histogram', 'macenko']).normalize(IMAGE)
    assert normalized is IMAGE
    assert not done


def test_staintools_backend_is_staintools(tmp_path) -> None:
    write_rgb(tmp_path / 'reference.png', OTHER)
    normalizer = build_normalizer('staintools_macenko', tmp_path / 'reference.png')
    direct = staintools.StainNormalizer(method='macenko')
    direct.fit(OTHER.copy())
    np.testing.assert_array_equal(normalizer.normalize(IMAGE)[0], direct.transform(IMAGE.copy()))


def test_vahadane_finds_what_staintools_finds(monkeypatch) -> None:
    fit = build_normalizer('vahadane').fit(IMAGE).parts['vahadane']
    learn = spams.trainDL
    # staintools learns for a second of the clock, in which a busy machine gets little done.
    more = dict(iter=4 * DICTIONARY_ITERATIONS, numThreads=1)
    monkeypatch.setattr(spams, 'trainDL', lambda **settings: learn(**settings, **more))
    expected = staintools.VahadaneStainExtractor.get_stain_matrix(IMAGE.copy())
    np.testing.assert_allclose(fit.stains, expected, atol=0.03)


def test_large_images_are_unmixed_in_blocks(monkeypatch) -> None:
    normalizer = build_normalizer('staintools_macenko')
    expected = normalizer.normalize(IMAGE)[0]
    monkeypatch.setattr('mitouts.stain.staintools_backend._APPLIED_PX', 1000)
    np.testing.assert_array_equal(normalizer.normalize(IMAGE)[0], expected)


def test_tiles_give_the_fit_of_their_image() -> None:
    image = draw_patch(300)
    tiles = [image[y : y + 100, x : x + 100] for y in (0, 100, 200) for x in (0, 100, 200)]
    pooled = build_normalizer('macenko').fit_tiles(iter(tiles)).parts['macenko']
    whole = stain.fit_macenko(image)
    np.testing.assert_allclose(pooled.stains, whole.stains, atol=1e-3)
    np.testing.assert_allclose(pooled.maxima, whole.maxima, rtol=1e-3)


def test_pool_of_tiles_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(normalizers, 'MAX_POOLED_PX', 20_000)
    normalizer = build_normalizer('macenko')
    sizes = []
    monkeypatch.setattr(normalizer, 'fit', lambda image: sizes.append(len(image)))
    normalizer.fit_tiles(draw_patch(100, seed) for seed in range(30))
    assert 5_000 < sizes[0] <= 20_000


def test_slide_without_tissue_has_no_fit() -> None:
    normalizer = build_normalizer('macenko')
    assert normalizer.fit_tiles([]) is None
    assert normalizer.fit_tiles([NO_STAINS['white']] * 3) is None


def test_fit_of_a_slide_serves_for_its_background_too() -> None:
    normalizer = build_normalizer('macenko')
    glass, done = normalizer.normalize(NO_STAINS['white'], normalizer.fit(IMAGE))
    assert done
    assert glass.min() >= 225


@pytest.mark.parametrize('name', NAMES)
def test_description_builds_the_same_normalizer(name, tmp_path) -> None:
    write_rgb(tmp_path / 'reference.png', OTHER)
    normalizer = build_normalizer(name, tmp_path / 'reference.png')
    description = json.loads(json.dumps({**normalizer.describe(), 'fit': 'patch'}))
    assert description['reference']['source'] == 'reference.png'
    again = from_description(description)
    assert again.describe() == normalizer.describe()
    np.testing.assert_array_equal(again.normalize(IMAGE)[0], normalizer.normalize(IMAGE)[0])


def test_no_normalizer_is_none() -> None:
    assert build_normalizer('none') is None
    assert from_description(None) is None


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: build_normalizer('macenco'), r"one of none, macenko, reinhard, .* found 'macenco'"),
        (lambda: build_normalizer('histogram+'), r"found 'histogram\+'"),
        (lambda: NormalizerChain([]), "found ''"),
        (lambda: NormalizerChain(['lab']), "found 'lab'"),
        (lambda: from_description({'method': 'macenko'}), 'needs "method" and "reference"'),
        (lambda: from_description(['macenko']), 'needs "method" and "reference"'),
        (
            lambda: build_normalizer('reinhard').apply(IMAGE, Fit({'macenko': stain.fit_macenko(IMAGE)})),
            'lacks reinhard',
        ),
    ],
)
def test_mistakes_are_named(call, message) -> None:
    with pytest.raises(ConfigError, match=message):
        call()


@pytest.mark.parametrize(
    'image',
    [IMAGE[..., 0], IMAGE.astype(float), IMAGE[..., :2], IMAGE[:0], [[1, 2, 3]]],
    ids=lambda image: str(np.shape(image)),
)
def test_only_rgb_uint8_images_are_taken(image) -> None:
    with pytest.raises(ImageError, match='stain normalization expects'):
        build_normalizer('macenko').normalize(image)


def test_reference_of_an_image_is_what_normalizers_measure() -> None:
    reference = fit_reference(OTHER, 'other')
    for name in known_methods():
        own = build_normalizer(name, reference.to_dict()).fit(OTHER)
        for field, values in own.to_dict()[name].items():
            np.testing.assert_allclose(reference.to_dict()[name][field], values, atol=1e-6)
