"""Reading the csv files of TUPAC16."""

from __future__ import annotations

import contextlib
import io
import re
import sqlite3
import subprocess
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.converters import tupac16
from mitouts.converters.document import count_by_split, to_document
from mitouts.converters.tupac16 import Tupac16
from mitouts.errors import AnnotationError
from mitouts.formats.source import SourceSet

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'annotations'
LABELS = {'01/01.csv': '10,20\n30,40\n', '01/02.csv': '', '30/01.csv': '5,2500\n'}


def _labels(root: Path, files: dict[str, str] | None = None) -> Path:
    for name, text in (LABELS if files is None else files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def _image(path: Path, width: int = 2000, height: int = 2000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.memmap(path, shape=(height, width, 3), dtype='uint8', photometric='rgb')


def _points(source) -> list[tuple[str, float, float]]:
    return [(figure.file_name, figure.x, figure.y) for figure in source.figures]


def test_rows_are_row_and_column(tmp_path: Path) -> None:
    source = Tupac16(origin=0).read(_labels(tmp_path))
    assert _points(source) == [('01/01', 20, 10), ('01/01', 40, 30), ('30/01', 2500, 5)]
    assert [(i.file_name, i.case_id, i.width, i.height, i.mpp) for i in source.images] == [
        ('01/01', '01', 2000, 2000, 0.25),
        ('01/02', '01', 2000, 2000, 0.25),
        ('30/01', '30', 5657, 5657, 0.25),
    ]
    assert {figure.category_id for figure in source.figures} == {1}
    assert '1 of 3 regions hold no figure' in source.notes
    assert any('with --image-root those without one come in as negative' in note for note in source.notes)


@pytest.mark.parametrize('prefix', ['', 'mitoses_ground_truth/', 'TUPAC_AL/mitoses_ground_truth/'])
def test_tree_may_be_deeper_and_packed(tmp_path: Path, prefix: str) -> None:
    expected = _points(Tupac16(origin=0).read(_labels(tmp_path / 'plain')))
    files = {prefix + name: text for name, text in LABELS.items()}
    with tarfile.open(tmp_path / 'a.tar.gz', 'w:gz') as tar, zipfile.ZipFile(tmp_path / 'a.zip', 'w') as packed:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
            packed.writestr(name, text)
    for src in (_labels(tmp_path / 'deep', files), tmp_path / 'a.tar.gz', tmp_path / 'a.zip'):
        assert _points(Tupac16(origin=0).read(src)) == expected


@pytest.mark.parametrize(
    ('row', 'first', 'why'),
    [
        ('0,7', 0, r'01/03\.csv, line 1 has a coordinate 0$'),
        ('7,0', 0, r'01/03\.csv, line 1 has a coordinate 0$'),
        ('2000,7', 1, r'01/03\.csv, line 1 has a coordinate 2000 in a region of 2000 px$'),
        ('7,2000', 1, r'01/03\.csv, line 1 has a coordinate 2000 in a region of 2000 px$'),
    ],
)
def test_a_coordinate_that_only_one_origin_allows_decides(tmp_path: Path, row: str, first: int, why: str) -> None:
    source = Tupac16().read(_labels(tmp_path, {**LABELS, '01/03.csv': row}))
    assert _points(source)[0] == ('01/01', 20 - first, 10 - first)
    (note,) = [note for note in source.notes if note.startswith('coordinates are')]
    assert note.startswith(f'coordinates are {first}-based: ')
    assert re.search(why, note)


def test_the_size_of_a_larger_image_is_evidence_too(tmp_path: Path) -> None:
    source = Tupac16().read(_labels(tmp_path, {'30/01.csv': '5657,2000'}))
    assert _points(source) == [('30/01', 1999, 5656)]
    assert any('1-based: ' in note and 'a coordinate 5657 in a region of 5657 px' in note for note in source.notes)
    assert any('cannot be told' in note for note in Tupac16().read(_labels(tmp_path, {'30/01.csv': '2000,7'})).notes)


@pytest.mark.parametrize(('count', 'first', 'name'), [(1552, 1, 'original release'), (1999, 0, 'alternative labels')])
def test_the_number_of_figures_of_a_release_decides(tmp_path: Path, count: int, first: int, name: str) -> None:
    source = Tupac16().read(_labels(tmp_path, {'01/01.csv': '10,20\n' * count}))
    assert _points(source)[0] == ('01/01', 20 - first, 10 - first)
    assert any(f'{first}-based: {count:,} figures, as many as in the {name}' in note for note in source.notes)


def test_an_origin_that_cannot_be_told_is_assumed_and_said(tmp_path: Path) -> None:
    source = Tupac16().read(_labels(tmp_path))
    assert _points(source)[0] == ('01/01', 20, 10)
    assert any('cannot be told' in note and 'assumed 0' in note and '--origin 1' in note for note in source.notes)


def test_contradicting_evidence_is_refused_and_overridden(tmp_path: Path) -> None:
    _labels(tmp_path, {**LABELS, '01/03.csv': '0,7', '02/01.csv': '7,2000'})
    with pytest.raises(
        AnnotationError, match=r'01/03\.csv, line 1 has a coordinate 0, .*02/01\.csv, line 1 .* --origin 0'
    ):
        Tupac16().read(tmp_path)
    source = Tupac16(origin=1).read(tmp_path)
    assert ('01/03', 6, -1) in _points(source)
    assert any('1-based: --origin says so (against it: ' in note for note in source.notes)


def test_a_count_that_disagrees_with_the_coordinates_is_said(tmp_path: Path) -> None:
    source = Tupac16().read(_labels(tmp_path, {'01/01.csv': '10,20\n' * 1998 + '10,2000'}))
    assert any(
        '1-based: ' in note and '(against it: 1,999 figures, as many as in the alternative labels)' in note
        for note in source.notes
    )


def test_images_in_parts_are_found_and_those_without_csv_are_negative(tmp_path: Path) -> None:
    labels = _labels(tmp_path / 'labels')
    names = ('part_1/01/01.tif', 'part_1/01/02.tif', 'part_1/01/03.tif', 'part_3/30/01.tif', 'part_3/31/01.tif')
    for name in names:
        _image(tmp_path / 'images' / f'mitoses_image_data_{name}', *((5657, 5657) if name.startswith('part_3') else ()))
    source = Tupac16(origin=0).read(labels, image_root=tmp_path / 'images')
    document = to_document(source, tool='t', arguments={}, image_root=tmp_path / 'images', out=tmp_path / 'a.json')
    found = {i['file_name']: (i['width'], i['height'], i['case_id'], i['split']) for i in document['images']}
    assert found == {
        'mitoses_image_data_part_1/01/01.tif': (2000, 2000, '01', 'train'),
        'mitoses_image_data_part_1/01/02.tif': (2000, 2000, '01', 'train'),
        'mitoses_image_data_part_1/01/03.tif': (2000, 2000, '01', 'train'),
        'mitoses_image_data_part_3/30/01.tif': (5657, 5657, '30', 'val'),
    }
    assert '1 images have no csv and are taken as regions without figures' in source.notes
    # Case 31 has no csv at all, and three figures are no whole release: nobody knows whether it was looked at.
    assert any(note.startswith('left out 1 images of cases that have no csv at all (31') for note in source.notes)


def test_cases_without_csv_are_negative_in_a_whole_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tupac16, 'RELEASES', {3: (1, 'small release')})
    for name in ('01/01.tif', '31/01.tif'):
        _image(tmp_path / 'images' / name)
    source = Tupac16().read(_labels(tmp_path / 'labels'), image_root=tmp_path / 'images')
    assert [image.file_name for image in source.images] == ['01/01.tif', '01/02', '30/01', '31/01.tif']


def test_training_and_test_images_at_once_are_refused(tmp_path: Path) -> None:
    for name in ('train/01/01.tif', 'test/01/01.tif'):
        _image(tmp_path / 'images' / name)
    with pytest.raises(AnnotationError, match=r'two images of case 01, region 01; give the folder of the training'):
        Tupac16().read(_labels(tmp_path / 'labels'), image_root=tmp_path / 'images')


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    _image(tmp_path / 'images/01/01.tif', width=1000)
    source = Tupac16(origin=0).read(_labels(tmp_path / 'labels', {'01/01.csv': '1,2'}), image_root=tmp_path / 'images')
    with pytest.raises(AnnotationError, match='is 1000 x 2000 px, a region of case 01 of TUPAC16 has 2000 x 2000'):
        to_document(source, tool='t', arguments={}, image_root=tmp_path / 'images')


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ({'01.csv': '1,2'}, r'expected case/region\.csv such as 01/07\.csv, found 01\.csv$'),
        ({'74/01.csv': '1,2', 'a/b.csv': 'x'}, r'expected case/region\.csv .* found 74/01\.csv, a/b\.csv$'),
        ({}, r'expected case/region\.csv .* found no csv$'),
        ({'01/01.csv': '1,2', 'AL/01/01.csv': '1,2'}, r'case 01, region 01 has another csv, .*give the folder of one'),
        ({'01/01.csv': '1,2', '1/1.csv': '1,2'}, r'case 01, region 01 has another csv'),
        ({'01/01.csv': 'row,col\n1,2'}, r'01/01\.csv: line 1: expected "row,col", numbers without a header, found'),
        ({'01/01.csv': '1,2\n1,-2'}, r"01/01\.csv: line 2: .* found '1,-2'"),
        ({'01/01.csv': '1,99999999'}, r'01/01\.csv: line 1: the coordinate .* larger than any slide'),
    ],
)
def test_other_files_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        Tupac16().read(_labels(tmp_path, files))


