"""What an earlier run left: kept, replaced where that is allowed, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mitouts.errors import AnnotationError
from mitouts.formats.coco import write_json
from mitouts.formats.provenance import read_earlier

ARGUMENTS = {'seed': 0, 'images': {'a': [1, 2]}, 'scanner': None}


def _write(path: Path, made: Any) -> Path:
    write_json(path, {'info': {'mitouts': made}, 'images': []})
    return path


@pytest.mark.parametrize('overwrite', [False, True])
def test_a_file_made_with_the_same_arguments_may_stay(tmp_path: Path, overwrite: bool) -> None:
    path = _write(tmp_path / 'train.json', {'tool': 'phantom', 'arguments': ARGUMENTS})
    document = read_earlier(path, 'phantom', ARGUMENTS, overwrite=overwrite)
    assert document is not None
    assert document['images'] == []


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'seed': 1}, r'train\.json was made with other arguments: seed 0 \(now 1\); choose .*--overwrite'),
        ({'images': {'a': [1, 3]}, 'scanner': 'b'}, r'arguments: images, scanner None \(now b\);'),
        ({'added': 2}, r'arguments: added None \(now 2\);'),
    ],
)
def test_a_file_made_with_other_arguments_needs_leave(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = _write(tmp_path / 'train.json', {'tool': 'phantom', 'arguments': ARGUMENTS})
    with pytest.raises(AnnotationError, match=message):
        read_earlier(path, 'phantom', {**ARGUMENTS, **change}, overwrite=False)
    assert read_earlier(path, 'phantom', {**ARGUMENTS, **change}, overwrite=True) is None


def test_an_argument_that_is_no_longer_one_differs(tmp_path: Path) -> None:
    path = _write(tmp_path / 'train.json', {'tool': 'phantom', 'arguments': ARGUMENTS})
    with pytest.raises(AnnotationError, match=r'arguments: seed 0 \(now None\);'):
        read_earlier(path, 'phantom', {'images': {'a': [1, 2]}}, overwrite=False)


@pytest.mark.parametrize('content', [[], {}, {'info': 3}, {'info': {'mitouts': {'tool': 'other'}}}])
def test_what_another_program_wrote_is_never_replaced(tmp_path: Path, content: Any) -> None:
    write_json(tmp_path / 'train.json', content)
    with pytest.raises(AnnotationError, match=r'train\.json was not written by'):
        read_earlier(tmp_path / 'train.json', 'phantom', ARGUMENTS, overwrite=True)
