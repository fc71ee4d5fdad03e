"""Image files as a model sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from stained_patches import STAINS, draw_patch
from untrained import make_model

from mitouts.errors import AnnotationError, ImageError
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.imaging.image import write_rgb
from mitouts.inference import Localizer
from mitouts.inference.images import ImagePredictor, ImageSource, sources_of_annotations, stated_mpp
from mitouts.patches.images import Options
from mitouts.patches.prepare import prepare
from mitouts.stain import build_normalizer

REDDER = STAINS[:, [0, 2, 1]]
CALIBRATION = {'image_threshold': 0.5, 'map_threshold': 0.5, 'drift_px': [0.0, 0.0], 'mpp': 0.25}


def localizer(fit: str | None = 'image', method: str = 'macenko') -> Localizer:
    model = make_model()
    stain = None if fit is None else {**build_normalizer(method).describe(), 'fit': fit}
    model.calibration = {**CALIBRATION, 'stain_reference': stain}
    return Localizer(model)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f'{number}.png' for number in range(3)]
    for number, path in enumerate(paths):
        write_rgb(path, draw_patch(128, seed=number, stains=REDDER))
    return paths


def test_an_image_gets_the_colours_of_training_once(images) -> None:
    pixels = draw_patch(128, seed=0, stains=REDDER)
    _, found = ImagePredictor(localizer(), [ImageSource(images[0])]).predict(ImageSource(images[0]))
    normalizer = build_normalizer('macenko')
    normalized = normalizer.apply(pixels, normalizer.fit_tiles([pixels]))
    expected = localizer(None).predict(normalized)
    assert found.stain_note is None
    np.testing.assert_array_equal(found.points, expected.points)
    assert found.score != localizer(None).predict(pixels).score
    assert localizer().predict(normalized, is_normalized=True).score == expected.score


def test_images_of_a_case_are_measured_together(images) -> None:
    sources = [ImageSource(path, case_id='A' if number < 2 else 'B') for number, path in enumerate(images)]
    _, found = ImagePredictor(localizer('case'), sources).predict(sources[0])
    pixels = [draw_patch(128, seed=number, stains=REDDER) for number in range(2)]
    normalizer = build_normalizer('macenko')
    expected = localizer(None).predict(normalizer.apply(pixels[0], normalizer.fit_tiles(pixels)))
    np.testing.assert_array_equal(found.points, expected.points)


def test_images_without_a_case_are_measured_each(images) -> None:
    sources = [ImageSource(path) for path in images]
    one, by_case = ImagePredictor(localizer('image'), sources), ImagePredictor(localizer('case'), sources)
    assert one.predict(sources[1])[1].score == by_case.predict(sources[1])[1].score


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    write_rgb(tmp_path / 'glass.png', np.full((128, 128, 3), 245, np.uint8))
    source = ImageSource(tmp_path / 'glass.png')
    predictor = ImagePredictor(localizer(), [source])
    assert 'too little stained tissue' in predictor.predict(source)[1].stain_note
    assert predictor.unmeasured == [source.path]


def test_a_broken_image_of_a_case_does_not_keep_the_others_from_being_measured(images, tmp_path) -> None:
    (tmp_path / 'broken.png').write_bytes(b'no image')
    sources = [ImageSource(path, case_id='A') for path in (tmp_path / 'broken.png', *images[:2])]
    predictor = ImagePredictor(localizer('case'), sources)
    alone = ImagePredictor(localizer('case'), sources[1:])
    assert predictor.predict(sources[1])[1].score == alone.predict(sources[1])[1].score
    with pytest.raises(ImageError):
        predictor.predict(sources[0])


@pytest.fixture
def patches(images, tmp_path: Path) -> Path:
    """Patches of the images, normalized by Macenko."""
    entries = [
        make_image(number + 1, path.name, 128, 128, case_id=str(number), mpp=0.25) for number, path in enumerate(images)
    ]
    write_json(tmp_path / 'a.json', make_document(entries, [make_annotation(1, 1, 1, 9, 9)], name='a', tool='t'))
    options = Options(patch_px=128, stride_px=128)
    prepare(tmp_path / 'a.json', tmp_path, tmp_path / 'out', options, build_normalizer('macenko'))
    return tmp_path / 'out'


def test_patches_that_are_normalized_already_stay(patches: Path) -> None:
    sources = sources_of_annotations(patches / 'all.json')
    predictor = ImagePredictor(localizer(), sources)
    assert predictor.normalizes == 0
    image, found = predictor.predict(sources[0])
    np.testing.assert_array_equal(found.points, localizer(None).predict(image).points)
    assert found.stain_note == 'it was normalized already'


def test_patches_that_were_normalized_otherwise_are_refused(patches: Path) -> None:
    sources = sources_of_annotations(patches / 'all.json')
    with pytest.raises(AnnotationError, match=r'normalized by macenko.*trained on images normalized by reinhard'):
        ImagePredictor(localizer(method='reinhard'), sources)
    with pytest.raises(AnnotationError, match='trained on images as they were scanned'):
        ImagePredictor(localizer(None), sources)


def test_a_file_that_states_its_resolution_is_believed(tmp_path: Path) -> None:
    pixels = draw_patch(64)
    tifffile.imwrite(
        tmp_path / 'a.tif', pixels, photometric='rgb', resolution=(20_000, 20_000), resolutionunit='CENTIMETER'
    )
    write_rgb(tmp_path / 'b.png', pixels)
    (tmp_path / 'broken.png').write_bytes(b'no image')
    assert [stated_mpp(tmp_path / name) for name in ('a.tif', 'b.png', 'broken.png')] == [0.5, None, None]


def test_an_annotation_file_gives_resolution_and_case(images, tmp_path: Path) -> None:
    entries = [make_image(7, images[0].name, 128, 128, case_id='P1', mpp=0.5)]
    write_json(tmp_path / 'a.json', make_document(entries, [], name='a', tool='t'))
    assert sources_of_annotations(tmp_path / 'a.json') == [ImageSource(images[0], 0.5, 'P1', 7)]
    assert sources_of_annotations(tmp_path / 'a.json', 0.3)[0].mpp == 0.3
