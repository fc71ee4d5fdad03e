"""Which files of a folder are images and slides."""

from __future__ import annotations

import os

import pytest
from dicom_files import CT, write_dicom

from mitouts.errors import ImageError
from mitouts.imaging.walk import find_images, is_junk, slide_file, slide_in_folder, walk_files


def _touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b'x')


def _found(root, **options):
    return [path.relative_to(root).as_posix() for path in find_images(root, **options)[0]]


def test_slides_of_every_scanner_are_found_and_other_files_are_not(tmp_path):
    slides = ['a.bif', 'b.svslide', 'c.vms', 'd.vmu', 'e.SCN', 'f.mrxs', 'g.ndpi', 'h.svs', 'i.tiff', 'j.png', 'k.btf']
    _touch(tmp_path, *slides, 'notes.txt', 'a.geojson', 'f/Data0000.dat', 'f/Slidedat.ini', 'README', 'counts.csv')
    assert _found(tmp_path) == slides


def test_slides_that_nothing_opens_are_not_passed_over(tmp_path):
    _touch(tmp_path, 'a.czi', 'b.vsi', 'c.isyntax', 'd.ome.zarr/0/0.0.0', 'e.dcm')
    (tmp_path / 'gone.svs').symlink_to(tmp_path / 'elsewhere.svs')
    assert _found(tmp_path) == ['a.czi', 'b.vsi', 'c.isyntax', 'd.ome.zarr', 'e.dcm', 'gone.svs']


def test_an_image_of_an_unusual_ending_is_told_of(tmp_path):
    _touch(tmp_path, 'a.tif', 'notes.txt')
    for name, begin in (('b.lsm', b'II*\0'), ('c.tif.bak', b'MM\0+'), ('d', b'\x89PNG'), ('e.jfif', b'\xff\xd8\xff')):
        (tmp_path / name).write_bytes(begin + bytes(9))
    slides, notes = find_images(tmp_path)
    assert slides == [tmp_path / 'a.tif']
    assert [note.partition(' is passed over')[0] for note in notes] == [
        str(tmp_path / name) for name in ('b.lsm', 'c.tif.bak', 'd', 'e.jfif')
    ]


def test_what_operating_systems_leave_is_no_image(tmp_path):
    _touch(tmp_path, 'a.tif', '._a.tif', '.hidden.png', 'Thumbs.db')
    _touch(tmp_path, '__MACOSX/a.tif', '.git/b.png', '$RECYCLE.BIN/c.svs')
    assert _found(tmp_path) == ['a.tif']
    assert [path.name for path in walk_files(tmp_path)] == ['a.tif']
    assert is_junk('.DS_Store')
    assert not is_junk('DS_Store.png')


def test_linked_folders_are_followed_and_circles_end(tmp_path):
    _touch(tmp_path, 'data/x/1.png', 'elsewhere/2.png')
    (tmp_path / 'data/link').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere/up').symlink_to(tmp_path)
    (tmp_path / 'data/x/self').symlink_to(tmp_path / 'data/x')
    assert _found(tmp_path / 'data') == ['link/2.png', 'x/1.png']
    assert {os.path.realpath(path) for path in walk_files(tmp_path / 'data')} == {
        str(tmp_path / 'data/x/1.png'),
        str(tmp_path / 'elsewhere/2.png'),
    }


def test_a_file_that_two_names_lead_to_is_found_once(tmp_path):
    _touch(tmp_path, 'a/1.png')
    (tmp_path / 'b').symlink_to(tmp_path / 'a')
    (tmp_path / 'c.png').symlink_to(tmp_path / 'a/1.png')
    assert _found(tmp_path) == ['a/1.png']


def test_depth_and_folders_that_are_left_out(tmp_path):
    _touch(tmp_path, '1.png', 'a/2.png', 'a/b/3.png', 'out/4.png')
    assert _found(tmp_path, max_depth=0) == ['1.png']
    assert _found(tmp_path, leave_out=[tmp_path / 'out']) == ['1.png', 'a/2.png', 'a/b/3.png']
    assert len(list(walk_files(tmp_path, ('.png',), max_depth=1))) == 3


def test_dicom_slide_is_one_slide_and_other_objects_are_told_of(tmp_path):
    write_dicom(tmp_path / 's/level.dcm', '1.1', columns=900)
    write_dicom(tmp_path / 's/small', '1.1', columns=90)
    write_dicom(tmp_path / 's/1.2.840.5', '1.1', 'LABEL')
    write_dicom(tmp_path / 's/second.dcm', '1.2')
    write_dicom(tmp_path / 't/ct.dcm', '1.3', class_uid=CT)
    _touch(tmp_path, 's/DICOMDIR')
    slides, notes = find_images(tmp_path)
    assert slides == [tmp_path / 's/level.dcm', tmp_path / 's/second.dcm']
    assert len(notes) == 1
    assert 't/ct.dcm is passed over: it is a DICOM object that is no whole-slide image' in notes[0]
    assert slide_file(tmp_path / 's/1.2.840.5') == tmp_path / 's/level.dcm'
    assert slide_in_folder(tmp_path / 's') is None
    (tmp_path / 's/second.dcm').unlink()
    assert slide_in_folder(tmp_path / 's') == slide_file(tmp_path / 's') == tmp_path / 's/level.dcm'
    assert slide_in_folder(tmp_path / 'nowhere') is None
    with pytest.raises(ImageError, match='is a folder: expected a slide, or the folder of one DICOM slide'):
        slide_file(tmp_path)


def test_parts_of_a_hamamatsu_slide_are_no_slides(tmp_path):
    _touch(tmp_path, 'a.jpg', 'a_map2.jpg', 'a_macro.jpg', 'other.jpg')
    (tmp_path / 'a.vms').write_text(
        '[Virtual Microscope Specimen]\nNoLayers=1\nImageFile=a.jpg\nMapFile=a_map2.jpg\nMacroImage=a_macro.jpg\n'
    )
    assert _found(tmp_path) == ['a.vms', 'other.jpg']
