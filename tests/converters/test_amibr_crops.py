"""AMi-Br as a set of labelled crops."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters.amibr import AMiBr, read_amibr
from mitouts.converters.document import count_by_split, to_document
from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import read_coco, write_json
from mitouts.formats.source import SourceSet

SOURCE = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'AMi-Br'
HEADER = (
    ',slide,dataset,uid,x,y,expert1_label,expert2_label,expert1_atypical,expert2_atypical,expert3_atypical,'
    'majority_atypical'
)
ROWS = (
    '0,002.tiff,MIDOG21,6,4422,216,NMF metaphase,NMF metaphase,False,False,True,False',
    '1,141.tiff,MIDOG21,7,1867,1583,AMF segregation,NMF metaphase,True,False,True,True',
    '2,31_stitched1.tif,TUPAC16,6,100,200,AMF other,AMF other,True,True,True,True',
)


def _make(root: Path, *rows: str, header: str = HEADER) -> Path:
    (root / 'AMI-BR.csv').write_text('\n'.join((header, *rows)) + '\n')
    return root


def _add_crop(root: Path, name: str) -> None:
    (root / 'patches' / name).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / 'patches' / name), np.full((128, 128, 3), 200, np.uint8))


def test_crops_and_their_figures(tmp_path: Path) -> None:
    source = AMiBr().read(_make(tmp_path, *ROWS))
    assert [(i.file_name, i.case_id, i.width, i.height, i.mpp, dict(i.extra)) for i in source.images] == [
        (
            'patches/normal/MIDOG21_6.png',
            '002',
            128,
            128,
            0.23,
            {'label': 0, 'source': 'MIDOG21', 'scanner': 'Hamamatsu XR'},
        ),
        (
            'patches/atypical/MIDOG21_7.png',
            '141',
            128,
            128,
            0.25,
            {'label': 1, 'source': 'MIDOG21', 'scanner': 'Aperio CS2'},
        ),
        ('patches/atypical/TUPAC16_6.png', '31', 128, 128, 0.25, {'label': 1, 'source': 'TUPAC16'}),
    ]
    assert {(f.x, f.y, f.category_id) for f in source.figures} == {(63.5, 63.5, 1)}
    assert source.figures[0].extra == {
        'subtype': 'typical',
        'source_uid': '6',
        'slide': '002.tiff',
        'slide_point': [4422, 216],
        'phase': 'metaphase',
        'phases': ['NMF metaphase', 'NMF metaphase'],
        'votes': [0, 0, 1],
    }
    assert (source.figures[1].extra['subtype'], source.figures[1].extra['phase']) == ('atypical', None)


def test_both_sources_are_split_by_their_own_slides(tmp_path: Path) -> None:
    document = to_document(AMiBr().read(_make(tmp_path, *ROWS)), tool='t', arguments={})
    assert [(i['case_id'], i['split']) for i in document['images']] == [
        ('002', 'train'),
        ('141', 'val'),
        ('31', 'test'),
    ]


def test_label_of_all_figures(tmp_path: Path) -> None:
    source = AMiBr(label='mitosis').read(_make(tmp_path, *ROWS))
    assert [image.extra['label'] for image in source.images] == [1, 1, 1]
    assert 'the image label is 1 for all crops' in source.notes


def test_columns_of_the_experts_may_be_missing(tmp_path: Path) -> None:
    header = ',slide,dataset,uid,x,y,majority_atypical'
    source = AMiBr().read(_make(tmp_path, '0,002.tiff,MIDOG21,6,4422,216,False', header=header))
    assert set(source.figures[0].extra) == {'subtype', 'source_uid', 'slide', 'slide_point'}


def test_majority_that_contradicts_the_votes_is_said(tmp_path: Path) -> None:
    source = AMiBr().read(_make(tmp_path, ROWS[0].replace('False,False,True', 'False,True,True'), ROWS[1]))
    assert any('contradicts the votes of 1 figures, the first is uid 6' in note for note in source.notes)


def test_vote_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r'line 2: expected True or False from each expert, found .*maybe'):
        AMiBr().read(_make(tmp_path, ROWS[0].replace('False,False,True', 'False,maybe,True')))


def test_missing_crops_are_an_error_or_left_out(tmp_path: Path) -> None:
    source = AMiBr().read(_make(tmp_path, *ROWS))
    _add_crop(tmp_path, 'normal/MIDOG21_6.png')
    with pytest.raises(AnnotationError, match=r'2 of 3 images are missing \(patches/atypical/MIDOG21_7\.png'):
        to_document(source, tool='t', arguments={}, image_root=tmp_path)
    document = to_document(source, tool='t', arguments={}, image_root=tmp_path, skip_missing=True)
    assert [image['file_name'] for image in document['images']] == ['patches/normal/MIDOG21_6.png']


def test_fields_are_made_of_midog_alone(tmp_path: Path) -> None:
    _make(tmp_path, *ROWS)
    for name in ('normal/MIDOG21_6.png', 'atypical/TUPAC16_6.png'):
        _add_crop(tmp_path, name)
    with pytest.warns(AnnotationWarning, match='1 of 2 crops are missing'):
        assert [figure.slide for figure in read_amibr(tmp_path)] == ['002.tiff']
    _make(tmp_path, ROWS[2])
    with pytest.raises(AnnotationError, match='holds no figure of MIDOG21'):
        read_amibr(tmp_path)


def test_text_of_another_encoding_is_refused(tmp_path: Path) -> None:
    _make(tmp_path, *ROWS)
    (tmp_path / 'AMI-BR.csv').write_bytes((tmp_path / 'AMI-BR.csv').read_bytes() + b'\xff')
    with pytest.raises(AnnotationError, match=r'AMI-BR\.csv: not a text file \(byte \d+ is not UTF-8\)'):
        AMiBr().read(tmp_path)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.integers(0, 2),
    column=st.integers(0, 12),
    value=st.one_of(st.text(max_size=6), st.sampled_from(['-1', 'nan', '1e9', '9' * 5000, '../..', '/', '.', '"'])),
    length=st.one_of(st.none(), st.integers(0, 400)),
)
def test_damaged_csv_never_ends_in_a_traceback(
    tmp_path: Path, row: int, column: int, value: str, length: int | None
) -> None:
    rows: list[Any] = [each.split(',') for each in ROWS]
    rows[row][column:] = [value, *rows[row][column + 1 :]]
    text = '\n'.join((HEADER, *(','.join(each) for each in rows)))
    (tmp_path / 'AMI-BR.csv').write_bytes(text.encode('utf-8', 'surrogatepass')[:length])
    try:
        outcome: str | SourceSet = AMiBr().read(tmp_path)
    except AnnotationError as error:
        outcome = str(error)
    assert 'AMI-BR.csv' in outcome if isinstance(outcome, str) else len(outcome.images) <= 4


def test_real_crops(tmp_path: Path) -> None:
    if not SOURCE.is_dir():
        pytest.skip('the AMi-Br crops are not at ../shared/data/AMi-Br')
    with (SOURCE / 'AMI-BR.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    document = to_document(
        AMiBr().read(SOURCE), tool='t', arguments={}, image_root=SOURCE, out=tmp_path / 'deep' / 'amibr.json'
    )
    counts = count_by_split(document)
    assert {split: row['images'] for split, row in counts.items()} == {
        'train': 1378,
        'val': 194,
        'test': 149,
        'all': 1721,
    }
    labels = Counter(image['label'] for image in document['images'])
    assert labels == {0: 1317, 1: 404}
    assert labels[1] == sum(row['majority_atypical'] == 'True' for row in rows)
    assert labels[1] == len(list((SOURCE / 'patches' / 'atypical').iterdir()))
    assert [a['slide_point'] for a in document['annotations']] == [[int(r['x']), int(r['y'])] for r in rows]
    assert [image['case_id'] + '.tiff' for image in document['images']] == [row['slide'] for row in rows]
    write_json(tmp_path / 'deep' / 'amibr.json', document)
    again = read_coco(tmp_path / 'deep' / 'amibr.json')
    assert again['annotations'] == json.loads(json.dumps(document['annotations']))
    root = tmp_path / 'deep' / again['info']['mitouts']['image_root']
    assert (root / again['images'][-1]['file_name']).is_file()
