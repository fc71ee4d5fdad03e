"""Finding the images that labels name."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicom_files import write_dicom

from mitouts.errors import AnnotationError
from mitouts.formats.source_files import find_file


def _touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ('there', 'name', 'found'),
    [
        ('a.png', 'a.png', 'a.png'),
        ('a.png', 'a', 'a.png'),
        ('a.tif', 'a.tiff', 'a.tif'),
        ('deep/a.NDPI', 'deep/a', 'deep/a.NDPI'),
        ('a.1.svs', 'a.1', 'a.1.svs'),
        ('b.png', 'a', None),
    ],
)
def test_files_are_found_with_and_without_their_suffix(
    tmp_path: Path, there: str, name: str, found: str | None
) -> None:
    path = find_file(_touch(tmp_path, there), name)
    assert path == (None if found is None else tmp_path / found)


@pytest.mark.parametrize('name', ['a', 'a.svs'])
def test_two_files_of_one_stem_are_not_chosen_between(tmp_path: Path, name: str) -> None:
    _touch(tmp_path, 'a.png', 'a.tif')
    with pytest.raises(AnnotationError, match=rf'{name} can be a\.tif or a\.png: leave one of them there'):
        find_file(tmp_path, name)
    # The suffix says which.
    assert find_file(tmp_path, 'a.png') == tmp_path / 'a.png'


def test_two_names_of_one_file_are_one(tmp_path: Path) -> None:
    _touch(tmp_path, 'a.tif')
    (tmp_path / 'a.tiff').symlink_to('a.tif')
    assert find_file(tmp_path, 'a') == tmp_path / 'a.tif'


def test_dicom_slide_is_found_by_any_of_its_files_and_by_its_folder(tmp_path):
    level = write_dicom(tmp_path / 'c1/slide 1/a.dcm', columns=2000)
    write_dicom(tmp_path / 'c1/slide 1/b.dcm', flavor='LABEL')
    for name in ('c1/slide 1/b.dcm', 'c1/slide 1/a.dcm', 'c1/slide 1', 'c1/slide 1.svs', 'c1/slide 1/b.svs'):
        assert find_file(tmp_path, name) == level
    assert find_file(tmp_path, 'c1') is None
    write_dicom(tmp_path / 'c1/slide 1/other.dcm', '9.9')
    assert find_file(tmp_path, 'c1/slide 1') is None
    assert find_file(tmp_path, 'c1/slide 1/other') == tmp_path / 'c1/slide 1/other.dcm'


@pytest.mark.parametrize('suffix', ['.bif', '.svslide', '.vms', '.NDPI', '.mrxs'])
def test_slide_of_any_scanner_is_found_without_its_suffix(suffix, tmp_path):
    (tmp_path / f'007{suffix}').touch()
    assert find_file(tmp_path, '007') == tmp_path / f'007{suffix}'
