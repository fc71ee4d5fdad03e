"""What every slide reader promises."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from outside import names_in

from mitouts.errors import ImageError
from mitouts.imaging import ScaledView, SlideReader, open_slide
from mitouts.imaging.opening import reader_for
from mitouts.registry import SLIDE_READERS

NAMES = names_in(SLIDE_READERS, SlideReader, 'ArrayReader')
WIDTH, HEIGHT = 150, 110
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def _write_png(path: Path) -> Path:
    cv2.imwrite(str(path), PIXELS[..., ::-1])
    return path


def _write_tiled(path: Path) -> Path:
    tifffile.imwrite(path, PIXELS, photometric='rgb', tile=(64, 64), compression='zlib')
    return path


def _write_array(path: Path) -> Path:
    np.save(path, PIXELS)
    return path


FILES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    'ImageReader': ('a.png', _write_png),
    'TiffReader': ('a.tif', _write_tiled),
    'OpenSlideReader': ('a.tif', _write_tiled),
    'ArrayReader': ('a.npy', _write_array),
}


@pytest.fixture(params=NAMES)
def reader(bring, request: pytest.FixtureRequest, tmp_path: Path) -> SlideReader:
    """Each reader, on a file of the same pixels."""
    bring(request.param)
    name, write = FILES[request.param]
    return open_slide(write(tmp_path / name), reader=request.param, mpp=0.25)


def region(left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
    """What a region shows: white outside of the image."""
    framed = np.pad(PIXELS, ((200, 200), (200, 200), (0, 0)), constant_values=255)
    return framed[top + 200 : top + 200 + height, left + 200 : left + 200 + width]


def test_the_first_level_is_the_whole_image(reader: SlideReader) -> None:
    assert reader.dimensions == reader.level_dimensions[0] == (WIDTH, HEIGHT)
    assert reader.level_downsamples[0] == 1
    assert reader.mpp == reader.known_mpp() == 0.25
    assert all(isinstance(value, str) for value in reader.properties.values())


@pytest.mark.parametrize('box', [(0, 0, WIDTH, HEIGHT), (17, 23, 80, 70), (-9, -5, 40, 30), (140, 100, 60, 60)])
def test_regions_are_the_pixels_and_white_beyond(reader: SlideReader, box: tuple[int, int, int, int]) -> None:
    found = reader.read_level(0, *box)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, region(*box))


def test_a_region_is_the_callers_own(reader: SlideReader) -> None:
    reader.read_level(0, 10, 10, 20, 20)[:] = 0
    np.testing.assert_array_equal(reader.read_level(0, 10, 10, 20, 20), region(10, 10, 20, 20))


def test_it_is_read_after_closing_pickling_and_by_threads(reader: SlideReader) -> None:
    expected = region(30, 40, 50, 60)
    reader.read_level(0, 0, 0, 5, 5)
    reader.close()
    np.testing.assert_array_equal(reader.read_level(0, 30, 40, 50, 60), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader)).read_level(0, 30, 40, 50, 60), expected)
    with ThreadPoolExecutor(4) as pool:
        copies = [copy.copy(reader) for _ in range(8)]
        for found in pool.map(lambda each: each.read_level(0, 30, 40, 50, 60), copies):
            np.testing.assert_array_equal(found, expected)


def test_it_is_seen_at_other_resolutions(reader: SlideReader) -> None:
    view = ScaledView(reader, mpp=0.5)
    assert view.dimensions == (WIDTH // 2, HEIGHT // 2)
    halved = PIXELS.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(view.read(0, 0, WIDTH // 2, HEIGHT // 2), halved, atol=1)
    assert reader.thumbnail(30).shape == (22, 30, 3)


def test_a_file_that_is_not_there_is_a_clear_error(reader: SlideReader, tmp_path: Path) -> None:
    missing = tmp_path / f'missing{reader.path.suffix}'
    with pytest.raises((ImageError, OSError), match='missing'):
        type(reader)(missing)


def test_no_two_readers_want_the_same_kind_of_file() -> None:
    readers = [SLIDE_READERS.require(name) for name in names_in(SLIDE_READERS, SlideReader)]
    kinds = [reader.kind for reader in readers if reader.kind is not None]
    assert len(set(kinds)) == len(kinds)
    assert all(reader.kind is not None or reader.suffixes for reader in readers)


def test_the_reader_of_a_file_is_found_by_what_it_is(bring, tmp_path: Path) -> None:
    bring('ArrayReader')
    for name in ('ImageReader', 'TiffReader', 'ArrayReader'):
        file_name, write = FILES[name]
        assert reader_for(write(tmp_path / file_name)).__name__ == name
