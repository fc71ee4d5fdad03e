"""What a file's header says, and images that are refused by it."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mitouts.errors import AnnotationWarning, ImageError
from mitouts.imaging.image import read_rgb, write_rgb
from mitouts.imaging.image_header import ImageInfo, encoded_image, probe, scanner_mpp
from mitouts.imaging.size_limit import max_image_px

WIDTH, HEIGHT = 30, 20


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that states any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(10_000), 9)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.tif', '.webp'])
def test_probe_says_the_size(suffix, rgb, tmp_path):
    write_rgb(tmp_path / f'a{suffix}', rgb)
    assert probe(tmp_path / f'a{suffix}') == ImageInfo(WIDTH, HEIGHT, None)


def test_probe_reads_a_jpeg_with_metadata_before_its_size(rgb, tmp_path):
    Image.fromarray(rgb).save(
        tmp_path / 'a.jpg', exif=b'Exif\0\0' + bytes(60_000), icc_profile=bytes(130_000), dpi=(300, 300)
    )
    assert probe(tmp_path / 'a.jpg') == ImageInfo(WIDTH, HEIGHT, None)
    Image.fromarray(rgb).save(tmp_path / 'b.jpg', progressive=True)
    assert probe(tmp_path / 'b.jpg') == ImageInfo(WIDTH, HEIGHT, None)


def test_probe_reads_no_pixel(rgb, tmp_path):
    (tmp_path / 'a.png').write_bytes(bomb(60_000, 50_000))
    assert probe(tmp_path / 'a.png') == ImageInfo(60_000, 50_000, None)


def test_probe_reads_a_slide_s_size_and_resolution(tmp_path):
    description = 'Aperio Image Library v11\n96x64 [0,0 96x64] (32x32) JPEG/RGB Q=70|AppMag = 40|MPP = 0.2525'
    options = {'photometric': 'rgb', 'tile': (32, 32), 'compression': 'jpeg', 'metadata': None}
    tifffile.imwrite(tmp_path / 'a.svs', np.zeros((64, 96, 3), np.uint8), description=description, **options)
    assert probe(tmp_path / 'a.svs') == ImageInfo(96, 64, 0.2525)
    tifffile.imwrite(
        tmp_path / 'b.tif', np.zeros((64, 96, 3), np.uint8), resolution=(40_000, 40_000), resolutionunit=3, **options
    )
    assert probe(tmp_path / 'b.tif') == ImageInfo(96, 64, 0.25)


@pytest.mark.parametrize(
    'data', [b'', b'text', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xe0', b'II*\0', b'BM', b'BMW 2002']
)
def test_probe_refuses_what_is_no_image(data, tmp_path):
    (tmp_path / 'a.png').write_bytes(data)
    with pytest.raises(ImageError, match=r'a\.png'):
        probe(tmp_path / 'a.png')


def test_bomb_is_refused_before_it_is_decoded(tmp_path):
    (tmp_path / 'bomb.png').write_bytes(bomb(60_000, 50_000))
    expected = r'bomb\.png is 60000 x 50000 px and would be decoded whole; the limit is 178,956,970 px\. Convert it'
    with pytest.raises(ImageError, match=expected) as error:
        read_rgb(tmp_path / 'bomb.png')
    assert 'MITOUTS_MAX_IMAGE_PX=3000000000 (at most 1073741824)' in str(error.value)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.tif', '.webp'])
def test_limit_comes_from_the_environment(suffix, rgb, tmp_path, monkeypatch):
    write_rgb(tmp_path / f'a{suffix}', rgb)
    monkeypatch.setenv('MITOUTS_MAX_IMAGE_PX', str(WIDTH * HEIGHT - 1))
    with pytest.raises(ImageError, match='is 30 x 20 px and would be decoded whole; the limit is 599 px'):
        read_rgb(tmp_path / f'a{suffix}')
    monkeypatch.setenv('MITOUTS_MAX_IMAGE_PX', str(WIDTH * HEIGHT))
    assert read_rgb(tmp_path / f'a{suffix}').shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(('text', 'limit'), [('1e9', 1_000_000_000), ('5', 5), ('1e12', 1 << 30), ('', 178_956_970)])
def test_limit(text, limit, monkeypatch):
    monkeypatch.setenv('MITOUTS_MAX_IMAGE_PX', text)
    assert max_image_px() == limit


@pytest.mark.parametrize('text', ['many', '-3', '0', 'nan', 'inf'])
def test_limit_that_makes_no_sense_is_an_error(text, monkeypatch):
    monkeypatch.setenv('MITOUTS_MAX_IMAGE_PX', text)
    with pytest.raises(ImageError, match='MITOUTS_MAX_IMAGE_PX in the environment must be a positive number'):
        max_image_px()


def test_limit_follows_pillow(monkeypatch):
    monkeypatch.setattr(PIL.Image, 'MAX_IMAGE_PIXELS', 1000)
    assert max_image_px() == 2000
    monkeypatch.setattr(PIL.Image, 'MAX_IMAGE_PIXELS', None)
    assert max_image_px() == 1 << 30


@given(
    st.binary(max_size=64),
    st.sampled_from([b'', b'\x89PNG\r\n\x1a\n', b'\xff\xd8', b'BM', b'II*\0', b'MM\0*', b'RIFF']),
)
def test_header_of_any_bytes_is_a_size_or_nothing(tail, magic):
    image = encoded_image(BytesIO(magic + tail))
    assert image is None or min(image.size) > 0


@pytest.mark.parametrize(
    ('mpp_xy', 'mpp'),
    [
        (None, None),
        ((0.25, 0.252), 0.251),
        ((0.1, 0.1), 0.1),
        ((2.0, 2.0), 2.0),
        ((0.09, 0.09), None),
        ((2.1, 2.1), None),
        ((float('nan'), 0.25), None),
        ((float('inf'), float('inf')), None),
    ],
)
def test_resolution_counts_where_a_scanner_can_have_it(mpp_xy, mpp):
    found = scanner_mpp(mpp_xy, 'a.tif')
    assert found == (None if mpp is None else pytest.approx(mpp))


def test_resolution_that_no_scanner_has_is_unknown_with_a_warning_unless_it_is_a_print_density(tmp_path):
    image = np.zeros((8, 9, 3), np.uint8)
    tifffile.imwrite(tmp_path / 'fine.tif', image, photometric='rgb', resolution=(2e6, 2e6), resolutionunit=3)
    with pytest.warns(AnnotationWarning, match=r'fine\.tif states 0\.005 um per pixel, which no scanner has'):
        assert probe(tmp_path / 'fine.tif').mpp is None
    tifffile.imwrite(tmp_path / 'print.tif', image, photometric='rgb', resolution=(300, 300), resolutionunit=2)
    assert probe(tmp_path / 'print.tif').mpp is None


def test_resolution_a_hundred_times_too_coarse_is_doubted_though_print_densities_are_as_coarse(tmp_path, recwarn):
    image = np.zeros((8, 9, 3), np.uint8)
    for name, pixels_per_cm in (('coarse', 1e4 / 28.97), ('dpi_72', 72 / 2.54), ('dpi_1200', 1200 / 2.54)):
        path = tmp_path / f'{name}.tif'
        tifffile.imwrite(path, image, photometric='rgb', resolution=(pixels_per_cm,) * 2, resolutionunit=3)
        assert probe(path).mpp is None
    (warning,) = recwarn
    assert 'coarse.tif states 28.97 um per pixel, which no scanner has' in str(warning.message)


def test_pixels_that_are_not_square_are_refused():
    with pytest.raises(ImageError, match=r'a\.tif has pixels of 0\.25 x 0\.26 um: expected square ones'):
        scanner_mpp((0.25, 0.26), 'a.tif')


def test_writing_leaves_no_half_file_behind(rgb, tmp_path, monkeypatch):
    path = tmp_path / 'a.png'
    write_rgb(path, rgb)
    before = path.read_bytes()

    def full_disk(self: Path, data: bytes) -> int:
        with self.open('wb') as file:
            file.write(bytes(data)[:10])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full_disk)
    with pytest.raises(OSError, match='No space left'):
        write_rgb(path, 255 - rgb)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.png']


def test_reading_gives_no_warning_near_pillow_s_limit(rgb, tmp_path, monkeypatch):
    write_rgb(tmp_path / 'a.webp', rgb)
    monkeypatch.setattr(PIL.Image, 'MAX_IMAGE_PIXELS', WIDTH * HEIGHT - 1)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        read_rgb(tmp_path / 'a.webp')
