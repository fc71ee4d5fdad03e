"""Stain normalization and colour augmentation in a pipeline."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stained_patches import NO_STAINS, STAINS, draw_patch

from mitouts.errors import ConfigError
from mitouts.functional.stain import complete_stains, fit_macenko, jitter_stain, low_frequencies, swap_amplitude
from mitouts.imaging.image import write_rgb
from mitouts.registry import TRANSFORMS
from mitouts.stain import build_normalizer

IMAGE = draw_patch(100, noise=2)


def _results(seed: int = 0, image=IMAGE) -> dict[str, Any]:
    return {'img': image.copy(), 'gt_points': np.array([[1.5, 2.0]], np.float32), 'augmentation_seed': seed}


@pytest.fixture
def folder(tmp_path) -> Path:
    for number in range(3):
        stains = STAINS + 0.2 * np.random.default_rng(number).random((2, 3))
        write_rgb(tmp_path / 'references' / f'{number}.png', draw_patch(90 + number, seed=number, stains=stains))
    (tmp_path / 'references' / 'notes.txt').write_text('not an image')
    return tmp_path / 'references'


@pytest.mark.parametrize('method', ['macenko', 'reinhard', 'histogram+macenko'])
def test_images_are_normalized_one_by_one(method) -> None:
    results = TRANSFORMS.build(dict(type='StainNormalize', method=method))(_results())
    np.testing.assert_array_equal(results['img'], build_normalizer(method).normalize(IMAGE)[0])
    assert results['stain_normalized']
    np.testing.assert_array_equal(results['gt_points'], [[1.5, 2.0]])


def test_what_cannot_be_normalized_is_counted() -> None:
    transform = TRANSFORMS.build(dict(type='StainNormalize'))
    for image in (IMAGE, NO_STAINS['white'], NO_STAINS['grey']):
        results = transform(_results(image=image))
    assert (transform.seen, transform.unchanged) == (3, 2)
    assert not results['stain_normalized']
    np.testing.assert_array_equal(results['img'], NO_STAINS['grey'])


def test_fit_of_a_slide_serves_for_all_its_images(tmp_path) -> None:
    normalizer = build_normalizer('macenko')
    fit = normalizer.fit(draw_patch(200, seed=5))
    fit.save(tmp_path / 'slide.json')
    transform = TRANSFORMS.build(dict(type='StainNormalize', fit=str(tmp_path / 'slide.json')))
    np.testing.assert_array_equal(transform(_results())['img'], normalizer.apply(IMAGE, fit))
    assert transform(_results(image=NO_STAINS['white']))['stain_normalized']


def test_jitter_takes_the_stains_of_the_image() -> None:
    results = TRANSFORMS.build(dict(type='StainJitter', stains='macenko', shift=0))(_results())
    generator = np.random.default_rng([0, 1])
    generator.random()
    own = complete_stains(fit_macenko(IMAGE).stains)
    np.testing.assert_array_equal(results['img'], jitter_stain(IMAGE, generator.uniform(0.85, 1.15, 3), [0, 0, 0], own))


def test_without_stains_of_its_own_an_image_is_jittered_with_those_of_ruifrok() -> None:
    images = [
        TRANSFORMS.build(dict(type='StainJitter', stains=stains))(_results(image=NO_STAINS['grey']))['img']
        for stains in ('macenko', 'ruifrok')
    ]
    np.testing.assert_array_equal(*images)
    assert not np.array_equal(images[0], NO_STAINS['grey'])


def test_swap_takes_one_reference_of_the_folder(folder) -> None:
    transform = TRANSFORMS.build(dict(type='FourierSwap', reference_folder=str(folder), beta=0.03))
    assert [path.name for path in transform.references] == ['0.png', '1.png', '2.png']
    stains = [STAINS + 0.2 * np.random.default_rng(number).random((2, 3)) for number in range(3)]
    references = [draw_patch(90 + number, seed=number, stains=stains[number]) for number in range(3)]
    expected = [swap_amplitude(IMAGE, low_frequencies(reference, 3), 3) for reference in references]
    chosen = set()
    for seed in range(20):
        image = transform(_results(seed))['img']
        chosen.add(next(number for number in range(3) if np.array_equal(image, expected[number])))
    assert chosen == {0, 1, 2}


def test_histogram_is_that_of_a_reference_in_the_folder(folder) -> None:
    transform = TRANSFORMS.build(dict(type='MatchHistogram', reference_folder=folder))
    expected = [build_normalizer('histogram', path).normalize(IMAGE)[0] for path in transform.references]
    for seed in range(5):
        image = transform(_results(seed))['img']
        assert any(np.array_equal(image, candidate) for candidate in expected)


def test_histogram_is_that_of_the_package_by_default() -> None:
    matched = TRANSFORMS.build(dict(type='MatchHistogram'))(_results())['img']
    np.testing.assert_array_equal(matched, build_normalizer('histogram').normalize(IMAGE)[0])


@pytest.mark.parametrize('kind', ['FourierSwap', 'MatchHistogram'])
def test_draw_is_a_function_of_the_seed_and_survives_a_worker(folder, kind) -> None:
    transform = TRANSFORMS.build(dict(type=kind, reference_folder=folder, prob=0.5))
    copy = pickle.loads(pickle.dumps(transform))
    images = [transform(_results(seed))['img'] for seed in range(30)]
    for seed, image in enumerate(images):
        np.testing.assert_array_equal(copy(_results(seed))['img'], image)
    unchanged = sum(np.array_equal(image, IMAGE) for image in images)
    assert 5 <= unchanged <= 25


@pytest.mark.parametrize('kind', ['FourierSwap', 'MatchHistogram'])
@pytest.mark.parametrize('image', ['white', 'black', '1 px of tissue', 'single pixel'])
def test_what_has_no_tissue_stays(folder, kind, image) -> None:
    transform = TRANSFORMS.build(dict(type=kind, reference_folder=folder))
    np.testing.assert_array_equal(transform(_results(image=NO_STAINS[image]))['img'], NO_STAINS[image])


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='StainNormalize', method='macenco'), "found 'macenco'"),
        (dict(type='StainNormalize', method='none'), 'leave the step out'),
        (dict(type='StainNormalize', reference='none.json'), 'none.json does not exist'),
        (dict(type='StainNormalize', fit='none.json'), 'none.json does not exist'),
        (dict(type='StainJitter', stains='hed'), "one of ruifrok, macenko, found 'hed'"),
        (dict(type='StainJitter', scale=1.5), 'StainJitter.scale must be a number from 0 to 1, found 1.5'),
        (dict(type='StainJitter', shift=-1), 'StainJitter.shift must be at least 0'),
        (dict(type='StainJitter', prob='often'), "found 'often'"),
        (dict(type='FourierSwap', reference_folder='FOLDER/none'), 'is not a folder'),
        (dict(type='FourierSwap', reference_folder='EMPTY'), 'holds no image'),
        (dict(type='FourierSwap', reference_folder='FOLDER', beta=0.5), 'below 0.5'),
        (dict(type='FourierSwap', reference_folder='FOLDER', beta=-0.1), 'FourierSwap.beta must be a number'),
        (dict(type='MatchHistogram', reference_folder='EMPTY'), 'holds no image'),
        (dict(type='MatchHistogram', reference_folder='FOLDER', reference='a.png'), 'not both'),
        (dict(type='MatchHistogram', prob=2), 'MatchHistogram.prob must be a number'),
    ],
)
def test_bad_arguments_are_named(folder, tmp_path, config, message) -> None:
    (tmp_path / 'empty').mkdir()
    places = {'FOLDER': str(folder), 'EMPTY': str(tmp_path / 'empty')}
    for name, place in places.items():
        config = {
            key: value.replace(name, place) if key == 'reference_folder' else value for key, value in config.items()
        }
    with pytest.raises(ConfigError, match=message):
        TRANSFORMS.build(config)


def test_fit_of_another_method_is_named(tmp_path) -> None:
    build_normalizer('reinhard').fit(IMAGE).save(tmp_path / 'fit.json')
    with pytest.raises(ConfigError, match='macenko: the fit lacks macenko; it has reinhard'):
        TRANSFORMS.build(dict(type='StainNormalize', fit=tmp_path / 'fit.json'))


def test_too_small_a_reference_is_named(tmp_path) -> None:
    write_rgb(tmp_path / 'small.png', IMAGE[:8, :8])
    transform = TRANSFORMS.build(dict(type='FourierSwap', reference_folder=tmp_path, beta=0.1))
    with pytest.raises(ConfigError, match=r'small.png is 8 x 8 px, too small for 10 cycles'):
        transform(_results())
