"""Which DICOM files make one slide."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicom_files import CT, EXPLICIT, IMPLICIT, WHOLE_SLIDE, write_dicom

from mitouts.errors import ImageError
from mitouts.imaging import open_slide
from mitouts.imaging.dicom import DicomHeader, dicom_slide, dicom_slides, is_dicom, read_dicom_header

REAL = Path(__file__).parents[3] / 'shared' / 'data' / 'slides' / 'CMU-1-Small-Region_dicom'


@pytest.mark.parametrize('syntax', [EXPLICIT, IMPLICIT])
def test_header_says_series_kind_and_width(syntax, tmp_path):
    path = write_dicom(tmp_path / 'a', '1.2.840.7', 'OVERVIEW', 123_456, syntax=syntax)
    assert is_dicom(path)
    assert read_dicom_header(path) == DicomHeader('1.2.840.7', WHOLE_SLIDE, 'OVERVIEW', 123_456)


def test_every_file_of_a_slide_leads_to_its_largest_level(tmp_path):
    names = {'a.dcm': 500, 'b.dcm': 2000, 'c.dcm': 1000}
    files = [write_dicom(tmp_path / name, columns=columns) for name, columns in names.items()]
    files += [write_dicom(tmp_path / f'{flavor}.dcm', flavor=flavor) for flavor in ('LABEL', 'OVERVIEW', 'THUMBNAIL')]
    assert {dicom_slide(path) for path in files} == {tmp_path / 'b.dcm'}


def test_two_series_in_a_folder_are_two_slides(tmp_path):
    for series in ('1.1', '1.2'):
        for columns in (100, 200):
            write_dicom(tmp_path / f'{series}-{columns}.dcm', series, columns=columns)
    assert dicom_slides(tmp_path) == [tmp_path / '1.1-200.dcm', tmp_path / '1.2-200.dcm']
    write_dicom(tmp_path / 'z.dcm', '1.3')
    assert len(dicom_slides(tmp_path)) == 3


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'flavor': 'LABEL'}, 'is the label of a slide: expected a level'),
        ({'class_uid': CT}, 'is a DICOM object that is no whole-slide image: expected a level'),
    ],
)
def test_file_without_a_slide_is_an_error(options, message, tmp_path):
    write_dicom(tmp_path / 'other.dcm', '9.9')
    path = write_dicom(tmp_path / 'a.dcm', '1.1', **options)
    with pytest.raises(ImageError, match=message):
        dicom_slide(path)


def test_label_alone_is_refused_by_name_when_it_is_opened(tmp_path):
    with pytest.raises(ImageError, match=r'a\.dcm is the label of a slide: expected a level'):
        open_slide(write_dicom(tmp_path / 'a.dcm', flavor='LABEL'))


@pytest.mark.parametrize('length', [133, 150, 200, 260, 300])
def test_cut_header_is_an_error_or_says_less(length, tmp_path):
    data = write_dicom(tmp_path / 'a.dcm').read_bytes()
    (tmp_path / 'a.dcm').write_bytes(data[:length])
    with pytest.raises(ImageError, match=r'a\.dcm'):
        dicom_slide(tmp_path / 'a.dcm')


@pytest.mark.skipif(not REAL.is_dir(), reason='third-party slides (../shared/data/slides) are not here')
def test_real_slide_of_four_files_is_one(tmp_path):
    files = sorted(REAL.iterdir())
    assert len(files) == 4
    (slide,) = {dicom_slide(path) for path in files}
    assert read_dicom_header(slide).flavor == 'VOLUME'
    for path in files:
        with open_slide(path) as reader:
            assert (reader.dimensions, reader.mpp) == ((2220, 2967), pytest.approx(0.499))
