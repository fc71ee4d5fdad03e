"""Images in the resolution and the colours that a model was trained on."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from stained_patches import STAINS, draw_patch

from mitouts.errors import AnnotationWarning, ConfigError, ImageError
from mitouts.stain import build_normalizer, fit_reference
from mitouts.stain.preparation import ImagePreparer, describe_colours, measured_over, resample, same_colours

REDDER = STAINS[:, [0, 2, 1]]
MACENKO = {**build_normalizer('macenko').describe(), 'fit': 'image'}


def test_an_image_is_normalized_by_what_is_measured_on_tiles_of_it() -> None:
    image = draw_patch(300, seed=1, stains=REDDER)
    found, note = ImagePreparer({'stain_reference': MACENKO}).normalize(image)
    tiles = [image[y : y + 256, x : x + 256] for y in (7, 14, 22, 29, 36) for x in (7, 14, 22, 29, 36)]
    normalizer = build_normalizer('macenko')
    assert note is None
    np.testing.assert_array_equal(found, normalizer.apply(image, normalizer.fit_tiles(tiles)))


def test_images_of_one_stain_come_out_alike_whatever_their_colours() -> None:
    same_tissue = [draw_patch(256, seed=2, stains=stains) for stains in (STAINS, REDDER)]
    preparer = ImagePreparer({'stain_reference': MACENKO})
    first, second = (preparer.normalize(image)[0].astype(float) for image in same_tissue)
    assert np.abs(first - second).mean() < 3
    assert np.abs(same_tissue[0].astype(float) - same_tissue[1]).mean() > 15


def test_a_case_is_measured_over_all_its_images() -> None:
    images = [draw_patch(256, seed=seed, stains=REDDER) for seed in range(3)]
    preparer = ImagePreparer({'stain_reference': {**MACENKO, 'fit': 'case'}})
    fit = preparer.measure(images)
    together = build_normalizer('macenko').fit_tiles(images)
    np.testing.assert_allclose(fit.parts['macenko'].stains, together.parts['macenko'].stains, atol=1e-6)
    np.testing.assert_array_equal(
        preparer.normalize(images[0], fit)[0], build_normalizer('macenko').apply(images[0], together)
    )


def test_a_patch_is_measured_over_all_its_pixels() -> None:
    image = draw_patch(300, seed=1, stains=REDDER)
    found, _ = ImagePreparer({'stain_reference': {**MACENKO, 'fit': 'patch'}}).normalize(image)
    np.testing.assert_array_equal(found, build_normalizer('macenko').normalize(image)[0])


@pytest.mark.parametrize('calibration', [{}, {'stain_reference': None}])
def test_a_model_of_images_as_they_are_changes_nothing(calibration) -> None:
    image = draw_patch(64)
    preparer = ImagePreparer(calibration)
    assert preparer.normalize(image) == (image, 'the model was trained on images as they are')
    assert preparer.measure([image]) is None


def test_an_image_without_tissue_keeps_its_colours_and_says_why() -> None:
    glass = np.full((128, 128, 3), 245, np.uint8)
    found, note = ImagePreparer({'stain_reference': MACENKO}).normalize(glass)
    assert found is glass
    assert note == 'macenko cannot be fitted to this image: too little stained tissue'


def test_resolution() -> None:
    preparer = ImagePreparer({'mpp': 0.25})
    assert preparer.scale(0.5 / 1.5) == pytest.approx(4 / 3)
    assert preparer.scale(0.2505) == 1
    assert preparer.scale(None) == 1
    with pytest.raises(ImageError, match=r'0.5 um/px and the model needs 0.25.*give the right resolution'):
        preparer.scale(0.5)
    with pytest.raises(ImageError, match='above 0'):
        preparer.scale(float('nan'))
    with pytest.warns(AnnotationWarning, match='does not know the resolution'):
        assert ImagePreparer({}).scale(0.5) == 1
    image = draw_patch(100)
    np.testing.assert_array_equal(resample(image, 0.5), cv2.resize(image, (50, 50), interpolation=cv2.INTER_AREA))


def test_colours_are_compared_by_their_numbers() -> None:
    noted = json.loads(json.dumps(MACENKO))
    noted['reference']['source'] = 'another note'
    noted['fit'] = 'case'
    assert same_colours(MACENKO, noted)
    assert same_colours(None, None)
    assert not same_colours(MACENKO, None)
    assert not same_colours(MACENKO, build_normalizer('reinhard').describe())
    other = fit_reference(draw_patch(200, seed=5, stains=REDDER), 'other', ['macenko']).to_dict()
    assert not same_colours(MACENKO, build_normalizer('macenko', other).describe())


def test_words_for_messages() -> None:
    assert describe_colours(None) == 'as they were scanned'
    assert describe_colours(MACENKO).startswith('normalized by macenko to ')
    assert measured_over({'method': 'macenko'}) == 'image'
    with pytest.raises(ConfigError, match=r"image, case, patch; found 'slide'"):
        measured_over({'fit': 'slide'})
