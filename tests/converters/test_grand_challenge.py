"""Points files of Grand Challenge as a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from foreign_files import error_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters.document import to_document
from mitouts.converters.grand_challenge import GrandChallenge
from mitouts.errors import AnnotationError
from mitouts.formats.coco import HARD_NEGATIVE, make_annotation, make_document, make_image
from mitouts.formats.grand_challenge import (
    export_points,
)
from mitouts.utils.text_files import write_json

SAMPLE = Path(__file__).resolve().parents[2].parent / 'shared/data/annotations/mitotic-figures.sample.json'


def _write(path: Path, points: list[Any], **keys: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({'type': 'Multiple points', 'points': points, **keys}))
    return path


def test_the_official_sample() -> None:
    if not SAMPLE.is_file():
        pytest.skip('the sample is not at hand in ../shared/data/annotations')
    source = GrandChallenge().read(SAMPLE, mpp=0.25)
    raw = json.loads(SAMPLE.read_text())['points']
    assert raw[0]['point'][:2] == [1.26915198652751, 0.7252919408805868]
    first = source.figures[0]
    # 1.26915198652751 mm / 0.00025 mm/px, by hand.
    assert (first.x, first.y) == (5076.60794611, 2901.167763522)
    assert first.extra == {'score': 0.9007430076599121}
    names = [point['name'] for point in raw]
    counts = [sum(figure.category_id == category for figure in source.figures) for category in (1, 2)]
    assert counts == [names.count('mitotic figure'), names.count('non-mitotic figure')]
    assert sum(counts) == len(raw)


def test_millimetres_become_pixels(tmp_path: Path) -> None:
    path = _write(tmp_path / '001.tiff.json', [{'name': 'non-mitotic figure', 'point': [0.1, 0.02525, 0]}])
    source = GrandChallenge().read(path, mpp=0.25)
    assert [(each.file_name, each.x, each.y, each.category_id) for each in source.figures] == [
        ('001.tiff', 400.0, 101.0, HARD_NEGATIVE)
    ]
    assert (source.images[0].case_id, source.images[0].mpp) == ('001', 0.25)


def test_an_image_says_its_resolution_or_its_points_are_pixels(tmp_path: Path) -> None:
    for name, tags in (
        ('known.tif', {'resolution': (20_000, 20_000), 'resolutionunit': 'CENTIMETER'}),
        ('unknown.tif', {}),
    ):
        (tmp_path / 'images').mkdir(exist_ok=True)
        image = np.zeros((8, 8, 3), np.uint8)
        tifffile.imwrite(tmp_path / 'images' / name, image, photometric='rgb', **tags)  # type: ignore[arg-type]
        _write(tmp_path / 'points' / f'{Path(name).stem}.json', [{'point': [0.003, 0.002, 0.0]}])
    source = GrandChallenge().read(tmp_path / 'points', image_root=tmp_path / 'images')
    assert [(each.x, each.y) for each in source.figures] == [(6.0, 4.0), (0.003, 0.002)]
    assert [image.mpp for image in source.images] == [0.5, None]
    notes = '\n'.join(source.notes)
    assert 'the points of 1 images are in pixels (they have no resolution): unknown' in notes
    assert '2 points without a name are taken for mitotic figures' in notes


def test_pixels_on_request(tmp_path: Path) -> None:
    path = _write(tmp_path / 'a.json', [{'point': [12.5, 3]}])
    figure = GrandChallenge(pixels=True).read(path).figures[0]
    assert (figure.x, figure.y) == (12.5, 3)
    with pytest.raises(AnnotationError, match='give --mpp or --image-root, or --pixels'):
        GrandChallenge().read(path)


def test_other_names_are_counted(tmp_path: Path) -> None:
    path = _write(tmp_path / 'a.json', [{'point': [1, 1, 0], 'name': 'lymphocyte'}, {'point': [2, 2, 0]}])
    source = GrandChallenge().read(path, mpp=1)
    assert len(source.figures) == 1
    assert "left out 1 points of other names: 'lymphocyte' (1)" in source.notes


def test_a_point_that_is_nowhere(tmp_path: Path) -> None:
    path = _write(tmp_path / 'a.json', [{'point': [5e6, 1, 0]}])
    with pytest.raises(AnnotationError, match=r'point 1: the coordinate .* is larger than any slide'):
        GrandChallenge().read(path, mpp=0.25)


def test_folders_without_files(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r'holds no \.json file'):
        GrandChallenge().read(tmp_path, mpp=1)
    with pytest.raises(AnnotationError, match='no such file or folder'):
        GrandChallenge().read(tmp_path / 'none', mpp=1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    points=st.lists(
        st.tuples(st.floats(-0.5, 1e5), st.floats(-0.5, 1e5), st.sampled_from([1, 2]), st.floats(0, 1)), max_size=6
    ),
    mpp=st.none() | st.floats(0.1, 5),
)
def test_an_annotation_file_comes_back(
    tmp_path: Path, points: list[tuple[float, float, int, float]], mpp: float | None
) -> None:
    images = [make_image(1, 'a b/ä.tiff', 10, 10, case_id='c', mpp=mpp)]
    annotations = [
        make_annotation(number, 1, category, x, y, score=score)
        for number, (x, y, category, score) in enumerate(points, start=1)
    ]
    for name, content in export_points(make_document(images, annotations, name='n', tool='t')).items():
        write_json(tmp_path / 'out' / name, content)
    source = GrandChallenge(pixels=mpp is None).read(tmp_path / 'out', mpp=mpp)
    assert [image.file_name for image in source.images] == ['a b/ä.tiff']
    assert [(each.category_id, each.extra['score']) for each in source.figures] == [each[2:] for each in points]
    for figure, (x, y, _, _) in zip(source.figures, points):
        assert (figure.x, figure.y) == (pytest.approx(x, abs=1e-8), pytest.approx(y, abs=1e-8))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            'type': st.just('Mulitple points') | JSON,
            'points': JSON
            | st.lists(
                st.fixed_dictionaries(
                    {'point': st.lists(st.floats() | st.integers(), max_size=3) | JSON},
                    optional={'name': JSON, 'probability': st.floats(0, 1) | JSON},
                ),
                max_size=3,
            ),
        },
    )
)
def test_any_content(tmp_path: Path, content: Any) -> None:
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(content))
    message = error_of(lambda: to_document(GrandChallenge().read(path, mpp=0.25), tool='test', arguments={}))
    assert not message or str(path) in message or 'no image is left' in message or 'holds no image' in message
