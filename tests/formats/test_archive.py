"""Label files out of folders and archives."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitouts.errors import AnnotationError
from mitouts.formats import archive
from mitouts.formats.archive import read_files, read_rows, walk

FILES = {'01/01.csv': '1,2\n', '01/02.csv': '', 'deep/er/02/01.CSV': '3,4'}


def _folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def _tar(path: Path, files: dict[str, str | bytes], mode: str = 'w:gz') -> Path:
    with tarfile.open(path, mode) as target:
        for name, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return path


def _zip(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path


@pytest.mark.parametrize('kind', ['folder', 'tar.gz', 'tar', 'zip'])
def test_folder_and_archives_hold_the_same(tmp_path: Path, kind: str) -> None:
    files = {**FILES, '01/.hidden.csv': 'x', '__MACOSX/01/01.csv': 'x', '01/image.tif': 'x'}
    if kind == 'folder':
        src = _folder(tmp_path / 'labels', files)
    elif kind == 'zip':
        src = _zip(tmp_path / 'labels.zip', dict(files))
    else:
        src = _tar(tmp_path / f'labels.{kind}', dict(files), 'w:gz' if kind == 'tar.gz' else 'w')
    assert read_files(src, '.csv') == FILES


@pytest.mark.parametrize('name', ['../01/01.csv', '/01/01.csv', '01/../../01.csv', 'C:/01.csv'])
def test_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    for src in (_tar(tmp_path / 'a.tar', {name: '1,2'}, 'w'), _zip(tmp_path / 'a.zip', {name: '1,2'})):
        with pytest.raises(AnnotationError, match='leads out of the folder'):
            read_files(src, '.csv')


def test_absurd_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, 'MAX_FILE_BYTES', 1 << 20)
    monkeypatch.setattr(archive, 'MAX_ARCHIVE_BYTES', 4 << 20)
    large = b'1' * ((1 << 20) + 1)
    _folder(tmp_path / 'folder', {'a.csv': large.decode()})
    for src in (
        tmp_path / 'folder',
        _tar(tmp_path / 'a.tar.gz', {'a.csv': large}),
        _zip(tmp_path / 'a.zip', {'a.csv': large}),
    ):
        with pytest.raises(AnnotationError, match=r'a\.csv is larger than 1 MiB'):
            read_files(src, '.csv')
    bomb = _tar(tmp_path / 'bomb.tar.gz', {'image.tif': b'\0' * (5 << 20), 'a.csv': '1,2'})
    assert bomb.stat().st_size < 10_000
    with pytest.raises(AnnotationError, match='unpacks to more than 4 MiB'):
        read_files(bomb, '.csv')


def test_a_zip_that_lies_about_its_sizes_is_read_no_further_than_it_says(tmp_path: Path) -> None:
    src = _zip(tmp_path / 'a.zip', {'a.csv': '1,2\n' * 1000})
    src.write_bytes(src.read_bytes().replace((4000).to_bytes(4, 'little'), (2).to_bytes(4, 'little')))
    with pytest.raises(AnnotationError, match=r'cannot be read as a \.tar, \.tar\.gz or \.zip'):
        read_files(src, '.csv')


def test_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.tar'
    with tarfile.open(path, 'w') as target:
        for _ in range(2):
            target.addfile(tarfile.TarInfo('01/01.csv'))
    with pytest.raises(AnnotationError, match=r'01/01\.csv is in it twice'):
        read_files(path, '.csv')


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    link = tarfile.TarInfo('01/01.csv')
    link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
    with tarfile.open(tmp_path / 'a.tar', 'w') as target:
        target.addfile(link)
    assert read_files(tmp_path / 'a.tar', '.csv') == {}


def test_missing_source_and_text_of_another_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match='no such folder or archive'):
        read_files(tmp_path / 'nowhere', '.csv')
    (tmp_path / 'a.csv').write_bytes(b'1,\xff')
    with pytest.raises(AnnotationError, match=r'a\.csv: not a text file \(byte 2 is not UTF-8\)'):
        read_files(tmp_path, '.csv')


def test_walk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _folder(tmp_path, {'1/2/3/4/5/6/a.tif': '', '1/2/3/4/5/6/7/b.tif': '', 'c.TIF': '', 'd.txt': '', '.e/f.tif': ''})
    assert sorted(walk(tmp_path)) == ['1/2/3/4/5/6/a.tif', 'c.TIF']
    (tmp_path / '1' / 'loop').symlink_to(tmp_path)
    assert sorted(walk(tmp_path)) == ['1/2/3/4/5/6/a.tif', 'c.TIF']
    monkeypatch.setattr(archive, 'MAX_ENTRIES', 2)
    with pytest.raises(AnnotationError, match='more than 2 files'):
        list(walk(tmp_path))


def test_file_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b'\xff.csv')).touch()
    with pytest.raises(AnnotationError, match='expected a file name'):
        read_files(tmp_path, '.csv')


def test_rows() -> None:
    assert list(read_rows('1, 2.5\r\n\n 30,4.0', ('row', 'col'), 'x')) == [(1, [1, 2.5]), (3, [30, 4])]


@pytest.mark.parametrize(
    'row', ['row,col', '1', '1,2,3', '1;2', '-1,2', 'nan,1', 'inf,1', '1_0,2', '１,2', '1e9,2', '0x1,2', ',', '1,']
)
def test_row_of_another_kind_is_refused(row: str) -> None:
    with pytest.raises(AnnotationError, match=r'^x: line 2: expected "row,col", numbers without a header, found'):
        list(read_rows(f'1,2\n{row}', ('row', 'col'), 'x'))


def test_coordinate_beyond_any_slide_is_refused() -> None:
    for digits in (9, 400, 5000):
        with pytest.raises(AnnotationError, match=r'^x: line 1: '):
            list(read_rows(f'1,{"9" * digits}', ('row', 'col'), 'x'))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(['tar', 'tar.gz', 'gzipped tar', 'zip']), data=st.data())
def test_damaged_archives_never_end_in_a_traceback(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / 'a'
    if kind == 'zip':
        _zip(path, {'01/01.csv': '1,2\n', '01/02.csv': '3,4\n' * 50})
    else:
        _tar(path, {'01/01.csv': '1,2\n', '01/02.csv': '3,4\n' * 50}, 'w:gz' if kind == 'tar.gz' else 'w')
    good = path.read_bytes()
    damaged = bytearray(good[: data.draw(st.integers(0, len(good)), label='length')])
    for _ in range(data.draw(st.integers(0, 4), label='bytes')):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(gzip.compress(bytes(damaged)) if kind == 'gzipped tar' else bytes(damaged))
    try:
        outcome: str | dict[str, str] = read_files(path, '.csv')
    except AnnotationError as error:
        outcome = str(error)
    assert str(path) in outcome if isinstance(outcome, str) else len(outcome) <= 2
