"""QuPath GeoJSON: what QuPath wants, what it writes, and what is broken."""

from __future__ import annotations

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from foreign_files import error_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters import qupath
from mitouts.converters.document import to_document
from mitouts.converters.qupath import export_geojson, read_qupath
from mitouts.errors import AnnotationError, ImageError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, make_annotation, make_document, make_image
from mitouts.formats.geojson import (
    feature_collection,
    feature_id,
    from_qupath,
    point_feature,
    polygon_feature,
    to_qupath,
)
from mitouts.imaging.image import write_rgb
from mitouts.utils.text_files import write_json


def _feature(geometry: Any, class_name: Any = 'Mitosis', **properties: Any) -> dict[str, Any]:
    """As QuPath 0.5 writes it."""
    return {
        'type': 'Feature',
        'id': '6bcc1b4e-0a3c-4b54-9d0a-4a3f0f6f3c11',
        'geometry': geometry,
        'properties': {
            'objectType': 'annotation',
            'classification': {'name': class_name, 'color': [200, 0, 0]},
            **properties,
        },
    }


def _point(x: Any, y: Any, class_name: Any = 'Mitosis', **properties: Any) -> dict[str, Any]:
    return _feature({'type': 'Point', 'coordinates': [x, y]}, class_name, **properties)


def _write(path: Path, features: list[Any]) -> Path:
    write_json(path, feature_collection(features))
    return path


def _figures(source: Any) -> list[tuple[float, float, int]]:
    return [(figure.x, figure.y, figure.category_id) for figure in source.figures]


@pytest.fixture
def document() -> dict[str, Any]:
    images = [
        make_image(7, 'images/a b.png', 200, 100, case_id='A', mpp=0.25, scanner='CS2'),
        make_image(8, 'images/empty.png', 200, 100, case_id='B'),
    ]
    annotations = [
        make_annotation(3, 7, MITOTIC_FIGURE, 10.5, 20.25, votes={'Anna': 'mitosis'}, score=0.75),
        make_annotation(5, 7, HARD_NEGATIVE, 0.1, 99),
    ]
    return make_document(images, annotations, name='two', tool='test', stain_reference='x')


def test_a_feature_has_what_qupath_needs() -> None:
    feature = point_feature(
        10, 20.25, 'mitotic figure', identity=feature_id('a.png', 1), color=(1, 2, 3), measurements={'probability': 1}
    )
    assert uuid.UUID(feature.pop('id')).version == 5
    assert feature == {
        'type': 'Feature',
        'geometry': {'type': 'Point', 'coordinates': [10.5, 20.75]},
        'properties': {
            'objectType': 'detection',
            'classification': {'name': 'mitotic figure', 'color': [1, 2, 3]},
            'isLocked': False,
            'measurements': {'probability': 1.0},
        },
    }


def test_ids_are_repeatable_and_different() -> None:
    assert feature_id('a.png', 1) == feature_id('a.png', 1)
    assert len({feature_id('a.png', 1), feature_id('a.png', 2), feature_id('b.png', 1), feature_id('a.png1')}) == 4


def test_a_polygon_is_closed_and_keeps_its_hole() -> None:
    square, hole = [(0, 0), (4, 0), (4, 4), (0, 4)], [(1, 1), (2, 1), (2, 2), (1, 1)]
    feature = polygon_feature([square, hole], 'hotspot', identity=feature_id('h'), bounds_xy_px=(10, 20))
    assert feature['properties']['objectType'] == 'annotation'
    assert feature['geometry']['coordinates'] == [
        [[-9.5, -19.5], [-5.5, -19.5], [-5.5, -15.5], [-9.5, -15.5], [-9.5, -19.5]],
        [[-8.5, -18.5], [-7.5, -18.5], [-7.5, -17.5], [-8.5, -18.5]],
    ]


@pytest.mark.parametrize('rings', [[], [[]], [[(0, 0), (1, 1)]]])
def test_a_polygon_needs_corners(rings: Any) -> None:
    with pytest.raises(AnnotationError, match=r'needs three corners|needs an outline'):
        polygon_feature(rings, 'hotspot', identity='h')


def test_numbers_that_qupath_could_not_read() -> None:
    with pytest.raises(AnnotationError, match='expected a coordinate'):
        point_feature(float('nan'), 0, 'a', identity='i')
    with pytest.raises(AnnotationError, match="measurement 'probability' is no finite number"):
        point_feature(0, 0, 'a', identity='i', measurements={'probability': float('inf')})


