"""Areas from GeoJSON, and outlines of masks, against hand-made files, matplotlib's paths and OpenCV."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline
from numpy.typing import NDArray

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.geojson import feature_collection, point_feature, polygon_feature
from mitouts.formats.regions import Region, mask_to_polygons, read_regions
from mitouts.utils.text_files import write_json

SQUARE = [[10, 20], [30, 20], [30, 40], [10, 40], [10, 20]]
HOLE = [[15, 25], [20, 25], [20, 30], [15, 25]]
MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def _geometry(kind: str, coordinates: Any) -> dict[str, Any]:
    return {'type': kind, 'coordinates': coordinates}


def _feature(geometry: Any, class_name: str | None = None, **properties: Any) -> dict[str, Any]:
    if class_name is not None:
        properties['classification'] = {'name': class_name, 'color': [1, 2, 3]}
    return {'type': 'Feature', 'geometry': geometry, 'properties': properties}


def _write(folder: Path, content: Any) -> Path:
    path = folder / 'areas.geojson'
    path.write_text(json.dumps(content))
    return path


def _plain(regions: list[Region]) -> list[list[list[list[float]]]]:
    return [[ring.tolist() for ring in region] for region in regions]


def _area(ring: NDArray[np.float64]) -> float:
    following = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]).sum() / 2)


def _inside(regions: list[Region], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Even-odd over all rings, by matplotlib."""
    inside = np.zeros(len(points), dtype=bool)
    for region in regions:
        for ring in region:
            inside ^= Outline(np.concatenate([ring, ring[:1]]), closed=True).contains_points(points)
    return inside


def test_a_polygon_with_a_hole_in_our_pixels(tmp_path: Path) -> None:
    path = _write(tmp_path, {'type': 'FeatureCollection', 'features': [_feature(_geometry('Polygon', [SQUARE, HOLE]))]})
    assert _plain(read_regions(path)) == [
        [[[9.5, 19.5], [29.5, 19.5], [29.5, 39.5], [9.5, 39.5]], [[14.5, 24.5], [19.5, 24.5], [19.5, 29.5]]]
    ]


def test_bounds_are_added(tmp_path: Path) -> None:
    (region,) = read_regions(_write(tmp_path, _geometry('Polygon', [SQUARE])), (1000, 200))
    assert region[0][0].tolist() == [1009.5, 219.5]


@pytest.mark.parametrize(
    'content',
    [
        _geometry('MultiPolygon', [[SQUARE], [SQUARE]]),
        [_feature(_geometry('Polygon', [SQUARE])), _geometry('Polygon', [SQUARE])],
        {
            'type': 'GeometryCollection',
            'geometries': [_geometry('Polygon', [SQUARE]), _geometry('Polygon', [SQUARE[:-1]])],
        },
        _feature({'type': 'GeometryCollection', 'geometries': [_geometry('MultiPolygon', [[SQUARE], [SQUARE]])]}),
    ],
    ids=['multipolygon', 'list', 'collection, unclosed', 'nested'],
)
def test_every_form_of_two_squares(tmp_path: Path, content: Any) -> None:
    square = [[[9.5, 19.5], [29.5, 19.5], [29.5, 39.5], [9.5, 39.5]]]
    assert _plain(read_regions(_write(tmp_path, content))) == [square, square]


def test_a_gzipped_file(tmp_path: Path) -> None:
    path = tmp_path / 'areas.geojson.gz'
    path.write_bytes(gzip.compress(json.dumps(_geometry('Polygon', [SQUARE])).encode()))
    assert len(read_regions(path)) == 1
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(AnnotationError, match='damaged'):
        read_regions(path)


def test_points_and_detections_are_counted_and_left_out(tmp_path: Path) -> None:
    features = [
        _feature(_geometry('Point', [1, 2])),
        _feature(_geometry('Point', [1, 2])),
        _feature(_geometry('Polygon', [SQUARE]), objectType='cell'),
        _feature(None),
        _feature(_geometry('Polygon', [SQUARE]), objectType='annotation'),
    ]
    with pytest.warns(AnnotationWarning, match='left out: 2 Point, 1 cell'):
        assert len(read_regions(_write(tmp_path, features))) == 1


