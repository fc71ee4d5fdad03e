"""Labels follow the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mitouts.datasets.tissue_dataset import code_table
from mitouts.errors import ConfigError, ImageError
from mitouts.functional.segmentation import IGNORE_INDEX
from mitouts.imaging.label_image import write_labels
from mitouts.structures import TissueSample
from mitouts.transforms import AugmentTissue, LoadLabels, PackTissueSample, RandomTissueCrop, ResampleTissue

LEVELS = np.array([40, 120, 220], np.uint8)


def results(height: int = 60, width: int = 60, seed: int = 3, mpp: float = 0.5) -> dict:
    """An image whose grey level tells its label: blocks of three levels."""
    blocks = np.random.default_rng(0).integers(0, 3, (-(-height // 10), -(-width // 10)), dtype=np.uint8)
    labels = np.kron(blocks, np.ones((10, 10), np.uint8))[:height, :width]
    image = np.repeat(LEVELS[labels][..., None], 3, axis=2)
    return {
        'img': image,
        'gt_labels': labels,
        'augmentation_seed': seed,
        'mpp': mpp,
        'img_id': 4,
        'img_path': 'a.png',
        'case_id': 'c',
    }


def agreement(out: dict) -> float:
    """Share of the labelled pixels whose grey level belongs to their label."""
    image, labels = out['img'][..., 0].astype(int), out['gt_labels']
    nearest = np.abs(image[..., None] - LEVELS.astype(int)).argmin(axis=2)
    judged = labels != IGNORE_INDEX
    return float((nearest == labels)[judged].mean())


@pytest.mark.parametrize(('recipe', 'least'), [('alpha', 0.93), ('beta', 0.9), ('elastic', 0.9)])
def test_labels_follow_the_augmentation(recipe, least) -> None:
    augment = AugmentTissue(recipe)
    changed = 0
    for seed in range(12):
        before = results(seed=seed)
        out = augment(results(seed=seed))
        assert out['img'].shape == before['img'].shape
        assert set(np.unique(out['gt_labels'])) <= {0, 1, 2}
        assert agreement(out) > least
        changed += not np.array_equal(out['gt_labels'], before['gt_labels'])
    assert changed >= 8


def test_flips_and_transpositions_are_exact() -> None:
    symmetries = [
        np.rot90(base, turns) for base in (results()['gt_labels'], results()['gt_labels'].T) for turns in range(4)
    ]
    augment = AugmentTissue('alpha')
    augment.compose = augment.compose_oblong.__class__(augment.compose.transforms[:3], seed=0)
    for seed in range(10):
        out = augment(results(seed=seed))
        assert agreement(out) == 1
        assert any(np.array_equal(out['gt_labels'], each) for each in symmetries)


def test_the_draw_is_a_function_of_the_seed() -> None:
    augment = AugmentTissue('beta')
    first, _, again = (augment(results(seed=seed)) for seed in (1, 2, 1))
    np.testing.assert_array_equal(first['img'], again['img'])
    np.testing.assert_array_equal(first['gt_labels'], again['gt_labels'])


def test_oblong_images_keep_their_size() -> None:
    augment = AugmentTissue('alpha')
    for seed in range(6):
        assert augment(results(40, 70, seed))['gt_labels'].shape == (40, 70)


@pytest.mark.parametrize('mpp', [0.25, 0.5])
def test_a_crop_has_its_size_at_its_resolution(mpp) -> None:
    out = RandomTissueCrop(20, 0.5)(results(mpp=mpp))
    assert out['img'].shape == (20, 20, 3)
    assert out['gt_labels'].shape == (20, 20)
    assert out['mpp'] == 0.5
    # Where the square begins amid a pixel of the coarser grid, levels mix at the borders of the blocks.
    assert agreement(out) >= (1 if mpp == 0.5 else 0.8)


def test_a_crop_without_resampling_is_a_part_of_the_image() -> None:
    source = results()
    out = RandomTissueCrop(16, 0.5)(results())
    windows = np.lib.stride_tricks.sliding_window_view(source['gt_labels'], (16, 16))
    assert (windows == out['gt_labels']).all(axis=(2, 3)).any()


def test_crops_differ_by_seed_and_repeat() -> None:
    crops = [RandomTissueCrop(16, 0.5)(results(seed=seed))['img'].tobytes() for seed in (0, 1, 2, 0)]
    assert len(set(crops[:3])) > 1
    assert crops[0] == crops[3]


def test_a_crop_looks_for_labels() -> None:
    for seed in range(10):
        data = results(seed=seed)
        data['gt_labels'][:, 20:] = IGNORE_INDEX
        out = RandomTissueCrop(20, 0.5, min_labelled=0.1)(data)
        assert (out['gt_labels'] != IGNORE_INDEX).any()


def test_nothing_labelled_still_gives_a_crop() -> None:
    data = results()
    data['gt_labels'][:] = IGNORE_INDEX
    assert RandomTissueCrop(20, 0.5)(data)['gt_labels'].shape == (20, 20)


def test_a_small_image_is_mirrored_and_not_labelled_beyond_its_border() -> None:
    out = RandomTissueCrop(64, 0.5)(results(60, 50))
    assert out['img'].shape == (64, 64, 3)
    assert (out['gt_labels'][60:] == IGNORE_INDEX).all()
    assert (out['gt_labels'][:, 50:] == IGNORE_INDEX).all()
    np.testing.assert_array_equal(out['img'][:60, 50], out['img'][:60, 49])


def test_resampling_keeps_image_and_labels_together() -> None:
    out = ResampleTissue(0.5)(results(60, 80, mpp=0.25))
    # Blocks of 10 px become blocks of 5 px.
    np.testing.assert_array_equal(out['gt_labels'], results(60, 80)['gt_labels'][::2, ::2])
    assert agreement(out) == 1
    assert out['mpp'] == 0.5


def test_the_same_resolution_changes_nothing() -> None:
    out = ResampleTissue(0.5)(results(mpp=0.501))
    np.testing.assert_array_equal(out['img'], results()['img'])


@pytest.mark.parametrize('transform', [ResampleTissue(0.5), RandomTissueCrop(16, 0.5)])
def test_detail_is_not_invented(transform) -> None:
    with pytest.raises(ImageError, match=r'1\.0 um/px and 0\.5 are wanted'):
        transform(results(mpp=1.0))


def load_labels(tmp_path: Path, codes: NDArray[np.uint8], **more) -> dict:
    write_labels(tmp_path / 'm.png', codes)
    table = code_table(['tumour', 'other'], dict(tumour=[1, 20], other=[3]), [0])
    height, width = codes.shape
    return LoadLabels()(
        {'mask_path': str(tmp_path / 'm.png'), 'code_table': table, 'width': width, 'height': height, **more}
    )


def test_codes_become_classes(tmp_path) -> None:
    out = load_labels(tmp_path, np.array([[0, 1, 20], [3, 3, 1]], np.uint8))
    assert out['gt_labels'].tolist() == [[IGNORE_INDEX, 0, 0], [1, 1, 0]]


def test_an_unknown_code_names_itself_and_the_file(tmp_path) -> None:
    with pytest.raises(ImageError, match=r'm\.png holds codes .*\(7, 9\): add them to label_map or to ignore_codes'):
        load_labels(tmp_path, np.array([[1, 7, 9]], np.uint8))


def test_a_label_image_of_another_size(tmp_path) -> None:
    with pytest.raises(ImageError, match=r'is 3 x 1 px, but its image is 5 x 1'):
        load_labels(tmp_path, np.ones((1, 3), np.uint8), width=5)


def test_packing() -> None:
    packed = PackTissueSample()(results(8, 9))
    sample = packed['data_samples']
    assert isinstance(sample, TissueSample)
    assert packed['inputs'].shape == (3, 8, 9)
    assert sample.gt_labels.shape == (8, 9)
    assert (sample.img_id, sample.case_id, sample.mpp, sample.ori_shape) == (4, 'c', 0.5, (8, 9))


@pytest.mark.parametrize(
    'build',
    [
        lambda: RandomTissueCrop(0, 0.5),
        lambda: RandomTissueCrop(8, 0),
        lambda: RandomTissueCrop(8, 0.5, min_labelled=2),
        lambda: ResampleTissue(float('nan')),
        lambda: AugmentTissue('gamma'),
    ],
)
def test_arguments_that_make_no_sense(build) -> None:
    with pytest.raises(ConfigError):
        build()