@given(st.integers(-(10**6), 10**7), st.integers(0, 10**6), st.integers(0, 10**5))
def test_half_a_pixel_comes_and_goes(micro_px: int, whole: int, bounds: int) -> None:
    x, y = micro_px / 1e6 + whole, whole / 8
    assert from_qupath(*to_qupath(x, y, (bounds, 3)), (bounds, 3)) == (round(x, 9), y)


def test_what_qupath_writes_is_read(tmp_path: Path) -> None:
    square = [[10.5, 20.5], [14.5, 20.5], [14.5, 22.5], [10.5, 22.5], [10.5, 20.5]]
    features = [
        _point(100.5, 50.5, measurements={'Probability': 0.5}),
        _feature({'type': 'MultiPoint', 'coordinates': [[1.5, 2.5], [3.5, 4.5]]}, 'Hard negative'),
        _feature({'type': 'Polygon', 'coordinates': [square]}),
        _feature({'type': 'Polygon', 'coordinates': [square]}, 'Tumor'),
        _feature({'type': 'LineString', 'coordinates': [[1, 2], [3, 4]]}),
        {**_point(1, 1), 'properties': {'objectType': 'detection'}},
    ]
    source = read_qupath(_write(tmp_path / 'slide 1.geojson', features))
    assert _figures(source) == [
        (100, 50, MITOTIC_FIGURE),
        (1, 2, HARD_NEGATIVE),
        (3, 4, HARD_NEGATIVE),
        (12, 21, MITOTIC_FIGURE),
    ]
    assert [dict(figure.extra) for figure in source.figures] == [{'score': 0.5}, {}, {}, {}]
    assert [(image.file_name, image.case_id) for image in source.images] == [('slide 1', 'slide 1')]
    notes = '\n'.join(source.notes)
    assert (
        "left out 3 objects that are no figures: 'Mitosis' as 'LineString' (1), 'Tumor' (1), without a class" in notes
    )
    assert '1 polygons are taken at their centroid' in notes
    assert '1 of 1 files come from QuPath' in notes


def test_the_centroid_of_an_uneven_polygon_is_that_of_its_area(tmp_path: Path) -> None:
    # An L of three unit squares: the mean of their centres.
    outline = [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2], [0, 0]]
    far = [[x + 100_000.5, y + 0.5] for x, y in outline]
    source = read_qupath(_write(tmp_path / 'a.geojson', [_feature({'type': 'Polygon', 'coordinates': [far]})]))
    assert _figures(source) == [(pytest.approx(100_000 + 5 / 6), pytest.approx(5 / 6), MITOTIC_FIGURE)]