def test_classes_are_chosen_whatever_their_case(tmp_path: Path) -> None:
    names = ['Tumor', 'stroma', None]
    path = _write(tmp_path, [_feature(_geometry('Polygon', [SQUARE]), name) for name in names])
    assert len(read_regions(path)) == 3
    assert len(read_regions(path, classes=['tumor'])) == 1
    assert len(read_regions(path, classes={'TUMOR', 'Stroma'})) == 2
    with pytest.raises(AnnotationError, match=r"class necrosis, found 1 of class 'Tumor', 1 of class 'stroma', 1 of"):
        read_regions(path, classes=['necrosis'])


@pytest.mark.parametrize('asked', ['tumour', 'Tumor', 'TUMOUR', ' tumor '])
@pytest.mark.parametrize('drawn', ['Tumor', 'tumour', 'TUMOR'])
def test_classes_are_the_same_in_british_and_american_spelling(tmp_path: Path, asked: str, drawn: str) -> None:
    path = _write(tmp_path, [_feature(_geometry('Polygon', [SQUARE]), name) for name in (drawn, 'Stroma')])
    assert len(read_regions(path, classes=[asked])) == 1


def test_a_class_that_no_area_has_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = _write(tmp_path, [_feature(_geometry('Polygon', [SQUARE]), name) for name in ('Tumor', 'Stroma')])
    with pytest.warns(AnnotationWarning, match="no area of class Necrosis; other classes are 'Stroma'"):
        assert len(read_regions(path, classes=['tumour', 'Necrosis'])) == 1


def test_derived_classes_of_qupath(tmp_path: Path) -> None:
    feature = _feature(_geometry('Polygon', [SQUARE]), classification={'names': ['Tumor', 'Positive']})
    assert len(read_regions(_write(tmp_path, feature), classes=['tumor: positive'])) == 1


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([], 'expected an area .* found nothing'),
        ([_feature(_geometry('Point', [1, 2]))], 'expected an area .* found 1 Point'),
        (_geometry('Polygon', []), 'needs an outline'),
        (_geometry('Polygon', [[]]), 'three corners, found 0'),
        (_geometry('Polygon', [[[0, 0], [5, 5], [0, 0]]]), 'three corners, found 2'),
        (_geometry('Polygon', [SQUARE, [[0, 0], [5, 5], [0, 0]]]), 'three corners, found 2'),
        (_geometry('Polygon', [[[0, 0], [float('nan'), 5], [5, 0]]]), 'expected a coordinate in pixels, found nan'),
        (_geometry('Polygon', [[[0, 0], [1e300, 5], [5, 0]]]), 'larger than any slide'),
        (_geometry('Polygon', [[[0, 0], [10**400, 5], [5, 0]]]), 'larger than any slide'),
        (_geometry('Polygon', [[[0, 0], ['5', 5], [5, 0]]]), 'expected a coordinate in pixels'),
        (_geometry('Polygon', [[0, 0], [5, 5], [5, 0]]), r'list of \[x, y\]'),
        (_geometry('MultiPolygon', [3]), 'needs an outline'),
        ({'type': 'FeatureCollection', 'features': 7}, 'expected GeoJSON'),
        ({'images': []}, 'expected GeoJSON'),
        ('text', 'expected GeoJSON'),
        ([_feature([1])], 'feature 1: expected a feature with a geometry'),
    ],
)
def test_nonsense_is_named(tmp_path: Path, content: Any, message: str) -> None:
    path = _write(tmp_path, content)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_regions(path)
    assert str(caught.value).startswith(str(path))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match='cannot be read'):
        read_regions(tmp_path / 'missing.geojson')
    with pytest.raises(AnnotationError, match='cannot be read'):
        read_regions(tmp_path)
    (tmp_path / 'broken.geojson').write_bytes(b'\x89PNG\r\n')
    with pytest.raises(AnnotationError, match='not JSON'):
        read_regions(tmp_path / 'broken.geojson')


