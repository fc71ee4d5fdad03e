"""Patches on disk: their pixels, their annotations, and runs that are killed or repeated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from mitouts.datasets import PointDataset
from mitouts.errors import AnnotationError, AnnotationWarning, ImageError, MitoutsError
from mitouts.formats.coco import (
    HARD_NEGATIVE,
    MITOTIC_FIGURE,
    make_annotation,
    make_document,
    make_image,
    read_coco,
    write_json,
)
from mitouts.imaging.image import read_rgb
from mitouts.patches import prepare as prepare_module
from mitouts.patches.images import Options
from mitouts.patches.prepare import Summary, prepare
from mitouts.stain import build_normalizer

SMALL = Options(patch_px=100, stride_px=100)
FIGURES = [(1, 50, 60, MITOTIC_FIGURE), (1, 205, 99.5, MITOTIC_FIGURE), (1, 101, 40, HARD_NEGATIVE)]
FIGURES += [(2, 10.5, 20.25, MITOTIC_FIGURE)]


def _tissue(width: int, height: int, seed: int) -> np.ndarray:
    """Random pixels of two stains, so that every patch can be normalized."""
    rng = np.random.default_rng(seed)
    concentrations = rng.gamma(2.0, 0.35, (height, width, 2))
    stains = np.array([[0.65, 0.70, 0.29], [0.15, 0.95, 0.20]])
    return np.clip(255 * np.exp(-concentrations @ stains), 0, 255).astype(np.uint8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two images, ``a/1.tif`` of 250 x 120 px in train and ``2.tif`` of 100 x 100 px in test, with four figures."""
    folder = tmp_path / 'images'
    (folder / 'a').mkdir(parents=True)
    tifffile.imwrite(folder / 'a' / '1.tif', _tissue(250, 120, 1), photometric='rgb', rowsperstrip=16)
    tifffile.imwrite(folder / '2.tif', _tissue(100, 100, 2), photometric='rgb')
    images = [
        make_image(1, 'a/1.tif', 250, 120, case_id='A', mpp=0.25, split='train', scanner='S'),
        make_image(2, '2.tif', 100, 100, case_id='B', mpp=0.25, split='test'),
    ]
    annotations = [
        make_annotation(n, image_id, category, x, y, source_uid=f'u{n}')
        for n, (image_id, x, y, category) in enumerate(FIGURES, start=1)
    ]
    path = tmp_path / 'ann.json'
    write_json(path, make_document(images, annotations, name='tiny', tool='test', image_root='images'))
    return path


def _run(source: Path, out: Path, options: Options = SMALL, stain: str = 'none', **more: Any) -> Summary | None:
    return prepare(source, None, out, options, build_normalizer(stain), **more)


def _edit(source: Path, change: Any) -> None:
    document = json.loads(source.read_text())
    change(document)
    write_json(source, document)


def test_patches_are_the_pixels_of_their_place(source: Path, tmp_path: Path) -> None:
    summary = _run(source, tmp_path / 'out')
    assert summary is not None
    assert (summary.patches, summary.figures, summary.lost, summary.skipped) == (7, 4, 0, 0)
    whole = tifffile.imread(tmp_path / 'images' / 'a' / '1.tif')
    train = read_coco(tmp_path / 'out' / 'train.json')
    assert [image['source_xy_px'] for image in train['images']] == [
        [0, 0], [100, 0], [150, 0], [0, 20], [100, 20], [150, 20],
    ]  # fmt: skip
    for image in train['images']:
        x, y = image['source_xy_px']
        assert image['file_name'] == f'images/a/1/{x:06d}_{y:06d}.png'
        np.testing.assert_array_equal(
            read_rgb(tmp_path / 'out' / image['file_name'], (100, 100)), whole[y : y + 100, x : x + 100]
        )
        assert (image['case_id'], image['mpp'], image['scanner'], image['split']) == ('A', 0.25, 'S', 'train')


def test_each_figure_is_counted_in_one_patch_and_marked_in_the_others(source: Path, tmp_path: Path) -> None:
    _run(source, tmp_path / 'out')
    train = read_coco(tmp_path / 'out' / 'train.json')
    place = {image['id']: tuple(image['source_xy_px']) for image in train['images']}
    counted = {entry['source_uid']: entry for entry in train['annotations'] if not entry['iscrowd']}
    assert {uid: place[entry['image_id']] for uid, entry in counted.items()} == {
        'u1': (0, 20),
        'u2': (150, 20),
        'u3': (100, 0),
    }
    assert counted['u2']['point'] == [55, 79.5]
    assert counted['u3']['category_id'] == HARD_NEGATIVE
    marked = {
        (entry['source_uid'], place[entry['image_id']], entry.get('cut', False))
        for entry in train['annotations']
        if entry['iscrowd']
    }
    assert ('u2', (150, 0), False) in marked
    assert ('u2', (100, 0), True) in marked
    assert ('u3', (0, 0), True) in marked
    dataset = PointDataset(str(tmp_path / 'out' / 'train.json'))
    # Every patch shows a mitotic figure or a part of one; only those with a part alone are left out.
    assert [dataset[index]['img_id'] for index in range(len(dataset))] == [1, 3, 4, 6]
    assert dataset.labels().tolist() == [1, 1, 1, 1]