def test_an_outline_of_several_parts_is_one_figure_in_the_largest(tmp_path: Path) -> None:
    def square(x: float, y: float, side: float) -> list[list[list[float]]]:
        return [[[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]]

    geometry = {'type': 'MultiPolygon', 'coordinates': [square(5, 5, 4), square(40, 60, 10), square(90, 90, 6)]}
    source = read_qupath(_write(tmp_path / 'a.geojson', [_feature(geometry)]))
    assert _figures(source) == [(44.5, 64.5, MITOTIC_FIGURE)]
    for broken in ([], [3], [[[[1, 2]]]]):
        path = _write(tmp_path / 'b.geojson', [_feature({'type': 'MultiPolygon', 'coordinates': broken})])
        with pytest.raises(AnnotationError, match=r'b\.geojson: feature 1: (expected|a polygon needs)'):
            read_qupath(path)


def test_images_of_one_stem_share_no_case(tmp_path: Path) -> None:
    for name in ('a.png.geojson', 'a.tif.geojson', 'b.png.geojson'):
        _write(tmp_path / name, [_point(3, 4)])
    document = to_document(read_qupath(tmp_path), tool='test', arguments={})
    assert {image['file_name']: image['case_id'] for image in document['images']} == {
        'a.png': 'a.png',
        'a.tif': 'a.tif',
        'b.png': 'b',
    }


def test_a_polygon_without_area(tmp_path: Path) -> None:
    line = [[1.5, 1.5], [3.5, 1.5], [5.5, 1.5]]
    source = read_qupath(_write(tmp_path / 'a.geojson', [_feature({'type': 'Polygon', 'coordinates': [line]})]))
    assert _figures(source) == [(3, 1, MITOTIC_FIGURE)]


@pytest.mark.parametrize(
    'classification',
    ['mitosis', {'names': ['Mitosis']}, {'name': 'Mitotic figure', 'colorRGB': -65536}],
    ids=['text', 'names', 'QuPath 0.3'],
)
def test_classes_of_other_versions(tmp_path: Path, classification: Any) -> None:
    feature = _point(0.5, 0.5, measurements=[{'name': 'probability', 'value': 0.25}])
    feature['properties']['classification'] = classification
    source = read_qupath(_write(tmp_path / 'a.geojson', [feature]))
    assert _figures(source) == [(0, 0, MITOTIC_FIGURE)]
    assert source.figures[0].extra == {'score': 0.25}


def test_classes_by_name(tmp_path: Path) -> None:
    features = [_point(1, 1, 'MF'), _point(2, 2, 'NMF'), _point(3, 3, 'Mitosis')]
    source = read_qupath(_write(tmp_path / 'a.geojson', features), mitotic='mf', hard_negative='NMF')
    assert [figure.category_id for figure in source.figures] == [MITOTIC_FIGURE, HARD_NEGATIVE]


@pytest.mark.parametrize('form', ['list', 'feature', 'gzip', 'children'])
def test_other_forms_of_a_file(tmp_path: Path, form: str) -> None:
    features: Any = [_point(4.5, 5.5)]
    content = {
        'list': features,
        'feature': features[0],
        'gzip': feature_collection(features),
        'children': [_point(0, 0, 'Tumor', childObjects=features)],
    }[form]
    path = tmp_path / ('a.tif.geojson.gz' if form == 'gzip' else 'a.tif.json')
    data = json.dumps(content).encode()
    path.write_bytes(gzip.compress(data) if form == 'gzip' else data)
    source = read_qupath(path)
    assert _figures(source) == [(4, 5, MITOTIC_FIGURE)]
    assert source.images[0].file_name == 'a.tif'


def test_a_cropped_slide(tmp_path: Path, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = {'images/a b.png': (100, 2000)}
    files = export_geojson(document, bounds_xy_px=bounds)
    content = files['images/a b.png.geojson']
    assert content['features'][0]['geometry']['coordinates'] == [10.5 + 0.5 - 100, 20.25 + 0.5 - 2000]
    write_json(tmp_path / 'kept' / 'images' / 'a b.png.geojson', content)
    assert _figures(read_qupath(tmp_path / 'kept'))[0][:2] == (10.5, 20.25)
    write_json(tmp_path / 'dropped' / 'images' / 'a b.png.geojson', _stripped(content))
    # The same offset where it is read from the slide.
    monkeypatch.setattr(qupath, 'read_bounds', lambda root, names: {name: bounds[name] for name in names})
    assert _figures(read_qupath(tmp_path / 'dropped', image_root=tmp_path))[0][:2] == (10.5, 20.25)


def test_an_image_that_is_no_slide_has_no_bounds(tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    write_rgb(path, np.zeros((4, 5, 3), np.uint8))
    assert qupath.read_bounds(tmp_path, ['a.png', 'none.png']) == {'a.png': (0, 0)}
    assert qupath.read_bounds(None, ['a.png']) == {}


@pytest.mark.parametrize('content', [b'\x89PNG\r\n\x1a\n', b'II*\0', b'nothing'])
def test_a_broken_image_is_a_clear_error_where_its_bounds_are_needed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / 'a.tif').write_bytes(content)
    with pytest.raises(ImageError, match=r'image .*a\.tif'):
        qupath.read_bounds(tmp_path, ['a.tif'])


def _stripped(content: dict[str, Any]) -> dict[str, Any]:
    """What QuPath leaves of an exported file: known properties alone."""
    known = ('objectType', 'classification', 'name', 'color', 'isLocked', 'measurements')
    features = [
        {
            **feature,
            'properties': {key: value for key, value in feature['properties'].items() if key in known},
        }
        for feature in content['features']
    ]
    return {'type': 'FeatureCollection', 'features': features}


def test_after_qupath_points_classes_and_scores_are_left(tmp_path: Path, document: dict[str, Any]) -> None:
    for name, content in export_geojson(document).items():
        write_json(tmp_path / name, _stripped(content))
    source = read_qupath(tmp_path)
    assert _figures(source) == [(10.5, 20.25, MITOTIC_FIGURE), (0.1, 99, HARD_NEGATIVE)]
    assert [figure.extra.get('score') for figure in source.figures] == [0.75, None]
    assert [image.file_name for image in source.images] == ['images/a b.png', 'images/empty.png']
    assert any('2 of 2 files come from QuPath' in note and 'no ids, sizes' in note for note in source.notes)


def test_what_was_changed_counts(tmp_path: Path, document: dict[str, Any]) -> None:
    files = export_geojson(document)
    content = files['images/a b.png.geojson']
    first, second = content['features']
    first['geometry']['coordinates'] = [50.5, 60.5]
    second['properties']['classification']['name'] = 'mitotic figure'
    content['features'].append(_point(1.5, 1.5, 'mitotic figure'))
    for name, each in files.items():
        write_json(tmp_path / name, each)
    source = read_qupath(tmp_path)
    assert [(f.annotation_id, f.x, f.y, f.category_id) for f in source.figures] == [
        (3, 50, 60, MITOTIC_FIGURE),
        (5, 0.1, 99, MITOTIC_FIGURE),
        (None, 1, 1, MITOTIC_FIGURE),
    ]
    assert 'bbox' not in source.figures[0].extra
    assert source.figures[0].extra['votes'] == {'Anna': 'mitosis'}
    assert any('2 figures were moved or given another class, 1 are new, 0 gone' in note for note in source.notes)


def test_what_was_deleted_is_counted(tmp_path: Path, document: dict[str, Any]) -> None:
    for name, each in export_geojson(document).items():
        each['features'] = each['features'][:1]
        write_json(tmp_path / name, each)
    source = read_qupath(tmp_path)
    assert len(source.figures) == 1
    assert any('0 are new, 1 gone' in note for note in source.notes)


def test_files_of_two_exports_are_not_mixed(tmp_path: Path, document: dict[str, Any]) -> None:
    first, second = export_geojson(document).values()
    write_json(tmp_path / 'a.geojson', first)
    second['mitouts']['document']['info']['description'] = 'another'
    write_json(tmp_path / 'b.geojson', second)
    with pytest.raises(AnnotationError, match='exported from 2 documents'):
        read_qupath(tmp_path)


def test_a_copied_annotation_is_refused(tmp_path: Path, document: dict[str, Any]) -> None:
    content = export_geojson(document)['images/a b.png.geojson']
    content['features'].append(content['features'][0])
    write_json(tmp_path / 'a.geojson', content)
    with pytest.raises(AnnotationError, match='1 annotation ids occur twice'):
        read_qupath(tmp_path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'{"type": "FeatureCollection"', 'not JSON'),
        (b'{"images": []}', 'expected a FeatureCollection or a list of features'),
        (b'\xff\xfe', 'not JSON'),
        (b'[' * 100_000, 'not JSON'),
        (b'[5]', 'feature 1: expected a feature'),
        (b'[{"geometry": 4}]', 'feature 1: expected a feature with a geometry'),
        (b'[{"properties": [1]}]', 'feature 1: expected properties'),
        (b'\x1f\x8b broken', 'the gzip file is damaged'),
    ],
)
def test_nonsense_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / 'a.geojson'
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        read_qupath(path)