def test_other_csv_files_are_passed_over_and_said(tmp_path: Path) -> None:
    source = Tupac16(origin=0).read(_labels(tmp_path, {**LABELS, 'readme/split.csv': 'a;b'}))
    assert len(source.images) == 3
    assert any('passed over 1 csv files' in note and 'readme/split.csv' in note for note in source.notes)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.binary(max_size=60), st.text('0123456789,.-e\n\r "naif', max_size=40).map(str.encode)))
def test_damaged_csv_never_ends_in_a_traceback(tmp_path: Path, text: bytes) -> None:
    (tmp_path / '01').mkdir(exist_ok=True)
    (tmp_path / '01' / '01.csv').write_bytes(text)
    try:
        outcome: SourceSet | str = Tupac16().read(tmp_path)
    except AnnotationError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert '01/01.csv' in outcome
    else:
        rows = [row for row in text.decode('utf-8-sig').splitlines() if row.strip()]
        assert len(outcome.figures) == len(rows)


@pytest.fixture(scope='module')
def real() -> Path:
    path = REAL / 'TUPAC_AL_mitoses_ground_truth.tar.gz'
    if not path.is_file():
        pytest.skip('the public label files are not at ../shared/data/annotations')
    return path


def test_real_alternative_labels(real: Path) -> None:
    listed = subprocess.run(['tar', 'tzf', str(real)], capture_output=True, text=True, check=True).stdout.split()
    rows = subprocess.run(['tar', 'xzOf', str(real)], capture_output=True, text=True, check=True).stdout.split()
    source = Tupac16().read(real)
    assert len(source.images) == len(listed) == 656
    assert len(source.figures) == len(rows) == 1999
    expected = Counter(tuple(map(int, reversed(row.split(',')))) for row in rows)
    assert Counter((figure.x, figure.y) for figure in source.figures) == expected
    assert 'coordinates are 0-based: 1,999 figures, as many as in the alternative labels' in source.notes
    assert '145 of 656 regions hold no figure' in source.notes
    counts = count_by_split(to_document(source, tool='t', arguments={}))
    assert [(counts[part]['images'], counts[part]['cases']) for part in ('train', 'val', 'test')] == [
        (642, 59),
        (7, 7),
        (7, 7),
    ]