def _label_only(document: dict[str, Any]) -> None:
    document['annotations'] = []
    document['images'][0]['label'], document['images'][1]['label'] = 0, 1


def test_a_label_is_that_of_the_whole_image_and_of_the_parts_of_a_negative_one(source: Path, tmp_path: Path) -> None:
    _edit(source, _label_only)
    _run(source, tmp_path / 'out')
    parts, whole = (read_coco(tmp_path / 'out' / f'{split}.json')['images'] for split in ('train', 'test'))
    assert [image['label'] for image in whole] == [1]
    assert len(parts) == 6
    assert not any('label' in image for image in parts)
    assert set(PointDataset(str(tmp_path / 'out' / 'train.json')).labels().tolist()) == {0}


def test_parts_of_a_positive_image_without_points_are_not_called_negative(source: Path, tmp_path: Path) -> None:
    def both_positive(document: dict[str, Any]) -> None:
        _label_only(document)
        document['images'][0]['label'] = 1
        for image in document['images']:
            del image['split']

    _edit(source, both_positive)
    with pytest.warns(AnnotationWarning, match=r'1 of 2 images are left out, the first is a/1\.tif'):
        _run(source, tmp_path / 'out')
    (image,) = read_coco(tmp_path / 'out' / 'all.json')['images']
    assert (image['source_image'], image['label']) == ('2.tif', 1)
    with pytest.raises(AnnotationError, match='all 2 images are labelled positive without an annotated point'):
        _run(source, tmp_path / 'small', replace(SMALL, patch_px=50, stride_px=50))


@pytest.mark.parametrize('split', [3, True, ['train']])
def test_a_split_that_is_no_text_is_refused(source: Path, tmp_path: Path, split: Any) -> None:
    _edit(source, lambda document: document['images'][0].update(split=split))
    with pytest.raises(AnnotationError, match=r'split must be one of train, val, test, found (3|True|\[.train.\])'):
        _run(source, tmp_path / 'out')


def test_patches_of_patches_say_which_patch_they_were_cut_from(source: Path, tmp_path: Path) -> None:
    def as_patches(document: dict[str, Any]) -> None:
        for image in document['images']:
            image.update(source_image='slide.svs', source_xy_px=[5, 6], source_downsample=2.0)

    _edit(source, as_patches)
    _run(source, tmp_path / 'out')
    names = {image['file_name'] for image in json.loads(source.read_text())['images']}
    patches = [image for path in (tmp_path / 'out').glob('*.json') for image in json.loads(path.read_text())['images']]
    assert {image['source_image'] for image in patches} == names
    assert all(image['source_downsample'] == 1 for image in patches)


def test_splits_go_to_files_of_their_own_and_images_without_a_split_to_one(source: Path, tmp_path: Path) -> None:
    summary = _run(source, tmp_path / 'out')
    assert summary is not None
    assert {split: path.name for split, path in summary.files.items()} == {'train': 'train.json', 'test': 'test.json'}
    _edit(source, lambda document: [image.pop('split') for image in document['images']])
    summary = _run(source, tmp_path / 'other')
    assert summary is not None
    assert list(summary.files) == ['all']


def test_stain_is_fitted_on_each_patch_or_once_an_image(source: Path, tmp_path: Path) -> None:
    normalizer = build_normalizer('macenko')
    assert normalizer is not None
    _run(source, tmp_path / 'patch', replace(SMALL, fit='patch'), 'macenko')
    _run(source, tmp_path / 'image', replace(SMALL, fit='image'), 'macenko')
    whole = tifffile.imread(tmp_path / 'images' / '2.tif')
    name = 'images/2/000000_000000.png'
    np.testing.assert_array_equal(read_rgb(tmp_path / 'patch' / name), normalizer.normalize(whole)[0])
    fit = normalizer.fit_tiles([whole])
    assert fit is not None
    np.testing.assert_array_equal(read_rgb(tmp_path / 'image' / name), normalizer.apply(whole, fit))
    reference = read_coco(tmp_path / 'image' / 'test.json')['info']['mitouts']['stain_reference']
    assert reference == {**json.loads(json.dumps(normalizer.describe())), 'fit': 'image'}