@pytest.mark.parametrize(
    ('geometry', 'message'),
    [
        ({'type': 'Point', 'coordinates': [1]}, r'expected \[x, y\]'),
        ({'type': 'Point', 'coordinates': [1, float('nan')]}, 'expected a coordinate'),
        ({'type': 'Point', 'coordinates': [1, 1e99]}, 'larger than any slide'),
        ({'type': 'MultiPoint', 'coordinates': 5}, 'expected a list of coordinates'),
        ({'type': 'Polygon', 'coordinates': []}, 'a polygon with an outline'),
        ({'type': 'Polygon', 'coordinates': [[[1, 2], [3, 4]]]}, 'needs three corners, found 2'),
    ],
)
def test_geometry_that_makes_no_sense(tmp_path: Path, geometry: Any, message: str) -> None:
    path = tmp_path / 'a.geojson'
    path.write_text(json.dumps([_feature(geometry)]))
    with pytest.raises(AnnotationError, match=message):
        read_qupath(path)


def test_folders_without_files(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r'holds no \.geojson'):
        read_qupath(tmp_path)
    with pytest.raises(AnnotationError, match='no such file or folder'):
        read_qupath(tmp_path / 'none')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere(tmp_path: Path, document: dict[str, Any], data: st.DataObject) -> None:
    content = json.loads(json.dumps(export_geojson(document)['images/a b.png.geojson']))
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(value, (dict, list)):
                collect(value)

    collect(content)
    for node, key in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique_by=id)):
        node[key] = data.draw(JSON)
    path = tmp_path / 'a.geojson'
    path.write_text(json.dumps(content))
    message = error_of(lambda: to_document(read_qupath(path), tool='test', arguments={}))
    assert not message or str(path) in message or 'no image is left' in message or 'holds no image' in message


def test_bounds_of_a_slide_that_is_cut_are_an_error(tmp_path) -> None:
    path = tmp_path / 'cut.svs'
    pixels = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), dtype=np.uint8)
    description = 'Aperio Image Library v11\n1024x1024 |AppMag = 40|MPP = 0.25'
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric='rgb', compression='jpeg', description=description)
    assert qupath.read_bounds(tmp_path, ['cut.svs']) == {'cut.svs': (0, 0)}
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ImageError, match=r'cut\.svs is truncated'):
        qupath.read_bounds(tmp_path, ['cut.svs'])