def test_real_first_region(real: Path) -> None:
    source = Tupac16().read(real)
    # 01/01.csv holds "839,2" and "778,1586".
    assert [(f.x, f.y) for f in source.figures if f.file_name == '01/01'] == [(2, 839), (1586, 778)]
    shifted = Tupac16(origin=1).read(real)
    assert {(a.x - b.x, a.y - b.y) for a, b in zip(source.figures, shifted.figures)} == {(1, 1)}


def test_real_regions_have_the_sizes_and_the_origin_of_the_database(real: Path) -> None:
    """SlideRunner counts from 0, and its database holds the images of cases 24 to 73 as they are."""
    path = REAL / 'TUPAC_alternativeLabels_training.sqlite'
    with contextlib.closing(sqlite3.connect(f'file:{path}?mode=ro&immutable=1', uri=True)) as database:
        slides = database.execute('SELECT uid, filename, width, height FROM Slides').fetchall()
        points = database.execute('SELECT slide, coordinateX, coordinateY FROM Annotations_coordinates').fetchall()
    stored = {uid: name.split('.')[0] for uid, name, _, _ in slides if '_' not in name}
    assert {(width, height) for uid, _, width, height in slides if uid in stored} == {(5657, 5657)}
    expected = {(stored[slide], x, y) for slide, x, y in points if slide in stored}
    source = Tupac16().read(real)
    found = [(f.file_name[:2], f.x, f.y) for f in source.figures if int(f.file_name[:2]) > 23]
    assert len(found) == 670
    assert sum(point in expected for point in found) == 624
    shifted = [(f.file_name[:2], f.x, f.y) for f in Tupac16(origin=1).read(real).figures if int(f.file_name[:2]) > 23]
    assert sum(point in expected for point in shifted) == 0