def test_stain_is_fitted_once_a_case_over_all_its_images(source: Path, tmp_path: Path) -> None:
    def of_one_case(document: dict[str, Any]) -> None:
        for image in document['images']:
            image['case_id'] = 'A'

    _edit(source, of_one_case)
    _run(source, tmp_path / 'out', replace(SMALL, fit='case'), 'macenko')
    normalizer = build_normalizer('macenko')
    assert normalizer is not None
    wide, small = (tifffile.imread(tmp_path / 'images' / name) for name in ('a/1.tif', '2.tif'))
    # 250 x 120 px are measured on one tile of that height a place.
    fit = normalizer.fit_tiles([wide, small])
    assert fit is not None
    name = 'images/2/000000_000000.png'
    np.testing.assert_array_equal(read_rgb(tmp_path / 'out' / name), normalizer.apply(small, fit))
    assert read_coco(tmp_path / 'out' / 'test.json')['info']['mitouts']['stain_reference']['fit'] == 'case'


@pytest.mark.parametrize('fit', ['image', 'case', 'patch'])
def test_what_cannot_be_normalized_stays_and_is_counted(source: Path, tmp_path: Path, fit: str) -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    tifffile.imwrite(tmp_path / 'images' / '2.tif', white, photometric='rgb')
    summary = _run(source, tmp_path / 'out', replace(SMALL, fit=fit), 'macenko')
    assert summary is not None
    assert summary.unchanged == 1
    np.testing.assert_array_equal(read_rgb(tmp_path / 'out' / 'images/2/000000_000000.png'), white)


def test_background_is_skipped_unless_it_shows_a_figure(source: Path, tmp_path: Path) -> None:
    image = tifffile.imread(tmp_path / 'images' / 'a' / '1.tif')
    image[:, 100:] = 255
    tifffile.imwrite(tmp_path / 'images' / 'a' / '1.tif', image, photometric='rgb')
    _edit(source, lambda document: document['annotations'].pop(2))
    summary = _run(source, tmp_path / 'out', replace(SMALL, min_tissue=0.2))
    assert summary is not None
    assert summary.skipped == 0
    _edit(source, lambda document: document['annotations'].pop(1))
    summary = _run(source, tmp_path / 'other', replace(SMALL, min_tissue=0.2))
    assert summary is not None
    assert (summary.patches, summary.skipped) == (3, 4)
    assert not (tmp_path / 'other' / 'images/a/1/000100_000000.png').exists()


def test_glass_of_a_pyramid_is_ruled_out_by_its_thumbnail(source: Path, tmp_path: Path) -> None:
    image = np.full((1200, 2000, 3), 240, np.uint8)
    image[:300, :300] = _tissue(300, 300, 3)
    with tifffile.TiffWriter(tmp_path / 'images' / 'a' / '1.tif') as tif:
        tif.write(image, photometric='rgb', tile=(128, 128), subifds=1)
        tif.write(image[::4, ::4], photometric='rgb', tile=(128, 128), subfiletype=1)
    _edit(source, lambda document: document['images'][0].update(width=2000, height=1200))
    summary = _run(source, tmp_path / 'out', replace(SMALL, min_tissue=0.2))
    assert summary is not None
    assert (summary.patches, summary.skipped) == (10, 231)


