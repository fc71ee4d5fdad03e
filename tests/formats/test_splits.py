"""Partitions and split files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.errors import AnnotationError
from mitouts.formats.splits import (
    Partition,
    WithinCasePartition,
    assign_splits,
    cases_of,
    check_cases,
    numbered,
    read_cases,
    read_split_file,
)

REAL = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'annotations'
IMAGES = [('001', '001.tiff'), ('002', '002.tiff'), ('010', 'deep/010.tiff')]


def _write(folder: Path, text: str, name: str = 'split.csv') -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_partition_none_and_unknown(tmp_path: Path) -> None:
    known = {'paper': Partition(numbered((2,), 3), numbered((10,), 3), 'somebody')}
    assert assign_splits('midog21', IMAGES, 'paper', known) == (['train', 'val', 'test'], 'somebody')
    assert assign_splits('midog21', IMAGES, 'none', known) == ([None] * 3, 'no split')
    with pytest.raises(AnnotationError, match=r"'published' of midog21 is neither a file nor one of paper, none"):
        assign_splits('midog21', IMAGES, 'published', known)
    with pytest.raises(AnnotationError, match='is neither a file'):
        assign_splits('midog21', IMAGES, tmp_path)


def test_a_case_that_a_partition_leaves_out_is_in_no_split() -> None:
    known = {'some': Partition(numbered((2,), 3), frozenset(), 'somebody', left_out=numbered((10,), 3))}
    assert assign_splits('midog21', IMAGES, 'some', known)[0] == ['train', 'val', 'ignore']


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from('ABC'), st.integers(0, 40)), min_size=1), st.sampled_from([0.1, 0.2, 0.5]))
def test_a_share_of_each_training_case_validates_in_the_order_of_hashes(
    given_images: list[tuple[str, int]], share: float
) -> None:
    partition = WithinCasePartition(
        frozenset(), frozenset('B'), 'us', left_out=frozenset('C'), val_share=share, key=lambda name: name[-9:-4]
    )
    images = [(case_id, f'{folder}/{number:05d}.jpg') for case_id, number in given_images for folder in ('a', 'b')]
    splits = partition.divide(images)
    assert partition.within_cases
    assert {split for (case_id, _), split in zip(images, splits) if case_id == 'B'} <= {'test'}
    assert {split for (case_id, _), split in zip(images, splits) if case_id == 'C'} <= {'ignore'}
    names = sorted(
        {name[-9:-4] for case_id, name in images if case_id == 'A'},
        key=lambda name: int(hashlib.sha256(name.encode()).hexdigest(), 16),
    )
    validating = names[: round(len(names) * share)]
    # Both pictures of one name are on one side.
    assert [split for (case_id, _), split in zip(images, splits) if case_id == 'A'] == [
        'val' if name[-9:-4] in validating else 'train' for case_id, name in images if case_id == 'A'
    ]
    shuffled = dict(zip(images[::-1], partition.divide(images[::-1])))
    assert [shuffled[image] for image in images] == splits


def test_sharing_cases_is_for_training_and_validation_alone() -> None:
    images = [('A', '1.png'), ('A', '2.png'), ('B', '3.png')]
    check_cases('cv', images, ['train', 'val', 'test'], within_cases=True)
    with pytest.raises(AnnotationError, match=r'cv: case A is in train \(1\.png\) and in test \(2\.png\)'):
        check_cases('cv', images, ['train', 'test', 'test'], within_cases=True)
    with pytest.raises(AnnotationError, match=r'case A is in train .* and in val'):
        check_cases('cv', images, ['train', 'val', 'test'])


@pytest.mark.parametrize(
    'text',
    [
        'case_id,split\n001,train\n002,val\n010,test\n',
        'split;case_id\ntrain;001\nval;002\ntest;010\n',
        'file_name\tsplit\n001.tiff\ttrain\n002.tiff\tVAL\n010.tiff\t test \n',
        '\ufeffSlide;Dataset\n1;train\n2;val\n10;test\n',
        '\n\nfile_name,split,remark\n001.tiff,train,\n\n002.tiff,val,"a, b"\ndeep/010.tiff,test,\n,,\n',
    ],
)
def test_tables(tmp_path: Path, text: str) -> None:
    assert assign_splits('other', IMAGES, _write(tmp_path, text))[0] == ['train', 'val', 'test']


@pytest.mark.parametrize(
    'document', [{'train': ['001'], 'val': ['002'], 'test': ['010']}, {'train': [1], 'val': [2], 'test': ['010.tiff']}]
)
def test_json(tmp_path: Path, document: dict[str, Any]) -> None:
    path = _write(tmp_path, json.dumps(document), 'split.json')
    assert assign_splits('other', IMAGES, path)[0] == ['train', 'val', 'test']


def test_a_case_is_not_mistaken_for_a_region_of_that_name(tmp_path: Path) -> None:
    images = [('01', '01/01.tif'), ('01', '01/07.tif'), ('07', '07/01.tif')]
    for text in ('case_id,split\n01,train\n07,test\n', 'case_id,split\n1,train\n7,test\n'):
        assert assign_splits('tupac16', images, _write(tmp_path, text))[0] == ['train', 'train', 'test']


def test_a_file_comes_before_its_case(tmp_path: Path) -> None:
    images = [('01', 'a.tif'), ('02', 'b.tif')]
    path = _write(tmp_path, 'file_name,split\na.tif,val\n01,train\n02,train\n')
    assert assign_splits('other', images, path)[0] == ['val', 'train']


def test_images_may_be_ignored(tmp_path: Path) -> None:
    path = _write(tmp_path, 'case_id,split\n001,train\n002,ignore\n010,ignore\n')
    assert assign_splits('other', IMAGES, path)[0] == ['train', 'ignore', 'ignore']


def test_every_image_must_be_named(tmp_path: Path) -> None:
    path = _write(tmp_path, 'case_id,split\n001,train\n')
    with pytest.raises(AnnotationError, match=r'says nothing of 2 of 3 images, the first is 002\.tiff'):
        assign_splits('other', IMAGES, path)


def test_a_case_belongs_to_one_split(tmp_path: Path) -> None:
    path = _write(tmp_path, 'file_name,split\na.tif,train\nb.tif,test\n')
    with pytest.raises(AnnotationError, match=r'case 5 is in train \(a\.tif\) and in test \(b\.tif\)'):
        assign_splits('other', [('5', 'a.tif'), ('5', 'b.tif')], path)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'expected a header with case_id'),
        ('name,part\n1,train\n', "expected a header with case_id, .* found 'name,part'"),
        ('case_id,split\n', 'names no case'),
        (
            'case_id,split\n1,train\n\n2,training\n',
            "line 4: expected one of train, val, test or ignore, found 'training'",
        ),
        ('case_id,split\n1,train\n1,test\n', 'line 3: 1 is in train and in test'),
        ('case_id,remark,split\n1,x\n', "line 2: expected one of train, val, test or ignore, found ''"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_split_file(_write(tmp_path, text))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[]', r'expected \{"train": '),
        ('{"train": "001"}', r'expected \{"train": '),
        ('{"training": ["001"]}', "training: expected one of train, val, test or ignore, found 'training'"),
        ('{"train": ["1"], "test": ["1"]}', '1 is in train and in test'),
        ('{', 'not JSON'),
        ('{}', 'names no case'),
    ],
)
def test_other_json_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_split_file(_write(tmp_path, text, 'split.json'))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(['split.csv', 'split.json', 'split.txt']),
    start=st.sampled_from(['', 'case_id,split\n', 'Slide;Dataset\n', '{"train": [', '\ufeff']),
    rest=st.one_of(st.binary(max_size=30), st.text('1,;"\n\r\0{}[]train', max_size=30).map(str.encode)),
)
def test_damaged_files_never_end_in_a_traceback(tmp_path: Path, name: str, start: str, rest: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(start.encode() + rest)
    try:
        outcome: str | dict[str, str] = read_split_file(path)
    except AnnotationError as error:
        outcome = str(error)
    assert (
        str(path) in outcome
        if isinstance(outcome, str)
        else set(outcome.values()) <= {'train', 'val', 'test', 'ignore'}
    )


def test_a_table_of_files_may_say_their_cases(tmp_path: Path) -> None:
    text = 'file_name,case_id,split\ns1.svs,P7,train\ns2.svs,P7,train\nsub\\s3.svs,P8,test\n'
    path = _write(tmp_path, text)
    assert read_split_file(path) == {'s1.svs': 'train', 's2.svs': 'train', 'sub/s3.svs': 'test'}
    assert read_cases(path) == {'s1.svs': 'P7', 's2.svs': 'P7', 'sub/s3.svs': 'P8'}
    # The images' own cases do not stand in the table: files are looked up.
    images = [('s1', 's1.svs'), ('s2', 's2.svs'), ('s3', 'sub/s3.svs')]
    assert assign_splits('other', images, path)[0] == ['train', 'train', 'test']


def test_one_ignored_image_does_not_divide_its_case(tmp_path: Path) -> None:
    path = _write(tmp_path, 'file_name,split\na.tif,train\nb.tif,ignore\n')
    assert assign_splits('other', [('5', 'a.tif'), ('5', 'b.tif')], path)[0] == ['train', 'ignore']


@pytest.mark.parametrize(
    'text',
    [
        'file_name,case_id\na/1.png,X\na/2.png,X\nb/1.png,Y\n',
        'case_id;slide\nX;a/1\nX;a/2\nY;b/1\n',
        '\ufefffile_name\tremark\tcase_id\na\\1.png\t\tX\na\\2.png\t\tX\nb\\1.png\t\tY\n',
    ],
)
def test_cases_are_found_by_path(tmp_path: Path, text: str) -> None:
    assert cases_of(_write(tmp_path, text), ['a/1.png', 'a/2.png', 'b/1.png']) == ['X', 'X', 'Y']


def test_cases_are_found_by_name_where_it_is_one_files(tmp_path: Path) -> None:
    path = _write(tmp_path, 'file_name,case_id\n1.png,X\n2,Y\n')
    assert cases_of(path, ['a/1.png', 'b/002.png']) == ['X', 'Y']
    with pytest.raises(AnnotationError, match=r'1\.png can be a/1\.png and b/1\.png: write the files with their folde'):
        cases_of(path, ['a/1.png', 'b/1.png'])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'expected a header with file_name and case_id'),
        ('case_id,split\n1,train\n', "expected a header with file_name and case_id, found 'case_id,split'"),
        ('file_name,case_id\n', 'names no file'),
        ('file_name,case_id\na.png,\n', 'line 2 names no case'),
        ('file_name,case_id\n,X\n', 'line 2 names no file'),
        ('file_name,case_id\na.png,X\na.png,Y\n', 'line 3: a.png is of case X and of case Y'),
        ('file_name,case_id\nb.png,X\n', r'names no case for 1 of 1 images, the first is a\.png'),
    ],
)
def test_other_tables_of_cases_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        cases_of(_write(tmp_path, text), ['a.png'])