@settings(max_examples=60)
@given(mask=MASKS, cell_px=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_outlines_cover_the_mask_and_nothing_else(mask: NDArray[np.bool_], cell_px: tuple[int, int]) -> None:
    regions = mask_to_polygons(mask, (float(cell_px[0]), float(cell_px[1])))
    rows, columns = np.indices(mask.shape)
    centres = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) * cell_px - 0.5
    assert (_inside(regions, centres) == mask.ravel()).all()
    covered = sum(_area(ring) for region in regions for ring in region)
    assert covered == pytest.approx(mask.sum() * cell_px[0] * cell_px[1], abs=1e-6)


@settings(max_examples=60)
@given(mask=MASKS)
def test_outlines_are_valid_polygons(mask: NDArray[np.bool_]) -> None:
    regions = mask_to_polygons(mask, 1.0)
    num_pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    assert len(regions) == num_pieces
    for outline, *holes in regions:
        assert _area(outline) > 0
        # An outline holds its own holes, and they are nobody else's.
        for hole in holes:
            assert _area(hole) < 0
            assert (hole >= outline.min(axis=0)).all()
            assert (hole <= outline.max(axis=0)).all()
        for ring in (outline, *holes):
            steps = np.abs(np.diff(np.concatenate([ring, ring[:1]]), axis=0))
            assert (steps.min(axis=1) == 0).all()
            assert (steps.max(axis=1) > 0).all()
            # Each corner is a turn, and unit points along the ring are passed once.
            lengths = steps.sum(axis=1).astype(int)
            ways = np.repeat(np.sign(np.diff(np.concatenate([ring, ring[:1]]), axis=0)), lengths, axis=0)
            passed = ring[0] + np.cumsum(ways, axis=0)
            assert len(np.unique(passed, axis=0)) == len(passed)
            assert len(ring) % 2 == 0


def test_each_piece_keeps_its_holes() -> None:
    mask = np.ones((3, 9), dtype=bool)
    mask[:, 3] = False
    mask[1, [1, 5, 7]] = False
    first, second = mask_to_polygons(mask, 2.0)
    assert [len(first), len(second)] == [2, 3]
    assert first[0].tolist() == [[-0.5, -0.5], [5.5, -0.5], [5.5, 5.5], [-0.5, 5.5]]
    assert sorted(first[1].tolist()) == [[1.5, 1.5], [1.5, 3.5], [3.5, 1.5], [3.5, 3.5]]


def test_cells_that_touch_at_a_corner_are_two_polygons() -> None:
    regions = mask_to_polygons(np.eye(2, dtype=bool), 1.0)
    assert _plain(regions) == [
        [[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]],
        [[[0.5, 0.5], [1.5, 0.5], [1.5, 1.5], [0.5, 1.5]]],
    ]


def test_an_empty_mask_has_no_outline() -> None:
    assert mask_to_polygons(np.zeros((3, 4), dtype=bool), 1.0) == []
    assert mask_to_polygons(np.zeros((0, 4), dtype=bool), 1.0) == []
    with pytest.raises(ValueError, match='rows, columns'):
        mask_to_polygons(np.zeros(4, dtype=bool), 1.0)


def test_a_mask_through_qupath_and_back(tmp_path: Path) -> None:
    mask = np.random.default_rng(3).random((40, 60)) > 0.45
    regions = mask_to_polygons(mask, 32.0)
    features = [
        polygon_feature([ring.tolist() for ring in region], 'tissue', identity=str(index), bounds_xy_px=(100, 7))
        for index, region in enumerate(regions)
    ]
    path = tmp_path / 'tissue.geojson'
    write_json(path, feature_collection([*features, point_feature(3, 4, 'mitotic figure', identity='point')]))
    with pytest.warns(AnnotationWarning, match='1 Point'):
        back = read_regions(path, (100, 7), classes=['tissue'])
    assert _plain(back) == _plain(regions)
    painted = np.zeros(mask.shape, dtype=np.uint8)
    for region in back:
        # OpenCV paints the border too, so it is drawn a little inside of the cells' edges by shifting to centres.
        fine = np.zeros((mask.shape[0] * 4, mask.shape[1] * 4), dtype=np.uint8)
        cv2.fillPoly(fine, [np.rint((ring + 0.5) / 8).astype(np.int32) for ring in region], (1,))
        painted |= fine[2::4, 2::4]
    assert (painted.astype(bool) == mask).all()