def test_resampling_moves_points_and_pixels_alike(source: Path, tmp_path: Path) -> None:
    _run(source, tmp_path / 'out', Options(patch_px=60, stride_px=60, mpp=0.5))
    test = read_coco(tmp_path / 'out' / 'test.json')
    (image,) = test['images']
    assert (image['mpp'], image['source_downsample'], image['width']) == (0.5, 2, 60)
    assert test['annotations'][0]['point'] == [(10.5 + 0.5) / 2 - 0.5, (20.25 + 0.5) / 2 - 0.5]
    patch = read_rgb(tmp_path / 'out' / image['file_name'])
    whole = tifffile.imread(tmp_path / 'images' / '2.tif').astype(float)
    halved = whole.reshape(50, 2, 50, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(patch[:50, :50], halved, atol=0.51)
    assert (patch[50:] == 255).all()


def test_dropped_edges_are_those_of_the_authors_code(source: Path, tmp_path: Path) -> None:
    summary = _run(source, tmp_path / 'out', replace(SMALL, edges='drop'))
    assert summary is not None
    # Of 250 x 120 px two patches of a row are left, of 100 x 100 px none: x + 100 < 100 does not hold.
    assert (summary.patches, summary.figures, summary.lost) == (2, 2, 2)
    test = json.loads((tmp_path / 'out' / 'test.json').read_text())
    assert test['images'] == []
    assert test['info']['mitouts']['figures_in_no_patch'] == 1


def test_killed_run_goes_on_and_ends_like_an_uninterrupted_one(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(source, tmp_path / 'whole', replace(SMALL, fit='image'), 'macenko')
    write_row = prepare_module.worker.write_row
    rows: list[int] = []

    def dies_in_the_second_row(settings: Any, row: Any) -> Any:
        if rows:
            raise KeyboardInterrupt
        rows.append(row.y)
        return write_row(settings, row)

    monkeypatch.setattr(prepare_module.worker, 'write_row', dies_in_the_second_row)
    with pytest.raises(KeyboardInterrupt):
        _run(source, tmp_path / 'out', replace(SMALL, fit='image'), 'macenko')
    assert not (tmp_path / 'out' / 'train.json').exists()
    first = tmp_path / 'out' / 'images/a/1/000000_000000.png'
    made = first.stat().st_mtime_ns
    journal = tmp_path / 'out' / prepare_module.JOURNAL_NAME
    journal.write_text(journal.read_text() + '{"image_id": 2, "y"')
    monkeypatch.setattr(prepare_module.worker, 'write_row', write_row)
    _run(source, tmp_path / 'out', replace(SMALL, fit='image'), 'macenko')
    assert first.stat().st_mtime_ns == made
    assert _content(tmp_path / 'out') == _content(tmp_path / 'whole')


def test_number_of_processes_does_not_change_the_result(source: Path, tmp_path: Path) -> None:
    _run(source, tmp_path / 'one', SMALL, 'macenko', workers=1)
    _run(source, tmp_path / 'two', SMALL, 'macenko', workers=2)
    assert _content(tmp_path / 'two') == _content(tmp_path / 'one')


def _content(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob('*') if path.is_file()}


def test_complete_output_is_left_alone_and_missing_patches_are_made_again(source: Path, tmp_path: Path) -> None:
    _run(source, tmp_path / 'out')
    before = _content(tmp_path / 'out')
    assert _run(source, tmp_path / 'out') is None
    (tmp_path / 'out' / 'images/2/000000_000000.png').unlink()
    assert _run(source, tmp_path / 'out') is not None
    assert _content(tmp_path / 'out') == before


def test_other_arguments_need_overwrite_and_leave_nothing_behind(source: Path, tmp_path: Path) -> None:
    _run(source, tmp_path / 'out')
    other = replace(SMALL, stride_px=50)
    with pytest.raises(MitoutsError, match=r'other arguments: stride_px 100 \(now 50\); .*--overwrite'):
        _run(source, tmp_path / 'out', other)
    _run(source, tmp_path / 'out', other, overwrite=True)
    _run(source, tmp_path / 'fresh', other)
    assert _content(tmp_path / 'out') == _content(tmp_path / 'fresh')


def test_unfinished_run_with_other_arguments_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    write_row = prepare_module.worker.write_row
    monkeypatch.setattr(prepare_module.worker, 'write_row', dies)
    with pytest.raises(KeyboardInterrupt):
        _run(source, tmp_path / 'out')
    monkeypatch.setattr(prepare_module.worker, 'write_row', write_row)
    with pytest.raises(MitoutsError, match='unfinished run with other arguments'):
        _run(source, tmp_path / 'out', replace(SMALL, patch_px=110))
    assert _run(source, tmp_path / 'out', replace(SMALL, patch_px=110), overwrite=True) is not None


def test_foreign_files_in_the_output_are_not_touched(source: Path, tmp_path: Path) -> None:
    (tmp_path / 'out' / 'images').mkdir(parents=True)
    (tmp_path / 'out' / 'images' / 'mine.png').write_bytes(b'mine')
    with pytest.raises(MitoutsError, match='not of this tool'):
        _run(source, tmp_path / 'out')
    write_json(tmp_path / 'more' / 'train.json', {'info': {}})
    with pytest.raises(MitoutsError, match='not written by prepare_patches'):
        _run(source, tmp_path / 'more', overwrite=True)


def test_file_names_never_lead_out_of_the_output(source: Path, tmp_path: Path) -> None:
    _edit(source, lambda document: document['images'][1].update(file_name='a/../../images/2.tif'))
    _run(source, tmp_path / 'deep' / 'out')
    names = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob('*.png')}
    assert names == {'deep'}


def test_image_of_another_size_is_refused_unless_its_size_was_unknown(source: Path, tmp_path: Path) -> None:
    _edit(source, lambda document: document['images'][1].update(width=60))
    with pytest.raises(AnnotationError, match=r'is 100 x 100 px, its annotation file says 60 x 100'):
        _run(source, tmp_path / 'out')
    _edit(source, lambda document: document['images'][1].update(size_known=False))
    assert _run(source, tmp_path / 'out') is not None


def test_missing_images_and_resolutions_are_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match='level 3'):
        _run(source, tmp_path / 'out', replace(SMALL, level=3))
    _edit(source, lambda document: document['images'][1].update(mpp=None))
    with pytest.raises(ImageError, match=r'2\.tif does not say how many um'):
        _run(source, tmp_path / 'out', replace(SMALL, mpp=0.5))
    (tmp_path / 'images' / '2.tif').unlink()
    with pytest.raises(ImageError, match=r'1 of 2 images .* are missing, the first is 2\.tif'):
        _run(source, tmp_path / 'out')


