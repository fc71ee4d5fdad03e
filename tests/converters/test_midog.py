"""Reading MIDOG.json and MIDOG++.json."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters.document import count_by_split, to_document
from mitouts.converters.midog import SCANNER_MPP, Midog
from mitouts.errors import AnnotationError
from mitouts.formats.source import SourceSet

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'annotations'
CATEGORIES = [{'id': 1, 'name': 'mitotic figure'}, {'id': 2, 'name': 'not mitotic figure'}]


def _document() -> dict[str, Any]:
    return {
        'info': {'description': 'MItosis Domain Generalization Challenge (MIDOG) 2021 - Training set'},
        'images': [
            {'id': number, 'file_name': f'{number:03d}.tiff', 'width': 1000, 'height': 800}
            for number in (1, 60, 101, 151)
        ],
        'annotations': [
            {'id': 7, 'image_id': 1, 'category_id': 1, 'bbox': [100, 200, 150, 250]},
            {'id': 9, 'image_id': 60, 'category_id': 2, 'bbox': [-30.5, 10, 19.5, 60]},
        ],
        'categories': deepcopy(CATEGORIES),
    }


def _plus_plus() -> dict[str, Any]:
    document = _document()
    document['info']['description'] = 'MIDOG++: A Comprehensive Multi-Domain Data Set for Mitotic Figures'
    document['images'].append({'id': 250, 'file_name': '250.tiff', 'width': 900, 'height': 900})
    for image in document['images']:
        image['tumor_type'] = 'canine lymphosarcoma' if image['id'] == 250 else 'human breast cancer'
    for entry in document['annotations']:
        entry['labels'] = [1, 2, entry['category_id']]
    return document


def _write(folder: Path, document: Any) -> Path:
    path = folder / 'MIDOG.json'
    path.write_text(json.dumps(document))
    return path


def test_boxes_become_centres(tmp_path: Path) -> None:
    source = Midog().read(_write(tmp_path, _document()))
    assert [(f.file_name, f.x, f.y, f.category_id, dict(f.extra)) for f in source.figures] == [
        ('001.tiff', 125, 225, 1, {'source_uid': '7'}),
        ('060.tiff', -5.5, 35, 2, {'source_uid': '9'}),
    ]


def test_scanners_resolutions_and_cases(tmp_path: Path) -> None:
    source = Midog().read(_write(tmp_path, _document()))
    assert [(i.image_id, i.case_id, i.extra['scanner'], i.mpp, i.width, i.height) for i in source.images] == [
        (1, '001', 'Hamamatsu XR', 0.23, 1000, 800),
        (60, '060', 'Hamamatsu S360', 0.23, 1000, 800),
        (101, '101', 'Aperio CS2', 0.25, 1000, 800),
    ]


def test_unlabelled_images_are_left_out_and_negatives_stay(tmp_path: Path) -> None:
    source = Midog().read(_write(tmp_path, _document()))
    assert (source.name, source.dataset) == ('MIDOG 2021', 'midog21')
    assert any(note.startswith('left out 1 unlabelled images (151 to 151') for note in source.notes)
    assert '2 labelled images hold no mitotic figure and stay as negatives' in source.notes


def test_plus_plus_keeps_tumour_types_and_votes(tmp_path: Path) -> None:
    source = Midog().read(_write(tmp_path, _plus_plus()))
    assert (source.name, source.dataset) == ('MIDOG++', 'midogpp')
    assert source.figures[1].extra == {'source_uid': '9', 'votes': [1, 2, 2]}
    assert [(i.extra['tumor_type'], i.extra['scanner'], i.mpp) for i in source.images][2:] == [
        ('human breast cancer', 'Aperio CS2', 0.25),
        ('canine lymphosarcoma', '3D Histech', 0.25),
    ]


def test_boxes_of_a_corrected_file_are_recognized(tmp_path: Path) -> None:
    document = _document()
    for entry in document['annotations']:
        x1, y1, x2, y2 = entry['bbox']
        entry['bbox'] = [x1, y1, x2 - x1, y2 - y1]
    source = Midog().read(_write(tmp_path, document))
    assert [(f.x, f.y) for f in source.figures] == [(125, 225), (-5.5, 35)]
    assert any('boxes are [x, y, width, height], not the published' in note for note in source.notes)


def test_boxes_of_both_kinds_are_refused(tmp_path: Path) -> None:
    document = _document()
    document['annotations'][1]['bbox'] = [5, 6, 50, 50]
    message = (
        r'either as \[x1, y1, x2, y2\] \(but annotation 9 has \[5, 6, 50, 50\]\) or as .*annotation 7 has \[100, 200,'
    )
    with pytest.raises(AnnotationError, match=message):
        Midog().read(_write(tmp_path, document))


def test_training_set_of_2022_is_neither(tmp_path: Path) -> None:
    """Its images 151 and up are others than those of MIDOG 2021, and labelled."""
    document = _plus_plus()
    document['info']['description'] = 'MIDOG 2022 training set'
    document['annotations'][0]['image_id'] = 151
    source = Midog().read(_write(tmp_path, document))
    assert source.dataset == 'midog'
    assert len(source.images) == 5
    assert all('scanner' not in image.extra and image.mpp is None for image in source.images)
    assert any('3 images have no annotation at all, the first is 001.tiff' in note for note in source.notes)


def test_categories_go_by_name(tmp_path: Path) -> None:
    document = _plus_plus()
    document['categories'] = [{'id': 1, 'name': 'Hard Negative'}, {'id': 2, 'name': 'Mitotic_figure'}]
    source = Midog().read(_write(tmp_path, document))
    assert [(f.category_id, f.extra['votes']) for f in source.figures] == [(2, [2, 1, 2]), (1, [2, 1, 1])]


def _set(document: Any, keys: tuple[Any, ...], value: Any) -> None:
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = value


@pytest.mark.parametrize(
    ('keys', 'value', 'message'),
    [
        (('images',), None, r"expected a list 'images', as MIDOG\.json has it; found the keys annotations, categories"),
        (('images', 0), 3, r"images\[0\]: expected an object, found '3'"),
        (('images', 0, 'id'), '1', r"images\[0\]: expected a whole number as id, found '1'"),
        (('images', 0, 'id'), 60, r'images\[1\]: the id 60 occurs twice'),
        (('images', 0), {'id': 1}, r'images\[0\]: lacks file_name, width, height'),
        (('images', 0, 'file_name'), '../001.tiff', r'image 1: the file name .* leads out of the folder'),
        (('images', 0, 'file_name'), '/001.tiff', r'image 1: the file name .* leads out of the folder'),
        (('images', 0, 'file_name'), '.', r'image 1: the file name .* leads out of the folder'),
        (('images', 0, 'file_name'), 5, r'image 1: expected a file name, found 5'),
        (('images', 0, 'width'), 0, r'image 1: expected a width in pixels, found 0'),
        (('images', 0, 'height'), 1.5, r'image 1: expected a height in pixels, found 1\.5'),
        (('images', 0, 'width'), 10**30, r'image 1: the coordinate .* larger than any slide'),
        (('images', 0, 'tumor_type'), 5, r'image 1: expected text as tumor_type, found 5'),
        (('annotations', 0, 'image_id'), 5, r'annotation 7 belongs to image 5, which the file lacks'),
        (('annotations', 0, 'image_id'), [1], r'annotation 7 belongs to image \[1\], which'),
        (('annotations', 0, 'bbox'), [1, 2, 3], r'annotation 7: expected a bbox of four numbers, found'),
        (('annotations', 0, 'bbox'), [1, 2, float('nan'), 52], r'annotation 7: expected a coordinate in pixels, found'),
        (('annotations', 0, 'bbox'), [1, 2, '51', 52], r'annotation 7: expected a coordinate in pixels, found'),
        (
            ('annotations', 0, 'bbox'),
            [10**400, 2, 51, 52],
            r'annotation 7: the coordinate 1000.* larger than any slide',
        ),
        (('annotations', 0, 'category_id'), 3, r'annotation 7: has the unknown category 3; known are \[1, 2\]'),
        (('annotations', 0, 'category_id'), True, r'annotation 7: has the unknown category True'),
        (('annotations', 0, 'labels'), 1, r"annotation 7: expected a list of votes in labels, found '1'"),
        (('annotations', 0, 'labels'), [1, 5], r'annotation 7: has the unknown category 5'),
        (('categories', 1, 'name'), 'nucleus', r"found category 2 'nucleus'"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, keys: tuple[Any, ...], value: Any, message: str) -> None:
    document = _document()
    _set(document, keys, value)
    with pytest.raises(AnnotationError, match=rf'MIDOG\.json: .*{message}'):
        Midog().read(_write(tmp_path, document))


def test_other_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match='expected a JSON object, found a list'):
        Midog().read(_write(tmp_path, []))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(['../x.tiff', '..', '.', '', 'C:\\x', '\ud800', [], {}, [1, 2], [float('inf')] * 4]),
)
PLACES = [
    (part, index, key)
    for part, entries in _plus_plus().items()
    if part != 'info'
    for index, entry in enumerate(entries)
    for key in entry
] + [('images',), ('annotations',), ('categories',), ('images', 0), ('annotations', 0), ('categories', 0), ('info',)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=2))
def test_nonsense_never_ends_in_a_traceback(tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    document = _plus_plus()
    for keys, value in sorted(changes, key=lambda change: -len(change[0])):
        _set(document, keys, value)
    path = tmp_path / 'MIDOG.json'
    path.write_text(json.dumps(document))
    try:
        outcome: str | dict[str, Any] = to_document(Midog().read(path), tool='t', arguments={})
    except AnnotationError as error:
        outcome = str(error)
    assert isinstance(outcome, str) or json.dumps(outcome, allow_nan=False)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_never_end_in_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    text = bytearray(json.dumps(_plus_plus()).encode())
    text = text[: data.draw(st.integers(0, len(text)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if text:
            text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / 'MIDOG.json').write_bytes(text)
    try:
        outcome: str | SourceSet = Midog().read(tmp_path / 'MIDOG.json')
    except AnnotationError as error:
        outcome = str(error)
    assert isinstance(outcome, SourceSet) or 'MIDOG.json' in outcome


def _real(name: str) -> Path:
    if not (REAL / name).is_file():
        pytest.skip('the public label files are not at ../shared/data/annotations')
    return REAL / name


def _figures(document: dict[str, Any]) -> dict[str, tuple[int, int]]:
    counts = count_by_split(document)
    return {split: (row['mitotic figure'], row['hard negative']) for split, row in counts.items()}


def test_real_midog_2021() -> None:
    source = Midog().read(_real('MIDOG.json'))
    document = to_document(source, tool='t', arguments={})
    assert source.dataset == 'midog21'
    assert _figures(document) == {
        'train': (1378, 2220),
        'val': (194, 279),
        'test': (149, 215),
        'all': (1721, 2714),
    }
    assert {image['id'] for image in document['images']} == set(range(1, 151))
    scanner = {image['id']: image['scanner'] for image in document['images']}
    found = Counter((scanner[a['image_id']], a['category_id']) for a in document['annotations'])
    assert found == {
        ('Hamamatsu XR', 1): 451,
        ('Hamamatsu XR', 2): 724,
        ('Hamamatsu S360', 1): 582,
        ('Hamamatsu S360', 2): 1066,
        ('Aperio CS2', 1): 688,
        ('Aperio CS2', 2): 924,
    }
    assert any(note.startswith('left out 50 unlabelled images (151 to 200') for note in source.notes)
    assert '15 labelled images hold no mitotic figure and stay as negatives' in source.notes


def test_real_boxes_by_hand() -> None:
    figures = {f.extra['source_uid']: f for f in Midog().read(_real('MIDOG.json')).figures}
    # Annotation 1 is [4336, 346, 4386, 396], annotation 2 [756, 872, 806, 922], both look-alikes.
    assert [(figures[uid].x, figures[uid].y, figures[uid].category_id) for uid in ('1', '2')] == [
        (4361, 371, 2),
        (781, 897, 2),
    ]


def test_real_figures_are_where_amibr_has_them() -> None:
    """AMi-Br's csv lists the same figures by the same ids, rounded down to whole pixels."""
    path = REAL.parent / 'AMi-Br' / 'AMI-BR.csv'
    if not path.is_file():
        pytest.skip('AMi-Br is not at ../shared/data/AMi-Br')
    with path.open(newline='') as file:
        expected = {row['uid']: (row['slide'], int(row['x']), int(row['y'])) for row in csv.DictReader(file)}
    figures = [figure for figure in Midog().read(_real('MIDOG.json')).figures if figure.category_id == 1]
    assert {f.extra['source_uid']: (f.file_name, int(f.x), int(f.y)) for f in figures} == expected


