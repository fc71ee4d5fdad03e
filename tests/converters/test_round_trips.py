"""An annotation file goes to QuPath's format and comes back: nothing is lost."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters.document import to_document
from mitouts.converters.midog import Midog
from mitouts.converters.qupath import export_geojson, read_qupath
from mitouts.errors import AnnotationError
from mitouts.formats.coco import (
    HARD_NEGATIVE,
    MITOTIC_FIGURE,
    make_annotation,
    make_document,
    make_image,
    read_coco,
    write_json,
)

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'annotations'


def _through_geojson(folder: Path, document: dict[str, Any]) -> dict[str, Any]:
    for old in folder.rglob('*.geojson'):
        old.unlink()
    for name, content in export_geojson(document).items():
        write_json(folder / name, content)
    return to_document(read_qupath(folder), tool='test', arguments={})


# What begins with a dot is hidden, and hidden files are passed over.
WORD = st.text(st.characters(exclude_categories=['C', 'Z']), min_size=1, max_size=6).filter(
    lambda text: not set(text) & set('/\\:') and not text.startswith('.')
)
FILE_NAME = st.builds(
    lambda folders, stem, suffix: '/'.join([*folders, f'{stem}{suffix}']),
    st.lists(WORD, max_size=2),
    st.lists(WORD, min_size=1, max_size=2).map(' '.join),
    st.sampled_from(['.tif', '.png', '.svs', '.dzi', '']),
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
EXTRA = st.dictionaries(st.sampled_from(['x', 'y', 'scanner', 'split', 'name', 'where', 'annotation_id', 'é']), VALUE)
VOTES = st.dictionaries(
    st.text(max_size=5), st.sampled_from(['mitosis', 'Mitose', 'hard negative', '?']) | st.text(max_size=4), max_size=3
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(FILE_NAME, min_size=1, max_size=3, unique=True))
    image_ids = draw(st.lists(st.integers(-5, 10**12), min_size=len(names), max_size=len(names), unique=True))
    images = []
    annotations: list[dict[str, Any]] = []
    numbers = draw(st.lists(st.integers(-5, 2**40), min_size=12, max_size=12, unique=True))
    for image_id, name in zip(image_ids, names):
        width, height = draw(st.integers(1, 10**6)), draw(st.integers(1, 10**6))
        mpp = draw(st.none() | st.floats(0.01, 10))
        label = draw(st.sampled_from([{}, {'label': 0}, {'label': 1}]))
        images.append(
            make_image(image_id, name, width, height, case_id=draw(st.text(max_size=5)), mpp=mpp) | draw(EXTRA) | label
        )
        for _ in range(draw(st.integers(0, 4))):
            x = draw(st.floats(-0.5, width - 0.5) | st.integers(0, width - 1))
            y = draw(st.floats(-0.5, height - 0.5))
            figure = make_annotation(numbers[len(annotations)], image_id, draw(st.sampled_from([1, 2, 9])), x, y)
            more = draw(st.fixed_dictionaries({}, optional={'votes': VOTES | VALUE, 'score': VALUE}))
            box = draw(st.sampled_from([{}, {'bbox': [1.5, 2, 3, 4], 'area': 12, 'iscrowd': 1}]))
            annotations.append(figure | draw(EXTRA) | more | box)
    document = make_document(images, annotations, name='ä', tool='t', seed=3, stain_reference={'a': [0.1]})
    document['categories'].append({'id': 9, 'name': 'apoptosis', 'supercategory': 'cell'})
    return {**document, 'licenses': [{'id': 1}]}


def _by_id(entries: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {entry['id']: entry for entry in entries}


def _assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert after['images'] == before['images']
    assert _by_id(after['annotations']) == _by_id(before['annotations'])
    assert len(after['annotations']) == len(before['annotations'])
    assert after['categories'] == before['categories']
    # Numbers are equal to themselves as other types; what is written must be the same text.
    texts = [json.dumps([document['images'], document['categories']], sort_keys=True) for document in (before, after)]
    assert texts[0] == texts[1]
    assert {key for key in before if key not in after} == set()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(document=documents())
def test_any_document_comes_back(tmp_path: Path, document: dict[str, Any]) -> None:
    # What a reader of the file gets, is what is exported.
    write_json(tmp_path / 'before', document)
    with warnings.catch_warnings():
        before = read_coco(tmp_path / 'before', keep_outside=True)
    message = ''
    after: dict[str, Any] = {}
    try:
        after = _through_geojson(tmp_path, before)
    except AnnotationError as error:
        message = str(error)
    assert not message
    _assert_same(before, after)
    assert after['info']['mitouts']['seed'] == 3
    assert after['info']['mitouts']['stain_reference'] == {'a': [0.1]}
    assert after['info']['mitouts']['exported_from']['tool'] == 't'
    _assert_same(before, _through_geojson(tmp_path, after))


def test_midog_comes_back(tmp_path: Path) -> None:
    if not (REAL / 'MIDOG.json').is_file():
        pytest.skip('MIDOG.json is not at hand in ../shared/data/annotations')
    document = to_document(Midog().read(REAL / 'MIDOG.json'), tool='midog', arguments={})
    categories = [annotation['category_id'] for annotation in document['annotations']]
    assert (categories.count(MITOTIC_FIGURE), categories.count(HARD_NEGATIVE)) == (1721, 2714)
    _assert_same(document, _through_geojson(tmp_path, document))


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['a.png', 'a.png'], "two images are called 'a.png'"),
        (['a.png', './a.png'], "two images are called 'a.png'"),
        (['../a.png'], 'leads out of the folder'),
    ],
)
def test_images_that_cannot_be_told_apart(tmp_path: Path, names: list[str], message: str) -> None:
    images = [make_image(number, name, 9, 9, case_id='a') for number, name in enumerate(names, start=1)]
    with pytest.raises(AnnotationError, match=message):
        _through_geojson(tmp_path, make_document(images, [], name='n', tool='t'))
    assert list(tmp_path.iterdir()) == []
