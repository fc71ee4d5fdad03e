from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
import torch

from mitouts.errors import CheckpointError
from mitouts.utils.tensor_file import read_tensor_file


def _zip_of(name: str, text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        archive.writestr(name, text)
    return content.getvalue()


def test_tensors_come_back(tmp_path: Path) -> None:
    torch.save({'a': torch.arange(3)}, tmp_path / 'a.pth')
    assert read_tensor_file(tmp_path / 'a.pth', 'checkpoint')['a'].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'it is empty'),
        (b'<!DOCTYPE html>\n<html><body>404</body></html>', 'it is a saved web page'),
        (b'\n <HTML><head></head></HTML>', 'it is a saved web page'),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'it is a saved web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n', 'it is a pointer of Git LFS'),
        (b'{"message": "Not Found"}', 'it is JSON'),
        (gzip.compress(b'weights', mtime=0), 'it is a gzip file'),
        (_zip_of('release/readme.txt', 'hello'), 'it is a zip archive of release/readme.txt'),
        (b'plain text of some length, no weights at all', 'it is broken'),
        (b'12345', 'it is broken'),
        (bytes(5000), 'it is broken'),
        (b'\x89PNG\r\n\x1a\n' + bytes(100), 'it is broken'),
    ],
)
def test_what_a_file_is_instead_of_weights_is_said(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / 'best.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f'^checkpoint .*best.pth cannot be read.*{message}') as raised:
        read_tensor_file(path, 'checkpoint')
    assert '\n' not in str(raised.value)


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='is a folder'):
        read_tensor_file(tmp_path, 'checkpoint')
    with pytest.raises(CheckpointError, match='does not exist'):
        read_tensor_file(tmp_path / 'none.pth', 'checkpoint')
