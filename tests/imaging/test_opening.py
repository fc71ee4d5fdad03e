"""Which reader a file gets, and files that no reader can read."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.errors import ImageError
from mitouts.imaging import open_slide
from mitouts.imaging.image import write_rgb
from mitouts.imaging.image_reader import ImageReader
from mitouts.imaging.openslide_reader import OpenSlideReader
from mitouts.imaging.tiff_reader import TiffReader

SVS = 'Aperio Image Library v11.2.1\n500x360 [0,0 500x360] (64x64) JPEG/RGB Q=90|AppMag = 40|MPP = 0.2525'
WIDTH, HEIGHT = 500, 360


@pytest.fixture
def svs(tissue, write_pyramid) -> Path:
    return write_pyramid(tissue, 'slide 1 µ.svs', description=SVS, compression='jpeg')


@pytest.fixture(params=['svs', 'tiled.tif', 'striped.tif', 'contiguous.tif', 'image.png', 'image.bmp'])
def slide(request, tissue, svs, tmp_path) -> Path:
    """One file for each way of reading."""
    if request.param == 'svs':
        return svs
    path = tmp_path / request.param
    options = {
        'tiled.tif': {'tile': (64, 64), 'compression': 'jpeg'},
        'striped.tif': {'rowsperstrip': 16, 'compression': 'lzw'},
        'contiguous.tif': {},
    }
    if path.suffix == '.tif':
        tifffile.imwrite(path, tissue, photometric='rgb', **options[path.name])
    else:
        write_rgb(path, tissue)
    return path


def test_each_file_gets_its_reader(slide):
    expected = {'.svs': OpenSlideReader, '.tif': TiffReader, '.png': ImageReader, '.bmp': ImageReader}[slide.suffix]
    with open_slide(slide) as reader:
        assert type(reader) is expected
        assert reader.dimensions == (WIDTH, HEIGHT)
        assert reader.bounds_xy_px == (0, 0)


def difference(seen: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(seen.astype(int) - expected).mean())


def test_every_reader_shows_the_same(slide, tissue):
    tolerance = 3 if slide.name == 'tiled.tif' or slide.suffix == '.svs' else 0
    with open_slide(slide) as reader:
        for x, y, width, height in [(0, 0, WIDTH, HEIGHT), (130, 77, 51, 203)]:
            region = reader.read_region((x, y), 0, (width, height))
            assert region.shape == (height, width, 3)
            assert region.dtype == np.uint8
            assert difference(region, tissue[y : y + height, x : x + width]) <= tolerance
        padded = reader.read_region((-3, 100), 0, (WIDTH + 10, HEIGHT))
        assert (padded[:, :3] == 255).all()
        assert (padded[:, WIDTH + 3 :] == 255).all()
        assert (padded[HEIGHT - 100 :] == 255).all()
        assert difference(padded[: HEIGHT - 100, 3 : WIDTH + 3], tissue[100:]) <= tolerance


def test_openslide_reads_resolution_levels_and_what_is_known(svs, tissue):
    reader = open_slide(svs)
    assert reader.mpp == 0.2525
    assert reader.level_downsamples == (1.0, 2.0, 4.0)
    assert reader.properties == {'format': 'openslide', 'vendor': 'aperio', 'objective_power': '40'}
    half = cv2.resize(tissue, (250, 180), interpolation=cv2.INTER_AREA)
    assert difference(reader.read_region((100, 60), 1, (100, 90)), half[30:120, 50:150]) < 3


def test_tiles_fit_on_levels_whose_size_was_rounded(noise, write_pyramid, monkeypatch):
    monkeypatch.setattr('mitouts.imaging.openslide_reader._BLOCK_PX', 128)
    path = write_pyramid(noise[:357, :499], 'odd.svs', description=SVS, compression='jpeg')
    with open_slide(path) as reader:
        assert reader.level_dimensions == ((499, 357), (249, 178), (124, 89))
        for level, (width, height) in enumerate(reader.level_dimensions):
            whole = reader.read_level(level, 0, 0, width, height)
            tiled = np.empty_like(whole)
            for y in range(0, height, 31):
                for x in range(0, width, 43):
                    tile = reader.read_level(level, x, y, min(43, width - x), min(31, height - y))
                    tiled[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
            np.testing.assert_array_equal(tiled, whole)


def test_a_broken_tile_of_a_scanner_s_format_leaves_the_others_readable(tissue, write_pyramid):
    path = write_pyramid(tissue, 'broken.svs', description=SVS, compression='jpeg')
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[1], tiff.pages[0].databytecounts[1]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    with open_slide(path) as reader:
        with pytest.raises(ImageError, match=r'broken\.svs is broken at x=60, y=0 of level 0 \(10 x 5 px\)'):
            reader.read_region((60, 0), 0, (10, 5))
        assert difference(reader.read_region((0, 0), 0, (64, 64)), tissue[:64, :64]) < 3


def test_a_named_reader_reads_what_it_can(tissue, write_pyramid):
    path = write_pyramid(tissue, compression='jpeg')
    seen = [
        open_slide(path, reader=name).read_region((12, 8), 2, (60, 50)) for name in ('OpenSlideReader', 'TiffReader')
    ]
    assert np.abs(seen[0].astype(int) - seen[1]).max() <= 3


def test_given_resolution_replaces_the_file_s(svs, tmp_path, tissue):
    assert open_slide(svs, mpp=0.5).mpp == 0.5
    write_rgb(tmp_path / 'a.png', tissue)
    assert open_slide(tmp_path / 'a.png').mpp is None
    assert open_slide(tmp_path / 'a.png', mpp=0.25).mpp == 0.25


@pytest.mark.parametrize('mpp', [0.0, -1.0, float('inf'), float('nan')])
def test_resolution_that_is_no_length_is_refused(mpp, svs):
    with pytest.raises(ImageError, match=r'um per pixel makes no sense for .*: expected a positive number'):
        open_slide(svs, mpp=mpp)


@pytest.mark.parametrize('mpp', [0.00499, 28.97])
def test_resolution_that_no_scanner_has_is_asked_for_unless_it_is_given(mpp, noise, write_pyramid):
    path = write_pyramid(noise, 'odd.svs', description=SVS.replace('0.2525', str(mpp)), compression='jpeg')
    reader = open_slide(path)
    assert reader.mpp is None
    message = rf'odd\.svs states {mpp} um per pixel, which no scanner has \(0\.1 to 2\); .* true resolution with --mpp'
    with pytest.raises(ImageError, match=message):
        reader.known_mpp()
    assert open_slide(path, mpp=mpp).known_mpp() == mpp
    assert open_slide(path, mpp=0.25).known_mpp() == 0.25


def test_regions_that_mean_nothing_are_errors(slide):
    with open_slide(slide) as reader:
        for level in (-1, 7):
            with pytest.raises(ValueError, match=r'has the levels 0 to \d, found'):
                reader.read_region((0, 0), level, (5, 5))
        with pytest.raises(ValueError, match='at least 1 x 1 px, found 0 x 5'):
            reader.read_region((0, 0), 0, (0, 5))


def test_a_closed_reader_opens_again(slide):
    reader = open_slide(slide)
    before = reader.read_region((5, 5), 0, (50, 50))
    reader.close()
    reader.close()
    np.testing.assert_array_equal(reader.read_region((5, 5), 0, (50, 50)), before)
    reader.close()


def test_a_pickled_reader_carries_only_the_path(slide):
    reader = open_slide(slide, mpp=0.5)
    before = reader.read_region((5, 5), 0, (300, 300))
    data = pickle.dumps(reader)
    assert len(data) < 2000
    with pickle.loads(data) as other:
        assert (other.mpp, other.dimensions) == (0.5, (WIDTH, HEIGHT))
        np.testing.assert_array_equal(other.read_region((5, 5), 0, (300, 300)), before)
    reader.close()


def _sums(reader, corners, queue):
    queue.put([int(reader.read_region(corner, 0, (60, 60)).sum()) for corner in corners])


def test_a_forked_reader_reads_beside_its_parent(slide):
    corners = [(x, y) for y in range(0, 300, 30) for x in range(0, 440, 40)]
    with open_slide(slide) as reader:
        expected = [int(reader.read_region(corner, 0, (60, 60)).sum()) for corner in corners]
        context = multiprocessing.get_context('fork')
        queue = context.Queue()
        children = [context.Process(target=_sums, args=(reader, corners, queue)) for _ in range(2)]
        for child in children:
            child.start()
        here = [int(reader.read_region(corner, 0, (60, 60)).sum()) for corner in corners]
        results = [queue.get(timeout=20) for _ in children]
        for child in children:
            child.join(timeout=20)
        assert [here, *results] == [expected] * 3
        assert [child.exitcode for child in children] == [0, 0]


def test_threads_share_a_reader(slide):
    corners = [(x, y) for y in range(0, 300, 30) for x in range(0, 440, 40)]
    with open_slide(slide) as reader, ThreadPoolExecutor(4) as pool:
        regions = list(pool.map(lambda corner: reader.read_region(corner, 0, (60, 60)), corners))
        for corner, region in zip(corners, regions):
            np.testing.assert_array_equal(region, reader.read_region(corner, 0, (60, 60)))


@pytest.mark.parametrize(('max_px', 'size'), [(100, (100, 72)), (1000, (500, 360)), (250, (250, 180)), (1, (1, 1))])
def test_thumbnail(max_px, size, slide, tissue):
    with open_slide(slide) as reader:
        thumbnail = reader.thumbnail(max_px)
    assert (thumbnail.shape[1], thumbnail.shape[0]) == size
    expected = cv2.resize(tissue, size, interpolation=cv2.INTER_AREA)
    assert difference(thumbnail, expected) < (8 if slide.suffix == '.svs' else 4)


def test_thumbnail_is_read_in_bands(noise, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / 'a.tif', noise, photometric='rgb', rowsperstrip=16)
    reader = open_slide(tmp_path / 'a.tif')
    whole = reader.thumbnail(100)
    monkeypatch.setattr('mitouts.imaging.base._THUMBNAIL_BAND_PX', 10_000)
    heights = []
    read = reader._read
    monkeypatch.setattr(reader, '_read', lambda *region: (heights.append(region[-1]), read(*region))[1])
    np.testing.assert_array_equal(reader.thumbnail(100), whole)
    assert max(heights) <= 20
    assert sum(heights) == HEIGHT


@pytest.mark.parametrize(
    ('name', 'data', 'message'),
    [
        ('none.svs', None, r'none\.svs does not exist'),
        ('empty.svs', b'', r'empty\.svs is empty \(0 bytes\): expected a slide'),
        ('notes.svs', b'slide 7 is missing\nsorry', r"expected a slide .* found text that begins with 'slide 7"),
        ('data.tif', bytes(range(1, 200)), 'expected a slide .* found bytes that begin with 01 02 03'),
        ('header.tif', b'II*\0', r'header\.tif cannot be read: its header is broken'),
        ('zeros.tif', b'II*\0' + bytes(100), r'zeros\.tif cannot be read'),
        ('header.png', b'\x89PNG\r\n\x1a\n', r'header\.png cannot be read: its header is broken'),
        ('header.jpg', b'\xff\xd8\xff', r'header\.jpg cannot be read: its header is broken'),
    ],
)
def test_file_that_is_no_slide_is_refused(name, data, message, tmp_path):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError, match=message):
        open_slide(tmp_path / name)


def test_folder_is_refused(tmp_path):
    with pytest.raises(ImageError, match='is a folder: expected a slide'):
        open_slide(tmp_path)


def test_truncated_image_is_refused_when_it_is_read(tissue, tmp_path):
    write_rgb(tmp_path / 'a.png', tissue)
    (tmp_path / 'a.png').write_bytes((tmp_path / 'a.png').read_bytes()[:5000])
    reader = open_slide(tmp_path / 'a.png')
    with pytest.raises(ImageError, match=r'a\.png cannot be read'):
        reader.read_region((0, 0), 0, (5, 5))


def test_image_too_large_to_be_decoded_is_refused_when_it_is_opened(tissue, tmp_path, monkeypatch):
    write_rgb(tmp_path / 'a.png', tissue)
    monkeypatch.setenv('MITOUTS_MAX_IMAGE_PX', '1e5')
    with pytest.raises(ImageError, match=r'is 500 x 360 px and would be decoded whole; the limit is 100,000 px'):
        open_slide(tmp_path / 'a.png')


def _write_intact(kind: str, path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    options = {
        'tiled.tif': {'tile': (16, 16), 'compression': 'zlib'},
        'jpeg.tif': {'tile': (32, 32), 'compression': 'jpeg'},
        'striped.tif': {'rowsperstrip': 8, 'compression': 'lzw'},
        'plain.tif': {},
        'svs': {'tile': (16, 16), 'compression': 'jpeg', 'description': SVS},
    }
    if kind in options:
        tifffile.imwrite(path, pixels, photometric='rgb', metadata=None, **options[kind])
    else:
        write_rgb(path, pixels)


@pytest.fixture(
    scope='module', params=['tiled.tif', 'jpeg.tif', 'striped.tif', 'plain.tif', 'svs', 'png', 'jpg', 'bmp']
)
def intact(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('fuzz')
    _write_intact(request.param, folder / f'intact.{request.param}')
    return folder / f'intact.{request.param}'


def _read_or_refuse(intact: Path, data: bytes) -> None:
    path = intact.with_name(f'spoilt{intact.suffix}')
    path.write_bytes(data)
    try:
        with open_slide(path) as reader:
            width, height = reader.dimensions
            reader.read_region((0, 0), 0, (min(width, 100), min(height, 100)))
            _ = reader.mpp
    except ImageError as error:
        assert path.name in str(error)  # noqa: PT017


@settings(max_examples=40)
@given(share=st.floats(0, 1))
def test_truncated_files_are_read_or_refused(intact, share):
    data = intact.read_bytes()
    _read_or_refuse(intact, data[: int(len(data) * share)])


@settings(max_examples=60)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12))
def test_files_with_wrong_bytes_are_read_or_refused(intact, changes):
    spoilt = bytearray(intact.read_bytes())
    for place, value in changes:
        spoilt[int(place * len(spoilt))] = value
    _read_or_refuse(intact, bytes(spoilt))


@settings(max_examples=60)
@given(changes=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=6))
def test_files_with_a_wrong_header_are_read_or_refused(intact, changes):
    spoilt = bytearray(intact.read_bytes())
    for place, value in changes:
        spoilt[min(place, len(spoilt) - 1)] = value
    _read_or_refuse(intact, bytes(spoilt))
