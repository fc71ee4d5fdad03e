"""From a source set to one annotation document."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from mitouts.converters.document import count_by_split, to_document
from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import read_coco, write_json
from mitouts.formats.source import (
    SourceFigure,
    SourceImage,
    SourceSet,
)

IMAGES = [
    SourceImage('a/001.tiff', '001', 100, 80, mpp=0.25, image_id=7, extra={'scanner': 'X'}),
    SourceImage('a/041.tiff', '041', 60, 90, image_id=3),
    SourceImage('a/046.tiff', '046', 60, 90, image_id=9),
]


FIGURES = [
    SourceFigure('a/041.tiff', 5, 6, 2),
    SourceFigure('a/001.tiff', 10.5, 20, 1, {'source_uid': 'u1', 'votes': [1, 1, 2]}),
    SourceFigure('a/001.tiff', 30, 40, 1),
]


def _source(**changes: Any) -> SourceSet:
    source = SourceSet('Set', 'midog21', list(IMAGES), list(FIGURES), ['found out'])
    return dataclasses.replace(source, **changes)


def _document(source: SourceSet | None = None, **arguments: Any) -> dict[str, Any]:
    return to_document(source or _source(), tool='tool', arguments={'src': 'x'}, **arguments)


def _notes(document: dict[str, Any]) -> list[str]:
    return document['info']['mitouts']['notes']


def _write_images(root: Path, *names: str, width: int = 60, height: int = 90) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.memmap(root / name, shape=(height, width, 3), dtype='uint8', photometric='rgb')


def test_everything_arrives_and_is_read_back(tmp_path: Path) -> None:
    document = _document()
    assert document['images'] == [
        {
            'id': 7,
            'file_name': 'a/001.tiff',
            'width': 100,
            'height': 80,
            'case_id': '001',
            'mpp': 0.25,
            'scanner': 'X',
            'split': 'train',
        },
        {'id': 3, 'file_name': 'a/041.tiff', 'width': 60, 'height': 90, 'case_id': '041', 'mpp': None, 'split': 'val'},
        {'id': 9, 'file_name': 'a/046.tiff', 'width': 60, 'height': 90, 'case_id': '046', 'mpp': None, 'split': 'test'},
    ]
    assert [(a['id'], a['image_id'], a['category_id'], a['point']) for a in document['annotations']] == [
        (1, 7, 1, [10.5, 20]),
        (2, 7, 1, [30, 40]),
        (3, 3, 2, [5, 6]),
    ]
    assert document['annotations'][0]['votes'] == [1, 1, 2]
    assert document['annotations'][0]['bbox'] == [-14.5, -5, 50, 50]
    write_json(tmp_path / 'ann.json', document)
    assert read_coco(tmp_path / 'ann.json') == document


def test_the_document_says_how_it_was_made() -> None:
    info = _document()['info']['mitouts']
    assert (info['name'], info['tool'], info['arguments']) == ('Set', 'tool', {'src': 'x'})
    assert info['notes'] == [
        'found out',
        '2 of 3 images have no known resolution (mpp): give --mpp if you know it',
        'splits: paper (UTS paper)',
    ]


def test_image_ids_are_kept_or_made() -> None:
    unnumbered = [dataclasses.replace(image, image_id=None) for image in IMAGES]
    assert [image['id'] for image in _document(_source(images=unnumbered))['images']] == [1, 2, 3]
    mixed = [IMAGES[0], *unnumbered[1:]]
    assert [image['id'] for image in _document(_source(images=mixed))['images']] == [7, 8, 9]
    repeated = [dataclasses.replace(image, image_id=4) for image in IMAGES]
    assert [image['id'] for image in _document(_source(images=repeated))['images']] == [1, 2, 3]


def test_annotation_ids_are_kept_or_made() -> None:
    numbered = [dataclasses.replace(figure, annotation_id=number) for figure, number in zip(FIGURES, (5, 2, None))]
    assert [a['id'] for a in _document(_source(figures=numbered))['annotations']] == [2, 6, 5]
    repeated = [dataclasses.replace(figure, annotation_id=5) for figure in FIGURES]
    assert [a['id'] for a in _document(_source(figures=repeated))['annotations']] == [1, 2, 3]


def test_unknown_sizes_reach_as_far_as_the_points() -> None:
    images = [SourceImage('001', '001'), SourceImage('002', '002'), SourceImage('003', '003', width=50)]
    document = _document(
        _source(images=images, figures=[SourceFigure('001', 10.2, 20, 1), SourceFigure('003', 9, 8, 1)])
    )
    assert [(i['file_name'], i['width'], i['height'], i['size_known']) for i in document['images']] == [
        ('001.tif', 12, 21, False),
        ('002.tif', 1, 1, False),
        ('003.tif', 50, 9, False),
    ]
    assert any(note.startswith('3 of 3 images have no size in the label file') for note in _notes(document))


def test_points_outside_are_kept_and_named(tmp_path: Path) -> None:
    outside = [SourceFigure('a/001.tiff', 99.6, 5, 1, {'source_uid': 'far'}), SourceFigure('a/001.tiff', 5, -0.6, 1)]
    document = _document(_source(figures=[*FIGURES, *outside]))
    assert len(document['annotations']) == 5
    assert any(note.startswith('2 of 5 points lie outside their image (far, 4)') for note in _notes(document))
    write_json(tmp_path / 'ann.json', document)
    with pytest.warns(AnnotationWarning, match='lies outside image 7'):
        assert len(read_coco(tmp_path / 'ann.json')['annotations']) == 3


def test_points_on_the_outer_edges_are_inside() -> None:
    figures = [SourceFigure('a/001.tiff', x, y, 1) for x, y in ((-0.5, -0.5), (99.5, 79.5))]
    assert not any('outside' in note for note in _notes(_document(_source(figures=figures))))


def test_sizes_come_from_the_images(tmp_path: Path) -> None:
    source = _source(images=[SourceImage('a/041', '041', mpp=0.3)], figures=[SourceFigure('a/041', 5, 6, 1)])
    _write_images(tmp_path / 'images', 'a/041.TIF')
    document = _document(source, image_root=tmp_path / 'images', out=tmp_path / 'deep' / 'ann.json')
    (image,) = document['images']
    assert (image['file_name'], image['width'], image['height'], image['mpp']) == ('a/041.TIF', 60, 90, 0.3)
    assert 'size_known' not in image
    assert document['info']['mitouts']['image_root'] == '../images'


@pytest.mark.parametrize('resolution', [None, 20_000.0])
def test_resolution_of_user_then_image_then_publication(tmp_path: Path, resolution: float | None) -> None:
    _write_images(tmp_path, 'a/041.tiff')
    if resolution is not None:
        tifffile.imwrite(
            tmp_path / 'a/041.tiff',
            shape=(90, 60, 3),
            dtype='uint8',
            photometric='rgb',
            resolution=(resolution, resolution),
            resolutionunit='CENTIMETER',
        )
    source = _source(images=[dataclasses.replace(IMAGES[1], mpp=0.3)], figures=[])
    (image,) = _document(source, image_root=tmp_path)['images']
    assert image['mpp'] == pytest.approx(0.3 if resolution is None else 0.5)
    (image,) = _document(source, image_root=tmp_path, mpp=0.7)['images']
    assert image['mpp'] == 0.7


def test_image_of_another_size_is_refused(tmp_path: Path) -> None:
    _write_images(tmp_path, 'a/041.tiff', width=61)
    with pytest.raises(AnnotationError, match=r'041\.tiff: is 61 x 90 px, the label file says 60 x 90'):
        _document(_source(images=IMAGES[1:2], figures=[]), image_root=tmp_path)


def test_missing_images_are_an_error_or_left_out_with_their_figures(tmp_path: Path) -> None:
    _write_images(tmp_path, 'a/041.tiff')
    with pytest.raises(
        AnnotationError, match=r'2 of 3 images are missing \(a/001\.tiff, a/046\.tiff\).*--skip-missing'
    ):
        _document(image_root=tmp_path)
    document = _document(image_root=tmp_path, skip_missing=True)
    assert [image['id'] for image in document['images']] == [3]
    assert [a['image_id'] for a in document['annotations']] == [3]
    assert 'left out 2 of 3 images that are not there, the first is a/001.tiff' in _notes(document)


def test_nothing_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match='3 of 3 images are missing'):
        _document(image_root=tmp_path, skip_missing=True)
    with pytest.raises(AnnotationError, match='no such folder; --image-root'):
        _document(image_root=tmp_path / 'nowhere')
    with pytest.raises(AnnotationError, match='Set: holds no image'):
        _document(_source(images=[], figures=[]))


def test_names_of_one_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r'the image a/001\.tiff occurs twice'):
        _document(_source(images=[IMAGES[0], IMAGES[0]]))
    twins = [SourceImage('041', '041'), SourceImage('041.tif', '041')]
    with pytest.raises(AnnotationError, match=r'041 and 041\.tif are both the file 041\.tif'):
        _document(_source(images=twins, figures=[]))
    _write_images(tmp_path, '041.png.tiff', '041.tiff')
    with pytest.raises(AnnotationError, match=r'041 and 041\.tif are both the file 041\.tiff'):
        _document(_source(images=twins, figures=[]), image_root=tmp_path)


def test_images_that_a_split_file_ignores_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / 'split.csv'
    path.write_text('case_id,split\n001,train\n041,ignore\n046,test\n')
    document = _document(split=path)
    assert [image['case_id'] for image in document['images']] == ['001', '046']
    assert len(document['annotations']) == 2
    assert 'left out 1 of 3 images because the split file says so' in _notes(document)
    path.write_text('case_id,split\n001,ignore\n041,ignore\n046,ignore\n')
    with pytest.raises(AnnotationError, match='no image is left of 3'):
        _document(split=path)


def test_without_split() -> None:
    document = _document(split='none')
    assert all('split' not in image for image in document['images'])
    assert not any(note.startswith('splits') for note in _notes(document))
    assert list(count_by_split(document)) == ['no split', 'all']


def test_counts_by_split() -> None:
    document = _document()
    document['annotations'].append({**document['annotations'][0], 'id': 9, 'iscrowd': 1})
    assert count_by_split(document) == {
        'train': {'images': 1, 'cases': 1, 'mitotic figure': 2, 'hard negative': 0},
        'val': {'images': 1, 'cases': 1, 'mitotic figure': 0, 'hard negative': 1},
        'test': {'images': 1, 'cases': 1, 'mitotic figure': 0, 'hard negative': 0},
        'all': {'images': 3, 'cases': 3, 'mitotic figure': 2, 'hard negative': 1},
    }


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.floats(-1e7, 1e7), st.floats(-1e7, 1e7), st.sampled_from([1, 2])), max_size=20
    )
)
def test_no_figure_is_lost_or_moved(figures: list[tuple[int, float, float, int]]) -> None:
    source = _source(figures=[SourceFigure(IMAGES[k].file_name, x, y, category) for k, x, y, category in figures])
    document = json.loads(json.dumps(_document(source)))
    number = {image['id']: IMAGES[k].file_name for k, image in enumerate(document['images'])}
    found = sorted((number[a['image_id']], *a['point'], a['category_id']) for a in document['annotations'])
    assert found == sorted((f.file_name, f.x, f.y, f.category_id) for f in source.figures)
    assert len({a['id'] for a in document['annotations']}) == len(figures)


def _cases(document: dict[str, Any]) -> dict[str, str]:
    return {image['file_name']: image['case_id'] for image in document['images']}


def test_a_table_says_which_case_an_image_is_of(tmp_path: Path) -> None:
    table = tmp_path / 'cases.csv'
    table.write_text('file_name,case_id\na/001.tiff,P1\na/041.tiff,P2\na/046.tiff,P1\n')
    images = [dataclasses.replace(image, extra={'case_known': False}) for image in IMAGES]
    document = _document(_source(images=images), cases=table, split='none')
    assert _cases(document) == {'a/001.tiff': 'P1', 'a/041.tiff': 'P2', 'a/046.tiff': 'P1'}
    assert not any('case_known' in image for image in document['images'])
    assert '2 cases of 3 images, as cases.csv says' in _notes(document)
    assert count_by_split(document)['all']['cases'] == 2


def test_cases_that_nobody_named_are_said() -> None:
    images = [dataclasses.replace(image, extra={'case_known': False}) for image in IMAGES]
    (note,) = [note for note in _notes(_document(_source(images=images))) if '--cases TABLE' in note]
    assert note.startswith('3 of 3 images are taken for a case each')


def test_a_split_table_of_files_sets_their_cases(tmp_path: Path) -> None:
    table = tmp_path / 'split.csv'
    table.write_text('file_name,case_id,split\n001.tiff,P1,train\n041.tiff,P2,val\n046.tiff,P1,train\n')
    document = _document(split=table)
    assert _cases(document) == {'a/001.tiff': 'P1', 'a/041.tiff': 'P2', 'a/046.tiff': 'P1'}
    assert [image['split'] for image in document['images']] == ['train', 'val', 'train']
    table.write_text('file_name,case_id,split\n001.tiff,P1,train\n041.tiff,P2,val\n046.tiff,P1,test\n')
    with pytest.raises(AnnotationError, match=r'case P1 is in train \(a/001.tiff\) and in test \(a/046.tiff\)'):
        _document(split=table)


def test_a_published_partition_goes_by_its_own_cases_and_divides_none_of_yours(tmp_path: Path) -> None:
    table = tmp_path / 'cases.csv'
    table.write_text('file_name,case_id\n001.tiff,P1\n041.tiff,P2\n046.tiff,P3\n')
    document = _document(cases=table)
    assert [image['split'] for image in document['images']] == ['train', 'val', 'test']
    table.write_text('file_name,case_id\n001.tiff,P1\n041.tiff,P2\n046.tiff,P1\n')
    with pytest.raises(AnnotationError, match='paper: case P1 is in train'):
        _document(cases=table)


def test_an_image_may_differ_a_little_where_its_labels_state_no_size(tmp_path: Path) -> None:
    _write_images(tmp_path, 'a.tif', width=59)
    image = SourceImage('a.tif', 'A', 60, 90, size_from='frames have', size_tolerance_px=2)
    document = _document(SourceSet('S', 'other', [image], []), image_root=tmp_path)
    assert (document['images'][0]['width'], document['images'][0]['height']) == (59, 90)
    _write_images(tmp_path, 'a.tif', width=57)
    with pytest.raises(AnnotationError, match=r'a\.tif: is 57 x 90 px, frames have 60 x 90'):
        _document(SourceSet('S', 'other', [image], []), image_root=tmp_path)


def test_points_just_outside_are_moved_onto_the_edge_where_a_set_has_such(tmp_path: Path) -> None:
    image = SourceImage('a.tif', 'A', 60, 90)
    figures = [SourceFigure('a.tif', *xy, 1) for xy in [(60, 5), (5, -1), (59.4, 5), (61.5, 5), (62, 5)]]
    document = _document(SourceSet('S', 'other', [image], figures, edge_px=1.0))
    found = [annotation['point'] for annotation in document['annotations']]
    assert found == [[59, 5], [5, 0], [59.4, 5], [61.5, 5], [62, 5]]
    assert document['annotations'][0]['bbox'] == [34, -20, 50, 50]
    assert sum('lies just outside' in note for note in _notes(document)) == 2
    plain = _document(SourceSet('S', 'other', [image], figures))
    assert [annotation['point'][0] for annotation in plain['annotations']] == [60, 5, 59.4, 61.5, 62]
