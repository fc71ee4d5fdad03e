"""Tiles and strips of every colour space and codec, against Pillow, formulas of the standards and what was written."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile
from numpy.typing import NDArray

from mitouts.errors import AnnotationWarning, ImageError
from mitouts.imaging import open_slide
from mitouts.imaging.image import read_rgb

WIDTH, HEIGHT = 170, 130
LAYOUTS = [{'tile': (64, 64)}, {'rowsperstrip': 32}, {}]
YCBCR, SUBSAMPLING, COEFFICIENTS, BLACK_WHITE, ORIENTATION = 6, 530, 529, 532, 274


@pytest.fixture(scope='module')
def smooth() -> NDArray[np.uint8]:
    """Colours that change slowly, as lossy codecs like them."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip((blurred - 127) * 5 + 150, 20, 255).astype(np.uint8)


def as_ycbcr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """JFIF's formula, in double precision."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return np.clip(np.round(image @ matrix.T + (0, 128, 128)), 0, 255).astype(np.uint8)


def assert_read_alike(path: Path, expected: NDArray, tolerance: float = 0) -> None:
    """A file read whole, and a part of it read as from a slide, show what is expected."""
    np.testing.assert_allclose(read_rgb(path), expected, atol=tolerance)
    with open_slide(path) as reader:
        np.testing.assert_allclose(reader.read_level(0, 51, 37, 90, 80), expected[37:117, 51:141], atol=tolerance)


@pytest.mark.parametrize('layout', LAYOUTS, ids=['tiles', 'strips', 'one piece'])
@pytest.mark.parametrize('compression', [None, 'lzw', 'zlib', 'packbits', 'zstd', 'jpeg2000'])
def test_ycbcr_without_jpeg_becomes_rgb(compression, layout, smooth, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, as_ycbcr(smooth), photometric='ycbcr', compression=compression, **layout)
    assert_read_alike(path, smooth, 3)


@pytest.mark.parametrize('compression', [None, 'tiff_lzw', 'tiff_adobe_deflate', 'jpeg'])
def test_ycbcr_of_libtiff_becomes_what_pillow_shows(compression, smooth, tmp_path):
    PIL.Image.fromarray(smooth).convert('YCbCr').save(tmp_path / 'a.tif', compression=compression)
    with PIL.Image.open(tmp_path / 'a.tif') as image:
        expected = np.asarray(image.convert('RGB'))
    assert_read_alike(tmp_path / 'a.tif', expected, 3)


@pytest.mark.parametrize('compression', [None, 'zlib'])
def test_separate_planes_of_ycbcr(compression, smooth, tmp_path):
    planes = np.moveaxis(as_ycbcr(smooth), 2, 0)
    tifffile.imwrite(
        tmp_path / 'a.tif', planes, photometric='ycbcr', planarconfig='separate', compression=compression, tile=(64, 64)
    )
    assert_read_alike(tmp_path / 'a.tif', smooth, 3)


def write_subsampled(path: Path, image: NDArray[np.uint8], across: int, down: int, *, rows: int, zlib: bool) -> None:
    """A TIFF of strips, byte by byte as TIFF 6.0 says it (section 21): ``down x across`` luma samples, then Cb, Cr."""
    height, width = image.shape[:2]
    ycbcr = as_ycbcr(image)
    strips = []
    for top in range(0, height, rows):
        part = ycbcr[top : top + rows]
        packed = bytearray()
        for y in range(0, part.shape[0], down):
            for x in range(0, width, across):
                for j in range(down):
                    for i in range(across):
                        packed.append(part[min(y + j, part.shape[0] - 1), min(x + i, width - 1), 0])
                packed += part[y, x, 1:].tobytes()
        strips.append(imagecodecs.zlib_encode(bytes(packed)) if zlib else bytes(packed))
    entries = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [8, 8, 8]),
        (259, 3, [8 if zlib else 1]),
        (262, 3, [YCBCR]),
        (277, 3, [3]),
        (278, 4, [rows]),
        (SUBSAMPLING, 3, [across, down]),
    ]
    data = bytearray(b'II*\0\0\0\0\0')
    offsets = []
    for strip in strips:
        offsets.append(len(data))
        data += strip
    entries += [(273, 4, offsets), (279, 4, [len(strip) for strip in strips])]
    fields = bytearray()
    for tag, kind, values in sorted(entries):
        value = struct.pack(f'<{len(values)}{"HI"[kind - 3]}', *values)
        if len(value) > 4:
            place, data = len(data), data + value
            value = struct.pack('<I', place)
        fields += struct.pack('<HHI4s', tag, kind, len(values), value)
    data[4:8] = struct.pack('<I', len(data))
    path.write_bytes(data + struct.pack('<H', len(entries)) + fields + bytes(4))


@pytest.mark.parametrize('zlib', [False, True], ids=['plain', 'zlib'])
@pytest.mark.parametrize(('across', 'down'), [(1, 1), (2, 1), (2, 2), (4, 2), (4, 4)])
def test_subsampled_colours_without_jpeg(across, down, zlib, tmp_path):
    rng = np.random.default_rng(1)
    grey = rng.integers(60, 200, (41, 53, 1))
    blocks = rng.integers(-40, 40, (-(-41 // down), -(-53 // across), 2)).repeat(down, axis=0).repeat(across, axis=1)
    # Luma changes from pixel to pixel, colour from block to block.
    image = np.clip(grey + np.dstack([blocks[:41, :53, :1], -blocks[:41, :53, :1] // 3, blocks[:41, :53, 1:]]), 0, 255)
    path = tmp_path / 'a.tif'
    write_subsampled(path, image.astype(np.uint8), across, down, rows=8, zlib=zlib)
    shown = read_rgb(path).astype(int)
    ycbcr, expected = as_ycbcr(shown.astype(np.uint8)), as_ycbcr(image.astype(np.uint8))
    np.testing.assert_allclose(ycbcr[..., 0].astype(int), expected[..., 0], atol=2)
    corners = expected[::down, ::across].repeat(down, axis=0).repeat(across, axis=1)[:41, :53]
    np.testing.assert_allclose(ycbcr[..., 1:].astype(int), corners[..., 1:], atol=2)


def test_subsampled_strip_that_is_too_short_is_refused(tmp_path):
    path = tmp_path / 'a.tif'
    write_subsampled(path, np.full((16, 16, 3), 90, np.uint8), 2, 2, rows=16, zlib=False)
    with tifffile.TiffFile(path, mode='r+') as tiff:
        tiff.pages[0].tags[279].overwrite(200)
    with pytest.raises(ImageError, match='200 bytes are too few, expected 384'):
        read_rgb(path)


def test_coefficients_and_range_of_ycbcr_are_the_file_s(tmp_path):
    rational = {'dtype': '2I', 'writeonce': True}
    weights, codes = (0.2126, 0.7152, 0.0722), (16, 235, 128, 240, 128, 240)
    tags = [
        (COEFFICIENTS, rational['dtype'], 3, [n for value in weights for n in (round(value * 10_000), 10_000)], True),
        (BLACK_WHITE, rational['dtype'], 6, [n for value in codes for n in (value, 1)], True),
    ]
    image = np.array([[[16, 128, 128], [235, 128, 128], [63, 102, 240]]], np.uint8).repeat(8, axis=0)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='ycbcr', compression='lzw', extratags=tags)
    black, white, red = read_rgb(tmp_path / 'a.tif')[0]
    # (63, 102, 240) is pure red in BT.709 with the range of video.
    np.testing.assert_allclose([black, white, red], [[0, 0, 0], [255, 255, 255], [255, 0, 0]], atol=2)


def test_jpeg_2000_tiles_are_seen(smooth, tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', smooth, photometric='rgb', compression='jpeg2000', tile=(64, 64))
    assert_read_alike(tmp_path / 'a.tif', smooth, 3)


def test_aperio_s_jpeg_2000_holds_ycbcr(smooth, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, as_ycbcr(smooth), photometric='rgb', compression=33003, tile=(64, 64))
    assert_read_alike(path, smooth, 4)


@pytest.mark.parametrize('subsampling', [(1, 1), (2, 1), (2, 2)])
def test_jpeg_tiles_of_any_subsampling_look_as_pillow_shows_them(subsampling, smooth, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(
        path,
        smooth,
        photometric='rgb',
        compression='jpeg',
        compressionargs={'level': 95},
        subsampling=subsampling,
        tile=(64, 64),
    )
    with PIL.Image.open(path) as image:
        expected = np.asarray(image.convert('RGB'))
    assert_read_alike(path, expected, 4)
    assert np.abs(read_rgb(path).astype(int) - smooth).mean() < 3


def test_separate_planes_of_16_bits(smooth, tmp_path):
    planes = np.moveaxis(smooth, 2, 0).astype(np.uint16) * 257
    for number, options in enumerate(({}, {'compression': 'lzw', 'predictor': True, 'tile': (64, 64)})):
        path = tmp_path / f'{number}.tif'
        tifffile.imwrite(path, planes, photometric='rgb', planarconfig='separate', bigtiff=number == 1, **options)
        with pytest.warns(AnnotationWarning, match='16-bit image'):
            assert_read_alike(path, smooth)


@pytest.mark.parametrize('bits', [2, 4, 12])
def test_grey_of_few_bits_is_spread_over_the_whole_range(bits, tmp_path):
    values = np.random.default_rng(3).integers(0, 2**bits, (20, 24))
    row_bits = ((values[..., None] >> np.arange(bits)[::-1]) & 1).reshape(20, -1).astype(np.uint8)
    packed = np.packbits(row_bits, axis=1)
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, packed, photometric='minisblack', rowsperstrip=20, metadata=None)
    with tifffile.TiffFile(path, mode='r+') as tiff:
        tiff.pages[0].tags['ImageWidth'].overwrite(24)
        tiff.pages[0].tags['BitsPerSample'].overwrite(bits)
    expected = np.round(values * 255 / (2**bits - 1))
    np.testing.assert_array_equal(read_rgb(path)[..., 1], expected)


@pytest.mark.parametrize('scale', [1, 256, 257])
def test_palette_of_8_or_16_bits(scale, smooth, tmp_path):
    colours = np.random.default_rng(2).integers(0, 256, (3, 256)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / 'a.tif', smooth[..., 0], photometric='palette', colormap=colours * scale, compression='lzw'
    )
    assert_read_alike(tmp_path / 'a.tif', colours.T[smooth[..., 0]])


@pytest.mark.parametrize('compression', [None, 'zlib'])
@pytest.mark.parametrize('kind', ['unassalpha', 'assocalpha', 'unspecified'])
def test_alpha(kind, compression, smooth, tmp_path):
    alpha = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1).astype(np.uint8)
    stored = np.round(smooth * (alpha / 255)).astype(np.uint8) if kind == 'assocalpha' else smooth
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, np.dstack([stored, alpha]), photometric='rgb', extrasamples=[kind], compression=compression)
    expected = smooth if kind == 'unspecified' else smooth * (alpha / 255) + 255 * (1 - alpha / 255)
    assert_read_alike(path, expected, 0 if kind == 'unspecified' else 1.01)


def test_white_is_zero_with_alpha(smooth, tmp_path):
    path = tmp_path / 'a.tif'
    stored = np.dstack([255 - smooth[..., 0], np.full((HEIGHT, WIDTH), 255, np.uint8)])
    options = {'photometric': 'miniswhite', 'planarconfig': 'contig', 'extrasamples': ['unassalpha']}
    tifffile.imwrite(path, stored, compression='lzw', **options)
    assert_read_alike(path, smooth[..., [0, 0, 0]])


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('compression', [None, 'lzw'])
def test_orientation_is_ignored_with_a_warning(orientation, compression, smooth, tmp_path, recwarn):
    path = tmp_path / 'a.tif'
    tag = (ORIENTATION, 'H', 1, orientation, True)
    tifffile.imwrite(path, smooth, photometric='rgb', compression=compression, extratags=[tag])
    assert_read_alike(path, smooth)
    assert {str(each.message).split(':')[1] for each in recwarn} == (
        set() if orientation == 1 else {f' its orientation tag is {orientation} (1 is upright), and is ignored'}
    )


@pytest.mark.parametrize(
    ('compression', 'damages'),
    [
        ('lzw', ('zeros', 'half', 'noise', 'short')),
        ('zlib', ('zeros', 'half', 'noise', 'short')),
        ('packbits', ('zeros', 'half', 'noise', 'short')),
        ('jpeg', ('zeros', 'half', 'noise', 'short')),
        ('jpeg2000', ('zeros', 'half', 'noise', 'short')),
        (None, ('short',)),
    ],
)
@pytest.mark.parametrize('layout', LAYOUTS[:2], ids=['tiles', 'strips'])
def test_destroyed_or_cut_data_are_refused(compression, damages, layout, smooth, tmp_path):
    for damage in damages:
        path = tmp_path / f'{damage}.tif'
        tifffile.imwrite(path, smooth, photometric='rgb', compression=compression, **layout)
        with tifffile.TiffFile(path, mode='r+') as tiff:
            page = tiff.pages[0]
            offset, count = page.dataoffsets[1], page.databytecounts[1]
            if damage == 'short':
                counts = [size // 2 if index == 1 else size for index, size in enumerate(page.databytecounts)]
                page.tags['TileByteCounts' if page.is_tiled else 'StripByteCounts'].overwrite(counts)
        data = bytearray(path.read_bytes())
        if damage == 'zeros':
            data[offset : offset + count] = bytes(count)
        elif damage == 'half':
            data[offset + count // 2 : offset + count] = bytes(count - count // 2)
        elif damage == 'noise':
            data[offset : offset + count] = np.random.default_rng(5).bytes(count)
        path.write_bytes(data)
        with pytest.raises(ImageError, match=rf'{damage}\.tif cannot be read: the part at x=0, y=0 of level 0'):
            read_rgb(path)


def test_tile_that_lacks_one_of_its_planes_is_refused(smooth, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(
        path,
        np.moveaxis(smooth, 2, 0),
        photometric='rgb',
        planarconfig='separate',
        compression='zlib',
        rowsperstrip=HEIGHT,
    )
    with tifffile.TiffFile(path, mode='r+') as tiff:
        counts = list(tiff.pages[0].databytecounts)
        tiff.pages[0].tags['StripByteCounts'].overwrite([counts[0], 0, counts[2]])
    with pytest.raises(ImageError, match='some of its channels are missing'):
        read_rgb(path)


def test_cmyk_and_lab_are_refused(smooth, tmp_path):
    for mode, name in (('CMYK', 'CMYK'), ('LAB', 'CIELAB')):
        image = PIL.Image.fromarray(np.zeros((9, 9, len(mode)), np.uint8), mode)
        image.save(tmp_path / f'{mode}.tif')
        with pytest.raises(ImageError, match=rf'{mode}\.tif is {name}: expected grey or RGB'):
            read_rgb(tmp_path / f'{mode}.tif')
    data = io.BytesIO()
    PIL.Image.fromarray(smooth).convert('CMYK').save(data, 'JPEG')
    (tmp_path / 'a.jpg').write_bytes(data.getvalue())
    with pytest.raises(ImageError, match=r'a\.jpg is CMYK: expected grey or RGB'):
        read_rgb(tmp_path / 'a.jpg')
