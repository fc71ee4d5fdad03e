"""Reading CCMCT's databases and COCO files, in the layout that its repository's exporter writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from foreign_files import error_of, write_sliderunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters.ccmct import Ccmct
from mitouts.converters.document import to_document
from mitouts.errors import AnnotationError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE
from mitouts.formats.source import SourceSet

CLASSES = {1: 'Granulocyte', 2: 'Mitotic Figure', 3: 'Tumor cell', 7: 'Lookalike'}
# A training slide and a test slide.
SLIDES = [(1, 'be10fa37ad6e88e1f406.svs', 60000, 50000), (2, '2f2591b840e83a4b4358.svs', 70000, 60000)]
POINTS = [(1, 100, 200, 2), (1, 3000.5, 40, 7), (2, 55000, 12, 2), (2, 9, 9, 1), (2, 8, 8, 3)]


def _database(folder: Path, classes: dict[int, str] = CLASSES) -> Path:
    annotations = [{'slide': slide, 'points': [(x, y)], 'agreed': agreed} for slide, x, y, agreed in POINTS]
    slides = [(uid, name, None, None) for uid, name, _, _ in SLIDES]
    return write_sliderunner(folder / 'MITOS_WSI_CCMCT_ODAEL.sqlite', slides, annotations, classes, has_deleted=False)


def _coco() -> dict[str, Any]:
    return {
        'info': {'description': 'Large-Scale Mitotic Figure Dataset for Canine Cutaneous Mast Cell Tumors'},
        'licenses': [{'id': 1}],
        'images': [
            {'license': 1, 'file_name': name, 'id': uid, 'width': width, 'height': height}
            for uid, name, width, height in SLIDES
        ],
        'categories': [{'id': uid, 'name': name} for uid, name in CLASSES.items()],
        'annotations': [
            {'bbox': [x - 25, y - 25, x + 25, y + 25], 'category_id': agreed, 'image_id': slide, 'id': uid}
            for uid, (slide, x, y, agreed) in enumerate(POINTS, start=1)
        ],
    }


def _write(folder: Path, document: Any) -> Path:
    path = folder / 'MITOS_WSI_CCMCT_MEL.json'
    path.write_text(json.dumps(document))
    return path


def _figures(source: SourceSet) -> list[tuple[str, float, float, int]]:
    return [(figure.file_name, figure.x, figure.y, figure.category_id) for figure in source.figures]


WANTED = [
    ('be10fa37ad6e88e1f406.svs', 100, 200, MITOTIC_FIGURE),
    ('be10fa37ad6e88e1f406.svs', 3000.5, 40, HARD_NEGATIVE),
    ('2f2591b840e83a4b4358.svs', 55000, 12, MITOTIC_FIGURE),
]


def test_both_files_say_the_same(tmp_path: Path) -> None:
    sqlite, coco = Ccmct().read(_database(tmp_path)), Ccmct().read(_write(tmp_path, _coco()))
    assert _figures(sqlite) == _figures(coco) == WANTED
    assert [sqlite.name, coco.name] == ['CCMCT ODAEL', 'CCMCT MEL']
    for source in (sqlite, coco):
        assert any('left out 2 annotations of other classes' in note for note in source.notes)
        assert [(image.case_id, image.mpp, dict(image.extra)) for image in source.images] == [
            (name.removesuffix('.svs'), 0.25, {'scanner': 'Aperio CS2'}) for _, name, _, _ in SLIDES
        ]


@pytest.mark.parametrize(('split', 'wanted'), [(None, ['test', 'test']), ('published', ['test', 'train'])])
def test_splits(tmp_path: Path, split: str | None, wanted: list[str]) -> None:
    document = to_document(Ccmct().read(_database(tmp_path)), tool='test', arguments={}, split=split)
    assert [image['split'] for image in document['images']] == wanted


def test_an_area_stands_in_the_json_twice(tmp_path: Path) -> None:
    document = _coco()
    document['annotations'].append({**document['annotations'][0], 'bbox': [115, 215, 165, 265]})
    source = Ccmct().read(_write(tmp_path, document))
    assert _figures(source)[0] == ('be10fa37ad6e88e1f406.svs', 120, 220, MITOTIC_FIGURE)
    assert any('1 annotations have several coordinates' in note for note in source.notes)


def test_a_variant_without_look_alikes(tmp_path: Path) -> None:
    classes = {uid: name for uid, name in CLASSES.items() if uid != 7}
    annotations = [{'slide': 1, 'points': [(1, 2)], 'agreed': 2}]
    path = write_sliderunner(tmp_path / 'a.sqlite', [SLIDES[0]], annotations, classes)
    source = Ccmct().read(path)
    assert [figure.category_id for figure in source.figures] == [MITOTIC_FIGURE]
    assert any('no class of look-alikes' in note for note in source.notes)


def test_other_annotations_of_the_same_slides_are_not_figures(tmp_path: Path) -> None:
    with pytest.raises(
        AnnotationError,
        match=r"found 1 'Tumorzone', 2 'Nekrosezone'; mitouts convert sliderunner reads other databases",
    ):
        Ccmct().read(_database(tmp_path, {1: 'Tumorzone', 2: 'Nekrosezone'}))


@pytest.mark.parametrize(
    ('key', 'change', 'message'),
    [
        ('annotations', {'bbox': [1, 2, 50, 50]}, r'annotations\[0\]: expected a box \[x1, y1, x2, y2\] of 50 x 50'),
        ('annotations', {'bbox': [float('nan')] * 4}, r'annotations\[0\]: bbox: expected a coordinate'),
        ('annotations', {'bbox': None}, r'annotations\[0\]: expected bbox as'),
        ('annotations', {'image_id': 99}, r'annotations\[0\]: belongs to image 99'),
        ('annotations', {'image_id': []}, r'annotations\[0\]: belongs to image \[\]'),
        ('annotations', {'id': 2}, r'annotations\[1\]: the id 2 occurs twice'),
        ('images', {'file_name': '/etc/passwd'}, r'images\[0\]: the file name .* leads out'),
        ('images', {'width': -3}, r'images\[0\]: expected a new id and a size'),
        ('images', {'height': 1.5}, r'images\[0\]: expected a whole number as height'),
        ('categories', {'id': 'x'}, r'categories\[0\]: expected a whole number as id'),
    ],
)
def test_nonsense_is_named(tmp_path: Path, key: str, change: dict[str, Any], message: str) -> None:
    document = _coco()
    document[key][0].update(change)
    with pytest.raises(AnnotationError, match=message):
        Ccmct().read(_write(tmp_path, document))


def test_other_classes_are_refused(tmp_path: Path) -> None:
    document = _coco()
    document['categories'] = [{'id': 1, 'name': 'mitotic figure'}, {'id': 2, 'name': 'hard negative'}]
    with pytest.raises(AnnotationError, match="expected the classes 2 mitotic figure and 7 look-alike, found 1 'mito"):
        Ccmct().read(_write(tmp_path, document))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere(tmp_path: Path, data: st.DataObject) -> None:
    document = _coco()
    key = data.draw(st.sampled_from(['images', 'annotations', 'categories']))
    entry = data.draw(st.sampled_from(document[key]))
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(JSON)
    if data.draw(st.booleans()):
        document[key] = data.draw(JSON)
    message = error_of(lambda: to_document(Ccmct().read(_write(tmp_path, document)), tool='test', arguments={}))
    assert (
        not message
        or 'MITOS_WSI_CCMCT_MEL.json' in message
        or 'no image is left' in message
        or 'holds no image' in message
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.just(b'[' * 100_000) | st.just(b'{"images": ' + b'9' * 5000))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(AnnotationError):
        Ccmct().read(path)
