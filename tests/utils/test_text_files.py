"""Text and JSON in the encodings that editors write."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import pytest

from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.coco import make_annotation, make_document, make_image, read_coco
from mitouts.formats.geojson import read_geojson
from mitouts.formats.predictions import read_predictions
from mitouts.formats.splits import read_split_file
from mitouts.formats.tables import read_table
from mitouts.stain.fit import read_object
from mitouts.utils.text_files import parse_json, read_json, read_text

ENCODINGS = {
    'UTF-8': lambda text: text.encode(),
    'UTF-8 with a mark': lambda text: codecs.BOM_UTF8 + text.encode(),
    'UTF-16 of Windows': lambda text: codecs.BOM_UTF16_LE + text.encode('utf-16-le'),
    'UTF-16, big end first': lambda text: codecs.BOM_UTF16_BE + text.encode('utf-16-be'),
    'UTF-32': lambda text: text.encode('utf-32'),
}


@pytest.fixture(params=ENCODINGS)
def encode(request: pytest.FixtureRequest) -> Any:
    return ENCODINGS[request.param]


def test_json_is_read_in_every_encoding(tmp_path: Path, encode: Any) -> None:
    path = tmp_path / 'a.json'
    path.write_bytes(encode('{"Zürich": [1, 2.5, null]}\r\n'))
    assert read_json(path) == {'Zürich': [1, 2.5, None]}


def test_every_reader_of_json_takes_every_encoding(tmp_path: Path, encode: Any) -> None:
    import json

    document = make_document(
        [make_image(1, 'ü.png', 9, 9, case_id='Ä')], [make_annotation(1, 1, 1, 4, 4)], name='n', tool='t'
    )
    contents: dict[str, Any] = {
        'ann.json': document,
        'pred.json': {'images': [{'image_id': 1, 'score': 0.5, 'points': [[1, 2, 0.5]]}]},
        'split.json': {'train': ['Ä']},
        'fit.json': {'macenko': {}},
        'a.geojson': {'type': 'FeatureCollection', 'features': []},
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(encode(json.dumps(content, ensure_ascii=False)))
    assert read_coco(tmp_path / 'ann.json') == document
    assert read_predictions(tmp_path / 'pred.json').images[1].score == 0.5
    assert read_split_file(tmp_path / 'split.json') == {'Ä': 'train'}
    assert read_object(tmp_path / 'fit.json') == {'macenko': {}}
    assert read_geojson(tmp_path / 'a.geojson') == contents['a.geojson']


def test_tables_are_read_in_every_encoding(tmp_path: Path, encode: Any) -> None:
    path = tmp_path / 'slides.csv'
    path.write_bytes(encode('# made by hand\r\nslide;case_id\r\na.svs;Zürich\r\n'))
    table = read_table(path)
    assert (list(table.names), list(table.rows)) == (['slide', 'case_id'], [['a.svs', 'Zürich']])


def test_lines_end_alike(tmp_path: Path) -> None:
    path = tmp_path / 'a.txt'
    path.write_bytes(b'a\r\nb\rc\n')
    assert read_text(path) == 'a\nb\nc\n'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'{"a": [', r'not JSON \(line 1, column 8'),
        (b'\xff{}', r'not JSON \(byte 0 is not UTF-8\)'),
        (codecs.BOM_UTF16_LE + b'{', r'not JSON \(byte \d is not UTF-16\)'),
        (b'[' * 100_000, 'not JSON that any tool would write'),
        (b'1' * 5000, 'not JSON that any tool would write'),
    ],
)
def test_what_is_no_json_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(AnnotationError, match=f'a.json: {message}'):
        parse_json(content, 'a.json')


def test_a_stain_fit_that_is_no_json_is_an_error_of_the_config(tmp_path: Path) -> None:
    (tmp_path / 'fit.json').write_text('{')
    with pytest.raises(ConfigError, match='not JSON'):
        read_object(tmp_path / 'fit.json')
