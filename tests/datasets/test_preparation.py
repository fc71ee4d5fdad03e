"""Data sets whose images are brought to a model's colours as they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stained_patches import STAINS, draw_patch

from mitouts.datasets import FigureCropDataset, PointDataset
from mitouts.datasets.preparation import prepare_dataset, resolution_of, stain_of
from mitouts.errors import AnnotationError
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.imaging.image import write_rgb
from mitouts.stain import build_normalizer

SIDE_PX = 96
PIPELINE = [dict(type='LoadImage'), dict(type='PackPointSample')]
MACENKO = {**build_normalizer('macenko').describe(), 'fit': 'image'}


def description(fit: str) -> dict[str, Any]:
    return {**MACENKO, 'fit': fit}


def image_of(number: int) -> np.ndarray:
    return draw_patch(SIDE_PX, seed=number, stains=STAINS[:, [0, 2, 1]], noise=2)


@pytest.fixture
def ann_file(tmp_path: Path) -> Path:
    return write(tmp_path, None)


def write(folder: Path, stain_reference: Any, mpp: float = 0.25) -> Path:
    """Four patches: 0 and 1 of one source image of case A, 2 of another of A, 3 of case B."""
    images, annotations = [], []
    for number, (case, source) in enumerate([('A', 'a1'), ('A', 'a1'), ('A', 'a2'), ('B', 'b1')]):
        write_rgb(folder / f'{number}.png', image_of(number))
        images.append(
            make_image(number + 1, f'{number}.png', SIDE_PX, SIDE_PX, case_id=case, mpp=mpp, source_image=source)
        )
        if number % 2:
            annotations.append(make_annotation(len(annotations) + 1, number + 1, 1, 40.0, 40.0))
    path = folder / 'patches.json'
    write_json(path, make_document(images, annotations, name='p', tool='t', stain_reference=stain_reference))
    return path


def pixels(dataset: Any, number: int) -> np.ndarray:
    return dataset[number]['inputs'].numpy().transpose(1, 2, 0)


@pytest.mark.parametrize(('fit', 'together'), [('image', [0, 1]), ('case', [0, 1, 2])])
def test_the_stain_is_measured_over_the_patches_of_an_image_or_a_case(ann_file: Path, fit: str, together) -> None:
    dataset = PointDataset(str(ann_file), pipeline=PIPELINE)
    done = prepare_dataset(dataset, {'stain_reference': description(fit)})
    assert f'measured over each {fit}' in done
    normalizer = build_normalizer('macenko')
    expected = normalizer.apply(image_of(0), normalizer.fit_tiles([image_of(number) for number in together]))
    np.testing.assert_array_equal(pixels(dataset, 0), expected)


def test_each_patch_is_measured_by_itself_where_the_training_did(ann_file: Path) -> None:
    dataset = PointDataset(str(ann_file), pipeline=PIPELINE)
    prepare_dataset(dataset, {'stain_reference': description('patch')})
    np.testing.assert_array_equal(pixels(dataset, 3), build_normalizer('macenko').normalize(image_of(3))[0])


def test_preparing_twice_normalizes_once(ann_file: Path) -> None:
    dataset = PointDataset(str(ann_file), pipeline=PIPELINE)
    prepare_dataset(dataset, {'stain_reference': MACENKO})
    once = pixels(dataset, 2)
    assert prepare_dataset(dataset, {'stain_reference': MACENKO}) is None
    np.testing.assert_array_equal(pixels(dataset, 2), once)


def test_what_is_normalized_already_stays(tmp_path: Path) -> None:
    dataset = PointDataset(str(write(tmp_path, description('patch'))), pipeline=PIPELINE)
    assert prepare_dataset(dataset, {'stain_reference': MACENKO}) is None
    np.testing.assert_array_equal(pixels(dataset, 0), image_of(0))


@pytest.mark.parametrize('calibration', [{}, {'stain_reference': None}])
def test_images_as_scanned_stay_for_a_model_that_took_such(ann_file: Path, calibration) -> None:
    dataset = PointDataset(str(ann_file), pipeline=PIPELINE)
    assert prepare_dataset(dataset, calibration) is None
    np.testing.assert_array_equal(pixels(dataset, 0), image_of(0))


@pytest.mark.parametrize(
    ('expected', 'advice'), [(None, 'Cut the patches again without --stain'), ('reinhard', 'with --stain reinhard')]
)
def test_images_normalized_otherwise_are_refused(tmp_path: Path, expected, advice) -> None:
    dataset = PointDataset(str(write(tmp_path, MACENKO)), pipeline=PIPELINE)
    wanted = None if expected is None else build_normalizer(expected).describe()
    with pytest.raises(AnnotationError, match='normalized by macenko') as error:
        prepare_dataset(dataset, {'stain_reference': wanted}, 'patches.json')
    assert advice in str(error.value)


def test_a_pipeline_that_normalizes_says_so(ann_file: Path) -> None:
    steps = [PIPELINE[0], dict(type='StainNormalize', method='reinhard'), PIPELINE[1]]
    dataset = PointDataset(str(ann_file), pipeline=steps)
    assert stain_of(dataset) == {**build_normalizer('reinhard').describe(), 'fit': 'patch'}
    assert prepare_dataset(dataset, {'stain_reference': stain_of(dataset)}) is None


def test_crops_are_measured_over_their_images(ann_file: Path) -> None:
    dataset = FigureCropDataset(
        str(ann_file), crop_px=32, background=1, pipeline=[dict(type='PackPointSample')], seed=0
    )
    raw = pixels(dataset, 0)
    prepare_dataset(dataset, {'stain_reference': MACENKO})
    assert dataset.get_data_info(0)['source_image'] == 'a1'
    normalizer = build_normalizer('macenko')
    fit = normalizer.fit_tiles([image_of(0), image_of(1)])
    np.testing.assert_array_equal(pixels(dataset, 0), normalizer.apply(raw, fit))


def test_another_resolution_is_refused(tmp_path: Path) -> None:
    dataset = PointDataset(str(write(tmp_path, None, mpp=0.5)), pipeline=PIPELINE)
    with pytest.raises(AnnotationError, match=r'images of 0.5 um/px and the model needs 0.25.*--mpp 0.25'):
        prepare_dataset(dataset, {'mpp': 0.25})
    assert prepare_dataset(dataset, {'mpp': 0.502}) is None
    assert resolution_of(dataset) == 0.5


def test_a_data_set_that_cannot_be_normalized_is_refused() -> None:
    class Bare:
        def __len__(self) -> int:
            return 0

    with pytest.raises(AnnotationError, match='a Bare names no image files'):
        prepare_dataset(Bare(), {'stain_reference': MACENKO})
