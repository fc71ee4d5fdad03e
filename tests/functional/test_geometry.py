"""Where feature cells lie, against a brute-force walk through the layers, numpy.interp and scipy."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from mitouts.functional.geometry import (
    AlignCornersGeometry,
    FeatureGeometry,
    blend_cells,
    cell_maxima,
    map_maximum,
    place_pixels,
    upsample_map,
)

LAYERS = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(0, 4)), min_size=1, max_size=6)
GEOMETRIES = st.builds(FeatureGeometry, st.integers(1, 20), st.integers(-8, 24).map(lambda half: half / 2))
RESNET_STRIDE_16 = FeatureGeometry(stride=16, center_offset_px=0.0)
LITE_STRIDE_16 = FeatureGeometry(stride=16, center_offset_px=15.0)


def _seen_interval(layers: list[tuple[int, int, int]], cell: int) -> tuple[int, int]:
    """First and last input pixel of a cell, one layer after the other from the last to the first."""
    low = high = cell
    for kernel, stride, pad in reversed(layers):
        low, high = low * stride - pad, high * stride - pad + kernel - 1
    return low, high


@given(layers=LAYERS, cell=st.integers(0, 5))
def test_geometry_of_layers_is_the_interval_that_a_cell_sees(layers: list[tuple[int, int, int]], cell: int) -> None:
    geometry = FeatureGeometry()
    for layer in layers:
        geometry = geometry.then(*layer)
    low, high = _seen_interval(layers, cell)
    assert geometry.cell_to_px(np.array(cell)) == (low + high) / 2
    assert geometry.receptive_radius_px == (high - low) / 2
    assert geometry.stride == np.prod([stride for _, stride, _ in layers])


def test_default_padding_is_half_the_kernel() -> None:
    assert FeatureGeometry().then(7, 2) == FeatureGeometry().then(7, 2, 3)
    assert FeatureGeometry().then(7, 2).then(3, 2) == FeatureGeometry(4, 0.0, 5.0)


def test_geometry_survives_a_dict() -> None:
    kept: dict[str, Any] = FeatureGeometry(8, 3.5, 20.0).to_dict()
    assert FeatureGeometry(**kept) == FeatureGeometry(8, 3.5, 20.0)


@given(
    geometry=GEOMETRIES, size_px=st.integers(1, 80), values=st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=9)
)
def test_a_row_of_cells_is_interpolated_as_numpy_does(
    geometry: FeatureGeometry, size_px: int, values: list[float]
) -> None:
    row = np.array([values], dtype=np.float32)
    centers = np.arange(len(values)) * geometry.stride + geometry.center_offset_px
    expected = np.interp(np.arange(size_px), centers, values)
    np.testing.assert_allclose(upsample_map(row, 1, size_px, geometry)[0], expected, atol=1e-5)


@given(geometry=GEOMETRIES, size_px=st.integers(1, 80), cells=st.integers(1, 9))
def test_pixels_between_equal_cells_have_their_very_value(geometry: FeatureGeometry, size_px: int, cells: int) -> None:
    full = upsample_map(np.full((cells, 2), 0.7, np.float32), size_px, 3, geometry)
    assert (full == np.float32(0.7)).all()


@settings(max_examples=60)
@given(geometry=GEOMETRIES, seed=st.integers(0, 999), is_stretched=st.booleans())
def test_part_of_a_map_is_read_to_the_last_bit_as_the_whole(
    geometry: FeatureGeometry, seed: int, is_stretched: bool
) -> None:
    if is_stretched:
        geometry = AlignCornersGeometry(geometry.stride, geometry.center_offset_px)
    rng = np.random.default_rng(seed)
    score_map = rng.random((5, 7)).astype(np.float32)
    full = upsample_map(score_map, 60, 83, geometry)
    rows, columns = np.sort(rng.integers(0, 60, 9)), np.sort(rng.integers(0, 83, 4))
    part = blend_cells(score_map, place_pixels(rows, 60, 5, geometry), place_pixels(columns, 83, 7, geometry), geometry)
    np.testing.assert_array_equal(part, full[np.ix_(rows, columns)])


@settings(max_examples=60)
@given(geometry=GEOMETRIES, seed=st.integers(0, 999), is_stretched=st.booleans())
def test_a_cell_reaches_as_high_as_the_pixels_beside_its_centre(
    geometry: FeatureGeometry, seed: int, is_stretched: bool
) -> None:
    if is_stretched:
        geometry = AlignCornersGeometry(geometry.stride, geometry.center_offset_px)
    height, width = np.random.default_rng(seed).integers(2, 90, 2).tolist()
    score_map = np.random.default_rng(seed).random((5, 4)).astype(np.float32)
    full = upsample_map(score_map, height, width, geometry)
    expected = np.zeros_like(score_map)
    for row, column in np.ndindex(score_map.shape):
        y = geometry.on_axis(height, 5).cell_to_px(np.array(row))
        x = geometry.on_axis(width, 4).cell_to_px(np.array(column))
        lines = np.clip([np.floor(y), np.ceil(y)], 0, height - 1).astype(int)
        pillars = np.clip([np.floor(x), np.ceil(x)], 0, width - 1).astype(int)
        expected[row, column] = full[np.ix_(lines, pillars)].max()
    found = cell_maxima(score_map, height, width, geometry)
    np.testing.assert_array_equal(found, expected)
    assert found.max() == pytest.approx(full.max(), rel=3e-7)


@settings(max_examples=30)
@given(
    geometry=GEOMETRIES,
    cells=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    size_px=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 99),
)
def test_upsampling_is_scipys_linear_interpolation(
    geometry: FeatureGeometry, cells: tuple[int, int], size_px: tuple[int, int], seed: int
) -> None:
    score_map = np.random.default_rng(seed).random(cells).astype(np.float32)
    pixels = np.mgrid[: size_px[0], : size_px[1]]
    at = (pixels - geometry.center_offset_px) / geometry.stride
    expected = ndimage.map_coordinates(score_map.astype(np.float64), at, order=1, mode='nearest')
    full = upsample_map(score_map, *size_px, geometry)
    assert full.shape == size_px
    assert full.dtype == np.float32
    np.testing.assert_allclose(full, expected, atol=1e-5)


def test_cell_centres_keep_their_value_exactly() -> None:
    score_map = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    full = upsample_map(score_map, 80, 112, LITE_STRIDE_16)
    np.testing.assert_array_equal(full[15::16, 15::16], score_map)


def _bump(center: tuple[float, float], geometry: FeatureGeometry, cells: int) -> NDArray[np.float32]:
    """A Gaussian around a pixel, seen at the centres of feature cells."""
    at = geometry.cell_to_px(np.arange(cells))
    distance_sq = (at[None, :] - center[0]) ** 2 + (at[:, None] - center[1]) ** 2
    return np.exp(-distance_sq / (2 * 24.0**2)).astype(np.float32)


def _center_of_mass(full: NDArray[Any]) -> NDArray[np.float64]:
    row, column = ndimage.center_of_mass(np.where(full > 0.3, full, 0))
    return np.array([column, row])


@pytest.mark.parametrize('geometry', [RESNET_STRIDE_16, LITE_STRIDE_16], ids=['offset 0', 'offset 15'])
@pytest.mark.parametrize('center', [(128, 128), (131, 120), (97, 143), (119.5, 104.25)])
def test_a_bump_comes_back_where_it_was(geometry: FeatureGeometry, center: tuple[float, float]) -> None:
    full = upsample_map(_bump(center, geometry, 16), 256, 256, geometry)
    assert np.linalg.norm(_center_of_mass(full) - center) < 1


@pytest.mark.parametrize(
    ('geometry', 'shift_px'), [(RESNET_STRIDE_16, 7.5), (LITE_STRIDE_16, -7.5)], ids=['offset 0', 'offset 15']
)
def test_half_pixel_resizing_would_shift_the_bump_by_half_a_stride(geometry: FeatureGeometry, shift_px: float) -> None:
    center = (128, 120)
    resized = cv2.resize(_bump(center, geometry, 16), (256, 256), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(_center_of_mass(resized) - center, shift_px, atol=1)


STRETCHED = AlignCornersGeometry(stride=16, center_offset_px=0.0, receptive_radius_px=105.0)


@pytest.mark.parametrize(('size_px', 'cells', 'places'), [(500, 32, 499 / 31), (5, 3, 2.0), (9, 1, 1.0), (1, 4, 0.0)])
def test_stretched_cells_go_from_the_first_to_the_last_pixel(size_px: int, cells: int, places: float) -> None:
    centers = STRETCHED.on_axis(size_px, cells).cell_to_px(np.arange(cells))
    np.testing.assert_allclose(centers, np.arange(cells) * places)


def test_cells_of_a_backbone_lie_where_they_lie_in_any_image() -> None:
    assert LITE_STRIDE_16.on_axis(500, 32) is LITE_STRIDE_16


def test_stretched_geometry_keeps_the_backbones_numbers_and_says_how_it_is_read() -> None:
    assert STRETCHED.to_dict() == {
        'stride': 16,
        'center_offset_px': 0.0,
        'receptive_radius_px': 105.0,
        'upsample': 'align_corners',
    }


@pytest.mark.parametrize('size_px', [(80, 113), (64, 64), (7, 9)])
def test_a_stretched_map_is_torchs_upsampling_of_its_logits(size_px: tuple[int, int]) -> None:
    logits = torch.randn(1, 1, 5, 8, generator=torch.Generator().manual_seed(0)) * 3
    resized = torch.nn.functional.interpolate(logits, size=size_px, mode='bilinear', align_corners=True)
    full = upsample_map(torch.sigmoid(logits)[0, 0].numpy(), *size_px, STRETCHED)
    assert full.dtype == np.float32
    np.testing.assert_allclose(full, torch.sigmoid(resized)[0, 0].numpy(), atol=1e-5)


def test_a_stretched_map_of_certainties_is_finite() -> None:
    full = upsample_map(np.array([[0, 1]], dtype=np.float32), 1, 11, STRETCHED)
    assert np.isfinite(full).all()
    assert (np.diff(full) >= 0).all()
    np.testing.assert_allclose(full[0, [0, -1]], [0, 1], atol=1e-6)


@pytest.mark.parametrize(
    ('geometry', 'width', 'highest'),
    [
        (FeatureGeometry(3, 0.0), 10, 0.8),  # the cell lies on pixel 3
        (FeatureGeometry(16, 7.5), 64, 0.8 * 31 / 32),  # half a pixel beside pixels 23 and 24
        (FeatureGeometry(16, 15.0), 9, 0.0),  # 22 pixels beyond the border
        (FeatureGeometry(16, 15.0), 24, 0.8 * 8 / 16),  # 8 pixels beyond the border
        (AlignCornersGeometry(16, 0.0), 10, 0.8),
    ],
)
def test_a_maps_maximum_is_its_highest_pixel(geometry: FeatureGeometry, width: int, highest: float) -> None:
    score_map = np.zeros((1, 4), dtype=np.float32)
    score_map[0, 1] = 0.8
    assert map_maximum(score_map, 1, width, geometry) == pytest.approx(highest)


def test_a_stretched_maps_maximum_is_its_highest_pixel() -> None:
    score_map = np.full((1, 4), 0.01, dtype=np.float32)
    score_map[0, 1] = 0.99
    # In nine pixels the cell lies at 8 / 3, an eighth of a cell from pixel 3.
    odds = 99 ** (1 - 2 / 8)
    assert map_maximum(score_map, 1, 9, STRETCHED) == pytest.approx(odds / (1 + odds))
