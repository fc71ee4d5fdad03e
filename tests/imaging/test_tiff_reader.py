"""TIFF files of every layout, compared with the array that was written."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openslide
import pytest
import tifffile

from mitouts.errors import AnnotationWarning, ImageError
from mitouts.imaging import open_slide
from mitouts.imaging.image import read_rgb
from mitouts.imaging.image_header import ImageInfo, probe
from mitouts.imaging.tiff_reader import TiffReader

WIDTH, HEIGHT = 500, 360
TILED: dict[str, Any] = {'tile': (64, 48)}
LAYOUTS: dict[str, dict[str, Any]] = {
    'one piece': {},
    'strips': {'rowsperstrip': 7},
    'strips lzw': {'rowsperstrip': 7, 'compression': 'lzw'},
    'strips deflate': {'rowsperstrip': 7, 'compression': 'zlib', 'predictor': True},
    'one strip deflate': {'rowsperstrip': HEIGHT, 'compression': 'zlib'},
    'tiles': TILED,
    'tiles deflate': {**TILED, 'compression': 'zlib'},
    'tiles lzw': {**TILED, 'compression': 'lzw', 'predictor': True},
    'tiles zstd': {**TILED, 'compression': 'zstd'},
    'big endian': {**TILED, 'byteorder': '>'},
    'big tiff': {**TILED, 'bigtiff': True},
}
REGIONS = [(0, 0, WIDTH, HEIGHT), (0, 100, WIDTH, 50), (63, 47, 2, 2), (499, 359, 1, 1), (130, 10, 97, 201)]


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_region_equals_what_was_written(layout, noise, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, noise, photometric='rgb', **LAYOUTS[layout])
    with TiffReader(path) as reader:
        assert reader.dimensions == (WIDTH, HEIGHT)
        assert reader.level_downsamples == (1.0,)
        for x, y, width, height in REGIONS:
            region = reader.read_region((x, y), 0, (width, height))
            assert region.dtype == np.uint8
            np.testing.assert_array_equal(region, noise[y : y + height, x : x + width])


@pytest.mark.parametrize('options', [{}, TILED, {**TILED, 'compression': 'zlib'}, {'rowsperstrip': 9}])
def test_separate_planes(options, noise, tmp_path):
    path = tmp_path / 'planes.tif'
    tifffile.imwrite(path, np.moveaxis(noise, 2, 0), photometric='rgb', planarconfig='separate', **options)
    np.testing.assert_array_equal(TiffReader(path).read_region((31, 40), 0, (200, 111)), noise[40:151, 31:231])


@pytest.mark.parametrize('options', [{}, {**TILED, 'compression': 'zlib'}, {'rowsperstrip': 9}])
def test_outside_is_white(options, noise, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, noise, photometric='rgb', **options)
    reader = TiffReader(path)
    expected = np.full((HEIGHT + 30, WIDTH + 50, 3), 255, np.uint8)
    expected[10 : 10 + HEIGHT, 20 : 20 + WIDTH] = noise
    np.testing.assert_array_equal(reader.read_region((-20, -10), 0, (WIDTH + 50, HEIGHT + 30)), expected)
    assert (reader.read_region((WIDTH, 0), 0, (5, 5)) == 255).all()
    assert (reader.read_region((-5, -5), 0, (5, 5)) == 255).all()


@pytest.mark.parametrize('photometric', ['minisblack', 'miniswhite'])
def test_grey(photometric, noise, tmp_path):
    grey = noise[..., 0]
    tifffile.imwrite(tmp_path / 'grey.tif', grey, photometric=photometric, **TILED)
    expected = grey if photometric == 'minisblack' else 255 - grey
    region = TiffReader(tmp_path / 'grey.tif').read_region((3, 5), 0, (100, 90))
    np.testing.assert_array_equal(region, np.repeat(expected[5:95, 3:103, None], 3, axis=2))


def test_black_and_white_bits(noise, tmp_path):
    bits = noise[..., 0] > 127
    tifffile.imwrite(tmp_path / 'bits.tif', bits, photometric='minisblack')
    region = TiffReader(tmp_path / 'bits.tif').read_region((0, 0), 0, (WIDTH, HEIGHT))
    np.testing.assert_array_equal(region[..., 1], bits * np.uint8(255))


def test_palette(noise, tmp_path):
    colours = np.random.default_rng(2).integers(0, 256, (3, 256)).astype(np.uint16)
    indices = noise[..., 0]
    tifffile.imwrite(tmp_path / 'palette.tif', indices, photometric='palette', colormap=colours * 257)
    region = TiffReader(tmp_path / 'palette.tif').read_region((0, 7), 0, (WIDTH, 20))
    np.testing.assert_array_equal(region, colours.T[indices[7:27]])


def test_transparent_is_white(noise, tmp_path):
    alpha = noise[..., :1].copy()
    alpha[:50], alpha[50:100] = 0, 255
    tifffile.imwrite(tmp_path / 'rgba.tif', np.dstack([noise, alpha]), photometric='rgb', extrasamples=[2], **TILED)
    region = TiffReader(tmp_path / 'rgba.tif').read_region((0, 0), 0, (WIDTH, HEIGHT))
    assert (region[:50] == 255).all()
    np.testing.assert_array_equal(region[50:100], noise[50:100])
    np.testing.assert_allclose(region, noise * (alpha / 255) + 255 - alpha, atol=0.51)


@pytest.mark.parametrize('byteorder', ['<', '>'])
@pytest.mark.parametrize('options', [{}, {**TILED, 'compression': 'zlib'}])
def test_sixteen_bits_become_eight_with_a_warning(byteorder, options, noise, tmp_path):
    path = tmp_path / 'deep.tif'
    tifffile.imwrite(path, noise.astype(np.uint16) * 257, photometric='rgb', byteorder=byteorder, **options)
    with pytest.warns(AnnotationWarning, match=r'deep\.tif: 16-bit image, scaled by 1/257'):
        reader = TiffReader(path)
    np.testing.assert_array_equal(reader.read_region((10, 20), 0, (300, 40)), noise[20:60, 10:310])


def test_tile_without_data_is_white(noise, tmp_path):
    path = tmp_path / 'sparse.tif'
    tiles = (noise[:64, :64] if number % 2 == 0 else None for number in range(4))
    tifffile.imwrite(
        path, tiles, shape=(128, 128, 3), dtype=np.uint8, tile=(64, 64), photometric='rgb', compression='zlib'
    )
    expected = np.full((128, 128, 3), 255, np.uint8)
    expected[:64, :64] = expected[64:, :64] = noise[:64, :64]
    np.testing.assert_array_equal(TiffReader(path).read_region((0, 0), 0, (128, 128)), expected)


@pytest.mark.parametrize('photometric', ['rgb', 'ycbcr'])
def test_jpeg_tiles_look_as_openslide_shows_them(photometric, tissue, tmp_path):
    path = tmp_path / 'jpeg.tif'
    tifffile.imwrite(path, tissue, photometric=photometric, tile=(64, 64), compression='jpeg')
    region = TiffReader(path).read_region((10, 20), 0, (400, 300))
    if photometric == 'rgb':
        assert np.abs(region.astype(int) - tissue[20:320, 10:410]).mean() < 2
    with openslide.OpenSlide(path) as slide:
        seen = np.asarray(slide.read_region((10, 20), 0, (400, 300)))[..., :3]
    assert np.abs(region.astype(int) - seen).max() <= 3


@pytest.mark.parametrize('sub_ifds', [False, True], ids=['pages', 'sub-IFDs'])
def test_pyramid(sub_ifds, noise, write_pyramid):
    with TiffReader(write_pyramid(noise, sub_ifds=sub_ifds)) as reader:
        assert reader.level_dimensions == ((500, 360), (250, 180), (125, 90))
        assert reader.level_downsamples == (1.0, 2.0, 4.0)
        for level, factor in enumerate((1, 2, 4)):
            size = WIDTH // factor, HEIGHT // factor
            expected = cv2.resize(noise, size, interpolation=cv2.INTER_AREA)
            np.testing.assert_array_equal(reader.read_region((0, 0), level, size), expected)
            corner = 40 // factor, 80 // factor
            region = reader.read_region((40, 80), level, (20, 10))
            np.testing.assert_array_equal(region, expected[corner[1] : corner[1] + 10, corner[0] : corner[0] + 20])


def test_downsample_of_sizes_that_were_rounded_is_whole(noise, write_pyramid):
    reader = TiffReader(write_pyramid(noise[:357, :499]))
    assert reader.level_dimensions[1:] == ((249, 178), (124, 89))
    assert reader.level_downsamples == (1.0, 2.0, 4.0)


def test_ome_tiff_with_pyramid(noise, tmp_path):
    path = tmp_path / 'a.ome.tif'
    metadata = {'axes': 'YXS', 'PhysicalSizeX': 250.0, 'PhysicalSizeXUnit': 'nm', 'PhysicalSizeY': 0.2505}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(noise, subifds=1, photometric='rgb', tile=(64, 64), compression='zlib', metadata=metadata)
        tiff.write(noise[::2, ::2], subfiletype=1, photometric='rgb', tile=(64, 64), compression='zlib')
    reader = TiffReader(path)
    assert reader.mpp == pytest.approx(0.25025)
    assert reader.level_downsamples == (1.0, 2.0)
    np.testing.assert_array_equal(reader.read_region((0, 0), 1, (250, 180)), noise[::2, ::2])


@pytest.mark.parametrize(
    ('shape', 'options', 'message'),
    [
        ((5, 40, 30), {'photometric': 'minisblack'}, r'a stack of 5 x 40 x 30 \(axes QYX\): expected one grey or RGB'),
        ((2, 40, 30, 3), {'photometric': 'rgb'}, 'a stack of 2 x 40 x 30 x 3'),
        ((40, 30, 4), {'photometric': 'separated'}, 'is CMYK: expected grey or RGB'),
        ((40, 30, 5), {'photometric': 'minisblack', 'planarconfig': 'contig'}, 'has 5 channels, expected 1 or 2'),
    ],
)
def test_what_is_no_image_is_refused(shape, options, message, tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', np.zeros(shape, np.uint8), **options)
    with pytest.raises(ImageError, match=message):
        TiffReader(tmp_path / 'a.tif')


def test_floating_point_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', np.zeros((4, 4), np.float32))
    with pytest.raises(ImageError, match='holds float32, expected 8 or 16 bits'):
        TiffReader(tmp_path / 'a.tif')


@pytest.mark.parametrize('first', ['slide', 'label'])
@pytest.mark.parametrize('shaped', [False, True], ids=['plain', 'shaped'])
def test_largest_image_is_the_slide_with_its_own_levels_and_resolution(first, shaped, noise, tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif', shaped=shaped) as tiff:
        options = {'photometric': 'rgb', 'resolutionunit': 'CENTIMETER'}
        label = {'data': noise[:50, :77], 'resolution': (300, 300), **options}
        if first == 'label':
            tiff.write(**label)
        tiff.write(noise, tile=(64, 64), resolution=(40_000, 40_000), subifds=1, **options)
        tiff.write(noise[::2, ::2], tile=(64, 64), resolution=(20_000, 20_000), subfiletype=1, **options)
        if first == 'slide':
            tiff.write(**label)
    reader = open_slide(tmp_path / 'a.tif')
    assert reader.level_dimensions == ((WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2))
    assert reader.mpp == pytest.approx(0.25)
    np.testing.assert_array_equal(reader.read_region((0, 0), 0, (WIDTH, HEIGHT)), noise)
    assert probe(tmp_path / 'a.tif') == ImageInfo(WIDTH, HEIGHT, pytest.approx(0.25))
    np.testing.assert_array_equal(read_rgb(tmp_path / 'a.tif'), noise)


def test_largest_image_of_an_ome_tiff_is_the_slide_with_its_own_resolution(noise, tmp_path):
    path = tmp_path / 'a.ome.tif'
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for image, mpp in ((noise[:40, :60], 9.0), (noise, 0.23), (noise[:90, :90], 3.0)):
            size = {'PhysicalSizeX': mpp, 'PhysicalSizeY': mpp}
            tiff.write(image, photometric='rgb', tile=(64, 64), metadata={'axes': 'YXS', **size})
    reader = open_slide(path)
    assert (reader.dimensions, reader.mpp) == ((WIDTH, HEIGHT), pytest.approx(0.23))
    np.testing.assert_array_equal(reader.read_region((7, 9), 0, (100, 50)), noise[9:59, 7:107])


def test_several_largest_images_are_refused(noise, tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.ome.tif', ome=True) as tiff:
        for image in (noise[:50, :60], noise, noise[::-1]):
            tiff.write(image, photometric='rgb', tile=(64, 64), metadata={'axes': 'YXS'})
    with pytest.raises(ImageError, match='holds 2 images of the largest size, 500 x 360 px: which of them is'):
        open_slide(tmp_path / 'a.ome.tif')


def test_openslide_does_not_take_a_label_for_the_slide(noise, tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif', shaped=False) as tiff:
        tiff.write(noise[:96, :128], photometric='rgb', tile=(64, 64), compression='jpeg')
        tiff.write(noise, photometric='rgb', tile=(64, 64), compression='jpeg')
    with openslide.OpenSlide(tmp_path / 'a.tif') as slide:
        assert slide.dimensions == (128, 96)
    with pytest.raises(ImageError, match='OpenSlide reads 128 x 96 px of it, but its largest image has 500 x 360'):
        open_slide(tmp_path / 'a.tif', reader='OpenSlideReader')
    assert open_slide(tmp_path / 'a.tif').dimensions == (WIDTH, HEIGHT)


def test_label_of_half_the_slide_s_size_is_no_level(noise, tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif', shaped=False) as tiff:
        for image in (noise, 255 - noise[::2, ::2]):
            tiff.write(image, photometric='rgb', tile=(64, 64), compression='zlib')
    assert open_slide(tmp_path / 'a.tif').level_dimensions == ((WIDTH, HEIGHT),)


def test_mask_of_the_slide_s_size_is_no_second_slide(noise, tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif', shaped=False) as tiff:
        tiff.write(noise, photometric='rgb', tile=(64, 64))
        tiff.write(noise[..., 0] > 127, photometric='mask', subfiletype=4)
    np.testing.assert_array_equal(read_rgb(tmp_path / 'a.tif'), noise)


@pytest.mark.parametrize('options', [{}, {**TILED, 'compression': 'zlib'}, {'rowsperstrip': 7}])
def test_truncated_file_is_refused_when_it_is_opened(options, noise, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, noise, photometric='rgb', **options)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ImageError, match=r'a\.tif is truncated: \d+ of its \d+ tiles or strips lie beyond its end'):
        TiffReader(path)


def test_one_broken_tile_leaves_the_others_readable(noise, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, noise, photometric='rgb', tile=(64, 64), compression='zlib')
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[1]
    data = bytearray(path.read_bytes())
    data[offset : offset + 200] = bytes(200)
    path.write_bytes(data)
    reader = TiffReader(path)
    with pytest.raises(ImageError, match=r'a\.tif cannot be read: the part at x=60, y=0 of level 0 \(10 x 5 px\)'):
        reader.read_region((60, 0), 0, (10, 5))
    np.testing.assert_array_equal(reader.read_region((0, 0), 0, (64, 64)), noise[:64, :64])


def test_tile_too_large_to_be_decoded_is_refused(noise, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / 'a.tif', noise, photometric='rgb', rowsperstrip=HEIGHT, compression='zlib')
    monkeypatch.setenv('MITOUTS_MAX_IMAGE_PX', '100000')
    with pytest.raises(ImageError, match=r'one tile or strip of .* is 500 x 360 px .* the limit is 100,000 px'):
        TiffReader(tmp_path / 'a.tif')


@pytest.mark.parametrize('tiled', [False, True], ids=['one piece', 'tiles'])
def test_memory_is_bounded_by_the_rows_that_are_read(tiled, tmp_path):
    path, side = tmp_path / 'large.tif', 40_000
    if tiled:
        blank = np.full((512, 512, 3), 200, np.uint8)
        tiles = (blank if number < 79 * 2 else None for number in range(79 * 79))
        tifffile.imwrite(
            path, tiles, shape=(side, side, 3), dtype=np.uint8, tile=(512, 512), photometric='rgb', compression='zlib'
        )
    else:
        pixels = tifffile.memmap(path, shape=(side, side, 3), dtype=np.uint8, photometric='rgb', bigtiff=True)
        pixels[500] = 200
        del pixels
    tracemalloc.start()
    row = TiffReader(path).read_region((0, 500), 0, (side, 500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert row.shape == (500, side, 3)
    assert (row[0] == 200).all()
    assert peak < 5 * row.nbytes
    assert peak < 0.07 * side * side * 3


def test_neighbouring_rows_decode_each_tile_once(noise, tmp_path, monkeypatch):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, noise, photometric='rgb', tile=(64, 64), compression='zlib')
    reader = TiffReader(path)
    decoded = []
    page = reader._handle.pages[0]
    decode = page.decode
    monkeypatch.setattr(page, 'decode', lambda data, index, **tables: (decoded.append(index), decode(data, index))[1])
    for top in range(0, HEIGHT, 90):
        reader.read_region((0, top), 0, (WIDTH, 90))
    assert sorted(decoded) == list(range(8 * 6))


def test_cache_lets_the_oldest_go(noise, tmp_path, monkeypatch):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, noise, photometric='rgb', tile=(64, 64), compression='zlib')
    monkeypatch.setattr('mitouts.imaging.tiff_reader._CACHE_BYTES', 3 * 64 * 64 * 3)
    reader = TiffReader(path)
    for _ in range(2):
        np.testing.assert_array_equal(reader.read_region((0, 0), 0, (WIDTH, HEIGHT)), noise)
    assert reader._handle._tile.cache_info().currsize == 3


@pytest.mark.parametrize(
    ('options', 'mpp'),
    [
        ({'resolution': (40_000, 40_000), 'resolutionunit': 'CENTIMETER'}, 0.25),
        ({'resolution': (101_600, 101_600), 'resolutionunit': 'INCH'}, 0.25),
        ({'resolution': (40_000, 39_900), 'resolutionunit': 'CENTIMETER'}, (0.25 + 10_000 / 39_900) / 2),
        ({'resolution': (40_000, 40_000), 'resolutionunit': 'NONE'}, None),
        ({'resolution': (72, 72), 'resolutionunit': 'INCH'}, None),
        ({'resolution': (1, 1), 'resolutionunit': 'CENTIMETER'}, None),
        ({'resolution': ((0, 1), (0, 1)), 'resolutionunit': 'CENTIMETER'}, None),
        ({'imagej': True, 'resolution': (4, 4), 'metadata': {'unit': 'um'}}, 0.25),
        ({'imagej': True, 'resolution': (4, 4), 'metadata': {'unit': 'pixel'}}, None),
        ({'imagej': True, 'resolution': (4, 4)}, None),
        ({}, None),
    ],
)
def test_resolution_comes_from_the_file_or_is_unknown(options, mpp, noise, tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', noise, photometric='rgb', **options)
    found = TiffReader(tmp_path / 'a.tif').mpp
    assert found == (None if mpp is None else pytest.approx(mpp, rel=1e-6))


@pytest.mark.parametrize(
    'metadata', [{}, {'PhysicalSizeX': 0.25}, {'PhysicalSizeX': 1, 'PhysicalSizeY': 1, 'PhysicalSizeXUnit': 'pixel'}]
)
def test_ome_without_a_full_resolution_is_unknown(metadata, noise, tmp_path):
    tifffile.imwrite(tmp_path / 'a.ome.tif', noise, photometric='rgb', metadata={'axes': 'YXS', **metadata})
    assert TiffReader(tmp_path / 'a.ome.tif').mpp is None


def test_pixels_that_are_not_square_are_an_error_unless_the_resolution_is_given(noise, tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, noise, photometric='rgb', resolution=(40_000, 20_000), resolutionunit='CENTIMETER')
    reader = TiffReader(path)
    with pytest.raises(ImageError, match=r'a\.tif has pixels of 0\.25 x 0\.5 um: expected square ones'):
        _ = reader.mpp
    assert TiffReader(Path(path), mpp=0.4).mpp == 0.4


def test_header_that_claims_more_than_the_file_lists_is_refused(tmp_path):
    path = tmp_path / 'huge.tif'
    tifffile.imwrite(path, np.zeros((128, 128, 3), np.uint8), photometric='rgb', tile=(64, 64), compression='zlib')
    with tifffile.TiffFile(path, mode='r+') as tif:
        tif.pages[0].tags['ImageWidth'].overwrite(4_000_000_000)
    with pytest.raises(ImageError, match='4000000000 x 128 px, which are 125000000 tiles or strips, and lists 4'):
        open_slide(path)
