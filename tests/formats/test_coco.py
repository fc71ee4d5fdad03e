"""The annotation format: what is written, what is read back, and what is refused."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import (
    BOX_PX,
    CATEGORIES,
    HARD_NEGATIVE,
    MITOTIC_FIGURE,
    image_root,
    make_annotation,
    make_document,
    make_image,
    read_coco,
    write_json,
)
from mitouts.formats.leakage import check_splits


@pytest.fixture
def document() -> dict[str, Any]:
    images = [
        make_image(7, 'images/a.png', 200, 100, case_id='A', mpp=0.25),
        make_image(8, 'images/b.png', 200, 100, case_id='B', label=1),
    ]
    annotations = [
        make_annotation(1, 7, MITOTIC_FIGURE, 10.5, 20.25, source_uid='x1'),
        make_annotation(2, 8, HARD_NEGATIVE, 199.5, -0.5),
    ]
    return make_document(images, annotations, name='two', tool='test', arguments={'n': 2}, seed=3)


def _write(folder: Path, document: Any) -> Path:
    path = folder / 'annotations.json'
    path.write_text(json.dumps(document))
    return path


def test_document_states_its_origin(document: dict[str, Any]) -> None:
    assert document['info']['mitouts'] == {
        'schema_version': 1,
        'name': 'two',
        'tool': 'test',
        'arguments': {'n': 2},
        'seed': 3,
    }
    assert document['categories'] == [{'id': 1, 'name': 'mitotic figure'}, {'id': 2, 'name': 'hard negative'}]


def test_annotation_has_a_box_centred_on_its_point() -> None:
    assert make_annotation(4, 2, MITOTIC_FIGURE, 100.0, 30.5) == {
        'id': 4,
        'image_id': 2,
        'category_id': 1,
        'point': [100.0, 30.5],
        'bbox': [75.0, 5.5, 50, 50],
        'area': 2500,
        'iscrowd': 0,
    }


def test_written_document_is_read_back_unchanged(tmp_path: Path, document: dict[str, Any]) -> None:
    path = tmp_path / 'deep' / 'er' / 'annotations.json'
    write_json(path, document)
    assert read_coco(path) == document


def test_pycocotools_reads_the_file(tmp_path: Path, document: dict[str, Any]) -> None:
    path = tmp_path / 'annotations.json'
    write_json(path, document)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert coco.getImgIds() == [7, 8]
    assert coco.getAnnIds(imgIds=[7], catIds=[MITOTIC_FIGURE], iscrowd=False) == [1]
    assert coco.getAnnIds(areaRng=[2499, 2501]) == [1, 2]
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == [c['name'] for c in CATEGORIES]


coordinates = st.floats(min_value=-0.5, max_value=499.5, allow_nan=False)
points = st.lists(st.tuples(coordinates, coordinates, st.sampled_from([MITOTIC_FIGURE, HARD_NEGATIVE])), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(per_image=st.lists(points, min_size=1, max_size=4), label=st.sampled_from([None, 0, 1]))
def test_any_document_survives_the_round_trip(tmp_path: Path, per_image: list[Any], label: int | None) -> None:
    extra = {} if label is None else {'label': label}
    images = [make_image(i, f'{i}.png', 500, 500, case_id=f'c{i}', **extra) for i in range(len(per_image))]
    flat = [(i, *point) for i, entries in enumerate(per_image) for point in entries]
    annotations = [make_annotation(n, i, category, x, y) for n, (i, x, y, category) in enumerate(flat)]
    path = tmp_path / 'round.json'
    write_json(path, make_document(images, annotations, name='any', tool='test'))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = read_coco(path)
    assert [(a['image_id'], *a['point'], a['category_id']) for a in found['annotations']] == flat
    assert found['images'] == images
    for annotation in found['annotations']:
        x, y, width, height = annotation['bbox']
        assert (width, height) == (BOX_PX, BOX_PX)
        assert [x + width / 2, y + height / 2] == pytest.approx(annotation['point'], abs=1e-9)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=coordinates, y=coordinates)
def test_point_is_derived_from_the_box_and_back(tmp_path: Path, x: float, y: float) -> None:
    entry = make_annotation(1, 1, MITOTIC_FIGURE, x, y)
    image = make_image(1, 'a.png', 1000, 1000, case_id='a')
    for dropped in ('point', 'bbox'):
        kept = {key: value for key, value in entry.items() if key not in (dropped, 'area', 'iscrowd')}
        if dropped == 'point':
            kept['bbox'] = [kept['bbox'][0] + 1, kept['bbox'][1] + 1, *kept['bbox'][2:]]
        found = read_coco(_write(tmp_path, make_document([image], [kept], name='d', tool='t')))['annotations'][0]
        shift = 1 if dropped == 'point' else 0
        assert found['point'] == pytest.approx([x + shift, y + shift], abs=1e-9)
        assert found['bbox'] == pytest.approx([x + shift - 25, y + shift - 25, 50, 50], abs=1e-9)
        assert (found['area'], found['iscrowd']) == (2500, 0)


def test_box_of_another_size_gives_its_centre(tmp_path: Path, document: dict[str, Any]) -> None:
    document['annotations'] = [{'id': 1, 'image_id': 7, 'category_id': 1, 'bbox': [10, 20, 30, 8]}]
    found = read_coco(_write(tmp_path, document))['annotations'][0]
    assert (found['point'], found['area']) == ([25, 24], 240)


def test_missing_case_is_the_file_and_missing_mpp_is_unknown(tmp_path: Path, document: dict[str, Any]) -> None:
    document['images'][0] = {'id': 7, 'file_name': 'images/slide_12.tiff', 'width': 200, 'height': 100}
    document['images'][1]['case_id'] = 31
    with pytest.warns(AnnotationWarning, match=r'1 of \d+ images have no case_id'):
        first, second = read_coco(_write(tmp_path, document))['images']
    assert (first['case_id'], first['case_known'], first['mpp']) == ('images/slide_12.tiff', False, None)
    assert 'case_known' not in second
    assert second['case_id'] == '31'


@pytest.mark.parametrize(
    ('x', 'y', 'inside'),
    [
        (-0.5, -0.5, True),
        (199.5, 99.5, True),
        (-0.51, 0, False),
        (0, -0.51, False),
        (199.51, 0, False),
        (0, 99.51, False),
    ],
)
def test_point_outside_its_image_is_named_and_left_out(
    tmp_path: Path, document: dict[str, Any], x: float, y: float, inside: bool
) -> None:
    document['annotations'][0] = make_annotation(1, 7, MITOTIC_FIGURE, x, y)
    path = _write(tmp_path, document)
    if inside:
        assert len(read_coco(path)['annotations']) == 2
        return
    with pytest.warns(AnnotationWarning) as caught:
        found = read_coco(path)
    assert [annotation['id'] for annotation in found['annotations']] == [2]
    message = str(caught[0].message)
    for part in (str(path), 'annotation 1', 'image 7', f'x={x:g}', f'y={y:g}', '200 x 100', 'left out'):
        assert part in message


def _drop(key: str) -> Any:
    return lambda document: document.pop(key)


def _set(*keys: Any) -> Any:
    """Return a function that puts the last of ``keys`` into a document at the path of the others."""
    *path, last, value = keys

    def change(document: dict[str, Any]) -> None:
        for key in path:
            document = document[key]
        document[last] = value

    return change


BROKEN = {
    'no images key': (_drop('images'), r"'images' is missing"),
    'no annotations key': (_drop('annotations'), r"'annotations' is missing"),
    'no categories key': (_drop('categories'), r"'categories' is missing"),
    'images no list': (_set('images', {}), r"'images' must be a list, found a dict"),
    'no image': (_set('images', []), r'holds no image'),
    'image no object': (_set('images', 1, 'a.png'), r"images\[1\] must be an object, found 'a.png'"),
    'image lacks width': (_set('images', 1, {'id': 1, 'file_name': 'a', 'height': 3}), r'images\[1\] lacks width'),
    'image id twice': (_set('images', 1, 'id', 7), r'image id 7 occurs twice \(images/a.png, images/b.png\)'),
    'image id text': (_set('images', 1, 'id', '8'), r"id must be an integer, found '8'"),
    'image no width': (_set('images', 1, 'width', 0), r'image 8: width must be at least 1 px, found 0'),
    'image nameless': (_set('images', 1, 'file_name', ''), r'image 8: file_name must be text'),
    'label 2': (_set('images', 1, 'label', 2), r'image 8: label must be 0 or 1, found 2'),
    'label null': (_set('images', 1, 'label', None), r'image 8: label must be 0 or 1, found None'),
    'label true': (_set('images', 1, 'label', True), r'image 8: label must be 0 or 1, found True'),
    'mpp 0': (_set('images', 0, 'mpp', 0), r'image 7: mpp must be positive'),
    'category twice': (_set('categories', 1, 'id', 1), r'category id 1 occurs twice'),
    'annotation lacks image': (
        _set('annotations', 1, {'id': 2, 'category_id': 1}),
        r'annotations\[1\] lacks image_id; it has id, category_id',
    ),
    'annotation id twice': (_set('annotations', 1, 'id', 1), r'annotation id 1 occurs twice'),
    'unknown image': (_set('annotations', 1, 'image_id', 99), r'annotation 2 belongs to image 99'),
    'unknown category': (
        _set('annotations', 1, 'category_id', 5),
        r'annotation 2 has the unknown category 5; known are 1 \(mitotic figure\), 2 \(hard negative\)',
    ),
    'point of three': (_set('annotations', 1, 'point', [1, 2, 3]), r'annotation 2: point must be a list of 2 numbers'),
    'point NaN': (_set('annotations', 1, 'point', [float('nan'), 2]), r'point must be a finite number, found nan'),
    'box corners': (_set('annotations', 1, 'bbox', [50, 50, 0, 0]), r'annotation 2: bbox .* has no area'),
    'neither point nor box': (
        _set('annotations', 1, {'id': 2, 'image_id': 7, 'category_id': 1}),
        r'annotation 2 has neither a point nor a bbox',
    ),
}


@pytest.mark.parametrize('name', BROKEN)
def test_broken_file_is_refused(tmp_path: Path, document: dict[str, Any], name: str) -> None:
    change, message = BROKEN[name]
    change(document)
    path = _write(tmp_path, document)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_coco(path)
    assert str(caught.value).startswith(f'{path}: ')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'no such file'),
        (b'{"images": [', r'not JSON \(line 1, column 13'),
        (b'', r'not JSON \(line 1, column 1'),
        (b'\xff\xfe{}', r'not JSON \(byte 0 is not UTF-8\)'),
        (b'[1]', 'expected a JSON object .* found a list'),
    ],
)
def test_file_that_is_no_annotation_file(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / 'annotations.json'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        read_coco(path)


def test_numpy_values_are_written_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / 'n.json'
    write_json(path, {'a': np.float64(0.5), 'b': np.int64(3), 'c': np.array([[1.5, 2.0]]), 'd': np.bool_(True)})
    assert json.loads(path.read_text()) == {'a': 0.5, 'b': 3, 'c': [[1.5, 2.0]], 'd': True}


def test_same_document_gives_the_same_bytes(tmp_path: Path, document: dict[str, Any]) -> None:
    write_json(tmp_path / 'a.json', document)
    write_json(tmp_path / 'b.json', copy.deepcopy(document))
    assert (tmp_path / 'a.json').read_bytes() == (tmp_path / 'b.json').read_bytes()
    assert list(json.loads((tmp_path / 'a.json').read_text())) == ['info', 'images', 'annotations', 'categories']


@pytest.mark.parametrize('bad', [{'x': float('nan')}, {'x': object()}, {'x': float('inf')}])
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, bad: dict[str, Any]) -> None:
    path = tmp_path / 'kept.json'
    write_json(path, {'old': 1})
    with pytest.raises(AnnotationError, match='cannot be written as JSON'):
        write_json(path, bad)
    assert json.loads(path.read_text()) == {'old': 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ['kept.json']


def test_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'kept.json'
    write_json(path, {'old': 1})

    def no_space(descriptor: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', no_space)
    with pytest.raises(OSError, match='No space left'):
        write_json(path, {'new': 2})
    assert json.loads(path.read_text()) == {'old': 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ['kept.json']


def _bare(*names: str) -> dict[str, Any]:
    images = [{'id': n, 'file_name': name, 'width': 9, 'height': 9} for n, name in enumerate(names, start=1)]
    return {'images': images, 'annotations': [], 'categories': [dict(each) for each in CATEGORIES]}


@pytest.mark.filterwarnings('ignore:.*have no case_id')
def test_images_of_one_name_in_two_folders_are_two_cases(tmp_path: Path) -> None:
    document = read_coco(_write(tmp_path, _bare('clinic_a/001.png', 'clinic_b/001.png', 'clinic_b/001.tif')))
    assert len({image['case_id'] for image in document['images']}) == 3
    check_splits(
        {
            'train': {**document, 'images': document['images'][:1]},
            'test': {**document, 'images': document['images'][1:]},
        }
    )


def test_cases_that_nobody_named_leak_nowhere(tmp_path: Path) -> None:
    with pytest.warns(AnnotationWarning, match='no case_id'):
        first = read_coco(_write(tmp_path, _bare('001.png')))['images'][0]
    # Of two roots, so the paths are those of two files.
    splits = {
        split: {'images': [{**first, 'file_name': f'/{split}/001.png'}], 'annotations': []}
        for split in ('train', 'val')
    }
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_splits(splits)


@pytest.mark.parametrize('case_id', [True, [1], {'a': 1}, float('nan')])
def test_a_case_is_text_or_a_number(tmp_path: Path, document: dict[str, Any], case_id: Any) -> None:
    document['images'][0]['case_id'] = case_id
    with pytest.raises(AnnotationError, match='image 7: case_id must be text or a number'):
        read_coco(_write(tmp_path, document))


SPELLINGS = [
    *[(value, False) for value in (0, 0.0, False, '0', 'false', ' False', 'FALSE', None)],
    *[(value, True) for value in (1, 1.0, True, '1', 'true', 'True ')],
]


@pytest.mark.parametrize(('value', 'expected'), SPELLINGS)
@pytest.mark.parametrize('flag', ['iscrowd', 'cut', 'is_noise'])
def test_flags_of_annotations_are_read_in_every_spelling(
    tmp_path: Path, document: dict[str, Any], flag: str, value: Any, expected: bool
) -> None:
    document['annotations'][0][flag] = value
    found = read_coco(_write(tmp_path, document))['annotations'][0]
    assert bool(found.get(flag)) is expected
    assert type(found['iscrowd']) is int


@pytest.mark.parametrize(('value', 'expected'), SPELLINGS)
def test_flags_of_images_are_read_in_every_spelling(
    tmp_path: Path, document: dict[str, Any], value: Any, expected: bool
) -> None:
    document['images'][0] |= {'is_noise': value, 'size_known': value}
    found = read_coco(_write(tmp_path, document))['images'][0]
    assert found.get('is_noise', False) is expected
    # A size that nothing is said of is known.
    assert found.get('size_known', True) is (expected or value is None)


@pytest.mark.parametrize('value', ['no', '', '0.0', 'null', 2, 0.5, -1, float('nan'), [], {}, [0]])
@pytest.mark.parametrize('flag', ['iscrowd', 'cut', 'is_noise'])
def test_other_flags_are_refused_by_name(tmp_path: Path, document: dict[str, Any], flag: str, value: Any) -> None:
    document['annotations'][1][flag] = value
    path = _write(tmp_path, document)
    with pytest.raises(AnnotationError, match=f'annotation 2: {flag} must be 0, 1, true or false, found ') as caught:
        read_coco(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('area', ['x', [], float('nan'), float('inf')])
def test_an_area_is_a_number(tmp_path: Path, document: dict[str, Any], area: Any) -> None:
    document['annotations'][1]['area'] = area
    with pytest.raises(AnnotationError, match='annotation 2: area must be a finite number'):
        read_coco(_write(tmp_path, document))


@pytest.mark.parametrize('weight', ['1', None, 1.5, -0.1, float('nan'), []])
def test_a_weight_is_a_share(tmp_path: Path, document: dict[str, Any], weight: Any) -> None:
    document['images'][1]['weight'] = weight
    with pytest.raises(AnnotationError, match='the weight of image 8 must be a number from 0 to 1'):
        read_coco(_write(tmp_path, document))


@pytest.mark.parametrize(
    ('info', 'expected'),
    [
        (None, {}),
        ({}, {}),
        ('made by hand', {'description': 'made by hand'}),
        ({'year': 2024, 'mitouts': None}, {'year': 2024}),
        ({'mitouts': {}}, {'mitouts': {}}),
    ],
)
def test_info_may_be_anything_that_says_nothing(
    tmp_path: Path, document: dict[str, Any], info: Any, expected: dict[str, Any]
) -> None:
    found = read_coco(_write(tmp_path, {**document, 'info': info}))
    assert found['info'] == expected
    assert image_root(tmp_path / 'a.json', found) == tmp_path


@pytest.mark.parametrize(
    ('info', 'what', 'expected'),
    [
        (['a'], 'info', {}),
        (3, 'info', {}),
        ({'year': 1, 'mitouts': 'text'}, 'info.mitouts', {'year': 1}),
        ({'mitouts': [1]}, 'info.mitouts', {}),
    ],
)
def test_info_of_another_kind_is_left_out_with_a_warning(
    tmp_path: Path, document: dict[str, Any], info: Any, what: str, expected: dict[str, Any]
) -> None:
    with pytest.warns(AnnotationWarning, match=f'{what} must be an object, found a .*; it is left out'):
        assert read_coco(_write(tmp_path, {**document, 'info': info}))['info'] == expected


def test_the_folder_of_the_images_is_text(tmp_path: Path, document: dict[str, Any]) -> None:
    document['info']['mitouts']['image_root'] = None
    with pytest.raises(AnnotationError, match=r'info\.mitouts\.image_root must be text, found None'):
        read_coco(_write(tmp_path, document))


def test_predictions_are_called_by_their_name(tmp_path: Path) -> None:
    path = _write(tmp_path, {'images': [{'image_id': 1, 'score': 0.5, 'points': []}]})
    with pytest.raises(AnnotationError, match=r"'annotations' is missing.*these are predictions"):
        read_coco(path)
