"""Views between the levels: where a pixel lies, and that parts fit together."""

from __future__ import annotations

import pickle
from fractions import Fraction

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.errors import ImageError
from mitouts.imaging import ScaledView, open_slide
from mitouts.imaging.resample import simplest_ratio
from mitouts.imaging.tiff_reader import TiffReader
from mitouts.imaging.view import level_for_mpp

WIDTH, HEIGHT = 500, 360


@pytest.fixture
def pyramid(noise, write_pyramid) -> TiffReader:
    """0.25 um per pixel, levels of 1, 2 and 4."""
    return TiffReader(write_pyramid(noise), mpp=0.25)


def area_average(image: np.ndarray, scale: float, width: int, height: int) -> np.ndarray:
    """Mean of each pixel's footprint ``[v * scale, (v + 1) * scale)``, written out as two matrices."""

    def weights(length: int, count: int) -> np.ndarray:
        edges = np.arange(count + 1)[:, None] * scale
        cells = np.arange(length)[None]
        overlap = np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells)
        overlap = np.maximum(overlap, 0)
        return overlap / overlap.sum(axis=1, keepdims=True)

    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.einsum('yr,rcs,xc->yxs', rows, image.astype(float), columns, optimize=True)


@pytest.mark.parametrize(
    ('mpp', 'level', 'scale'),
    [
        (0.25, 0, 1.0),
        (0.2, 0, 0.8),
        (0.4, 0, 1.6),
        (0.5, 1, 1.0),
        (0.496, 1, 0.992),
        (0.6, 1, 1.2),
        (1.0, 2, 1.0),
        (8.0, 2, 8.0),
        (0.25 / 1.5, 0, 1 / 1.5),
    ],
)
def test_level_for_mpp(mpp, level, scale, pyramid):
    found = level_for_mpp(pyramid, mpp)
    assert found[0] == level
    assert found[1] == pytest.approx(scale)


def test_enlarging_too_much_is_refused(pyramid):
    with pytest.raises(
        ImageError,
        match=r'has 0\.25 um per pixel, 0\.125 are wanted: it would have to be enlarged 2\.00 times \(at most 1\.5\), '
        r'.* scan of a higher magnification, .* give the true one with --mpp',
    ):
        level_for_mpp(pyramid, 0.125)


def test_unknown_resolution_is_an_error_that_says_how_to_give_one(noise, write_pyramid):
    reader = open_slide(write_pyramid(noise))
    with pytest.raises(ImageError, match=r'does not say how many um a pixel has: give its true resolution with --mpp'):
        ScaledView(reader, mpp=0.5)
    assert ScaledView(reader, level=1).mpp is None


@pytest.mark.parametrize('mpp', [0.0, -1.0, float('nan')])
def test_absurd_resolution_is_refused(mpp, pyramid):
    with pytest.raises(ImageError, match='must be positive'):
        level_for_mpp(pyramid, mpp)


def test_level_or_resolution_not_both(pyramid):
    with pytest.raises(ValueError, match='mpp or level, not both'):
        ScaledView(pyramid, mpp=0.5, level=1)
    with pytest.raises(ValueError, match='has the levels 0 to 2, found 3'):
        ScaledView(pyramid, level=3)


def test_a_level_is_seen_as_it_is(pyramid, noise):
    view = ScaledView(pyramid, level=1)
    assert (view.dimensions, view.downsample, view.mpp) == ((250, 180), 2.0, 0.5)
    np.testing.assert_array_equal(view.read(20, 30, 60, 50), pyramid.read_region((40, 60), 1, (60, 50)))
    np.testing.assert_array_equal(ScaledView(pyramid).read(0, 0, WIDTH, HEIGHT), noise)


def test_a_resolution_within_one_percent_is_not_resampled(noise, write_pyramid):
    view = ScaledView(TiffReader(write_pyramid(noise), mpp=0.2521), mpp=0.25)
    assert (view.level, view.ratio, view.mpp) == (0, 1, 0.2521)
    np.testing.assert_array_equal(view.read(3, 4, 50, 60), noise[4:64, 3:53])


@pytest.mark.parametrize('wanted', [0.3, 0.34, 0.4, 0.46])
def test_shrunk_pixels_are_area_averages(wanted, pyramid, noise):
    view = ScaledView(pyramid, mpp=wanted)
    assert view.mpp == pytest.approx(wanted, rel=0.01)
    width, height = view.dimensions
    assert width - 1 < WIDTH / view.downsample <= width
    expected = area_average(noise, view.downsample, width, height)
    assert np.abs(view.read(0, 0, width, height)[:-1, :-1] - expected[:-1, :-1]).max() <= 1


def test_an_odd_resolution_reads_from_the_level_below(pyramid, noise):
    view = ScaledView(pyramid, mpp=0.75)
    assert (view.level, view.ratio, view.downsample) == (1, Fraction(3, 2), 3.0)
    half = cv2.resize(noise, (250, 180), interpolation=cv2.INTER_AREA)
    expected = area_average(half, 1.5, 167, 120)
    assert np.abs(view.read(0, 0, 166, 120) - expected[:, :166]).max() <= 1