def test_real_midog_plus_plus() -> None:
    path = _real('MIDOG++.json')
    before = time.process_time()
    source = Midog().read(path)
    document = to_document(source, tool='t', arguments={})
    assert time.process_time() - before < 5
    assert source.dataset == 'midogpp'
    counts = count_by_split(document)
    assert counts['all'] == {'images': 503, 'cases': 503, 'mitotic figure': 11937, 'hard negative': 14349}
    assert (counts['train']['images'] + counts['val']['images'], counts['test']['images']) == (392, 111)
    assert any('2 of 26286 points lie outside their image (15363, 15728)' in note for note in _notes(document))
    votes = [annotation['votes'] for annotation in document['annotations']]
    assert Counter(map(len, votes)) == {2: 17727, 3: 8559}
    majority = [Counter(each).most_common(1)[0][0] for each in votes]
    assert majority == [annotation['category_id'] for annotation in document['annotations']]


def test_real_midog_plus_plus_contains_midog_2021() -> None:
    first, second = Midog().read(_real('MIDOG.json')), Midog().read(_real('MIDOG++.json'))
    place = {f.extra['source_uid']: (f.file_name, f.x, f.y, f.category_id) for f in second.figures}
    assert all(place[f.extra['source_uid']] == (f.file_name, f.x, f.y, f.category_id) for f in first.figures)