def test_stain_of_a_slide_with_little_tissue_is_measured_on_the_tissue(source: Path, tmp_path: Path) -> None:
    image = np.full((1200, 2000, 3), 243, np.uint8)
    image[40:180, 60:200] = _tissue(140, 140, 3)
    with tifffile.TiffWriter(tmp_path / 'images' / 'a' / '1.tif') as tif:
        tif.write(image, photometric='rgb', tile=(128, 128), subifds=1)
        tif.write(image[::4, ::4], photometric='rgb', tile=(128, 128), subfiletype=1)
    _edit(source, lambda document: document['images'][0].update(width=2000, height=1200))
    summary = _run(source, tmp_path / 'out', replace(SMALL, fit='image', min_tissue=0.05), 'macenko')
    assert summary is not None
    # None of 25 tiles on an even grid would have met the tissue.
    assert summary.unchanged == 0
    patch = read_rgb(tmp_path / 'out' / 'images/a/1/000100_000100.png')
    assert not np.array_equal(patch, image[100:200, 100:200])


def test_the_output_says_where_the_images_lie_that_it_was_cut_from(source: Path, tmp_path: Path) -> None:
    _run(source, tmp_path / 'deep' / 'out')
    document = read_coco(tmp_path / 'deep' / 'out' / 'train.json')
    root = tmp_path / 'deep' / 'out' / document['info']['mitouts']['source_root']
    assert document['info']['mitouts']['source_root'] == '../../images'
    image = document['images'][1]
    x, y = image['source_xy_px']
    pixels = read_rgb(root / image['source_image'])[y : y + 100, x : x + 100]
    np.testing.assert_array_equal(pixels, read_rgb(tmp_path / 'deep' / 'out' / image['file_name']))


@pytest.mark.parametrize('declared', [True, False])
def test_patches_keep_that_their_images_validate_within_cases(source: Path, tmp_path: Path, declared: bool) -> None:
    if declared:
        _edit(source, lambda document: document['info']['mitouts'].update(within_case_validation=True))
    summary = _run(source, tmp_path / 'out')
    assert summary is not None
    for path in summary.files.values():
        info = read_coco(path)['info']['mitouts']
        assert info.get('within_case_validation') is (True if declared else None)


def test_a_point_error_moves_figures_before_they_are_cut_and_is_recorded(source: Path, tmp_path: Path) -> None:
    plain, moved = tmp_path / 'plain', tmp_path / 'moved'
    options = replace(SMALL, point_error_px=(3.0, 5.0), point_error_seed=7)
    _run(source, plain)
    _run(source, moved, options)
    original = {annotation['id']: annotation for annotation in read_coco(source)['annotations']}
    train = read_coco(moved / 'train.json')
    corners = {image['id']: image['source_xy_px'] for image in train['images']}
    shifted = [each for each in train['annotations'] if 'moved_px' in each and not each.get('cut')]
    assert shifted
    for each in shifted:
        before = original[each['source_id']]['point']
        np.testing.assert_allclose(np.add(each['point'], corners[each['image_id']]), np.add(before, each['moved_px']))
    error = train['info']['mitouts']['point_error']
    assert (error['median_px'], error['p95_px'], error['seed']) == (3, 5, 7)
    assert read_coco(moved / 'test.json')['annotations'] == read_coco(plain / 'test.json')['annotations']
    # What was made without an error is what it was before there were errors.
    assert not [key for key in read_coco(plain / 'train.json')['info']['mitouts']['arguments'] if 'error' in key]
    assert _run(source, moved, options) is None
    with pytest.raises(MitoutsError, match='other arguments'):
        _run(source, moved, replace(options, point_error_seed=8))