@settings(max_examples=40)
@given(
    wanted=st.sampled_from([0.17, 0.2, 0.23, 0.3, 0.3333, 0.4, 0.5, 0.7, 1.3]),
    corner=st.tuples(st.integers(-20, 500), st.integers(-20, 360)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_any_part_equals_the_same_part_of_the_whole(wanted, corner, size):
    view = ScaledView(PYRAMID, mpp=wanted)
    width, height = view.dimensions
    margin = 120
    whole = view.read(-margin, -margin, width + 2 * margin, height + 2 * margin)
    x, y = min(corner[0], width + 20), min(corner[1], height + 20)
    part = view.read(x, y, *size).astype(int)
    same = whole[y + margin : y + margin + size[1], x + margin : x + margin + size[0]]
    assert np.abs(part - same).max() <= 1


@pytest.mark.parametrize('wanted', [0.2, 0.3, 0.46])
def test_tiles_fit_without_a_seam(wanted, pyramid):
    view = ScaledView(pyramid, mpp=wanted)
    width, height = view.dimensions
    tiled = np.empty((height, width, 3), np.uint8)
    for y in range(0, height, 77):
        for x in range(0, width, 101):
            tile = view.read(x, y, min(101, width - x), min(77, height - y))
            tiled[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    assert np.abs(tiled.astype(int) - view.read(0, 0, width, height)).max() <= 1


@pytest.mark.parametrize('wanted', [0.17, 0.2, 0.3, 0.46, 0.75, 1.7])
def test_a_spot_lies_where_the_points_say(wanted, tmp_path):
    centres = np.array([[90.0, 60.0], [401.5, 300.25], [250.0, 20.0]])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    dark = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2)) for x, y in centres)
    image = np.repeat((240 - 200 * dark).astype(np.uint8)[..., None], 3, axis=2)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb', tile=(64, 64))
    view = ScaledView(TiffReader(tmp_path / 'a.tif', mpp=0.25), mpp=wanted)
    weight = 240.0 - view.read(0, 0, *view.dimensions)[..., 0]
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    radius = 16 / view.downsample
    for x, y in view.to_view(centres):
        near = weight * (np.hypot(columns - x, rows - y) <= radius)
        found = np.array([(near * columns).sum(), (near * rows).sum()]) / near.sum()
        assert np.hypot(*(found - (x, y))) * view.downsample < 0.2


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)), min_size=1, max_size=5))
def test_points_come_back(points):
    view = ScaledView(PYRAMID, mpp=0.46)
    np.testing.assert_allclose(view.to_level0(view.to_view(np.array(points))), points, atol=1e-8)
    corner = view.to_view(np.array([-0.5, -0.5]))
    np.testing.assert_allclose(corner, -0.5)


def test_the_last_pixel_of_the_slide_lies_in_the_view(pyramid):
    for wanted in (0.2, 0.3, 0.7, 1.7):
        view = ScaledView(pyramid, mpp=wanted)
        assert (view.to_view(np.array([WIDTH - 1, HEIGHT - 1])) <= np.array(view.dimensions) - 0.5).all()


def test_an_edge_pixel_that_is_partly_covered_is_not_washed_out(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', np.full((50, 50, 3), 80, np.uint8), photometric='rgb', tile=(64, 64))
    view = ScaledView(TiffReader(tmp_path / 'a.tif', mpp=0.25), mpp=0.4)
    assert view.dimensions == (32, 32)
    assert (view.read(0, 0, 32, 32) == 80).all()
    assert (view.read(32, 0, 5, 5) == 255).all()


@settings(max_examples=200)
@given(st.floats(0.5, 50))
def test_simplest_ratio_is_close_and_simple(scale):
    ratio = simplest_ratio(scale)
    assert abs(ratio - scale) <= 0.01 * scale
    assert ratio.denominator < 64


def test_a_view_can_be_pickled(pyramid):
    view = ScaledView(pyramid, mpp=0.3)
    other = pickle.loads(pickle.dumps(view))
    np.testing.assert_array_equal(other.read(10, 10, 40, 30), view.read(10, 10, 40, 30))


class _Array:
    """A level that is an array."""

    level_downsamples = (1.0, 2.0, 4.0)
    mpp = 0.25
    path = 'array'

    def known_mpp(self) -> float:
        return self.mpp

    def __init__(self) -> None:
        self._level0 = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        self.level_dimensions = ((500, 360), (250, 180), (125, 90))

    def read_level(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        factor = 2**level
        image = cv2.resize(self._level0, (WIDTH // factor, HEIGHT // factor), interpolation=cv2.INTER_AREA)
        padded = np.pad(image, ((500, 500), (500, 500), (0, 0)), constant_values=255)
        return padded[y + 500 : y + 500 + height, x + 500 : x + 500 + width]


PYRAMID = _Array()