def test_real_scanners_and_split_are_those_of_the_published_table() -> None:
    source = Midog().read(_real('MIDOG++.json'))
    table = _real('datasets_xvalidation.csv')
    with table.open(newline='') as file:
        rows = {int(row['Slide']): row for row in csv.DictReader(file, delimiter=';')}
    assert {image.image_id for image in source.images} == set(rows)
    for image in source.images:
        row = rows[image.image_id]
        assert image.extra['scanner'] == row['Scanner'].replace('Hamammatsu', 'Hamamatsu')
        assert image.extra['tumor_type'].replace('lymphosarcoma', 'lymphoma') == row['Tumor']
    own = to_document(source, tool='t', arguments={})
    read = to_document(source, tool='t', arguments={}, split=table)
    assert {i['id'] for i in own['images'] if i['split'] == 'test'} == {
        number for number, row in rows.items() if row['Dataset'] == 'test'
    }
    assert {i['id']: i['split'] for i in read['images']} == {n: row['Dataset'] for n, row in rows.items()}


def test_published_resolutions_make_the_regions_two_square_millimetres() -> None:
    source = Midog().read(_real('MIDOG++.json'))
    for scanner, mpp in SCANNER_MPP.items():
        areas = [i.width * i.height * mpp**2 / 1e6 for i in source.images if i.extra['scanner'] == scanner]
        assert min(areas) > 1.9, scanner
        assert max(areas) < 2.1, scanner


def _notes(document: dict[str, Any]) -> list[str]:
    return document['info']['mitouts']['notes']
