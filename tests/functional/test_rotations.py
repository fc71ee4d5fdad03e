"""Turned maps lie on the plain map, cell on cell: against a correlation that is computed pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.functional.rotations import plan_turns, turn_back, turn_images


class OneLayer:
    """A convolution of an image ``(H, W)`` that is padded with zeros, and where its cells lie."""

    def __init__(self, kernel: np.ndarray, stride: int, before: int, after: int) -> None:
        self.kernel, self.stride, self.before, self.after = kernel, stride, before, after
        self.geometry = FeatureGeometry().then(len(kernel), stride, before)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(images, (self.before, self.after) * 2)
        weight = torch.from_numpy(self.kernel.copy())[None, None]
        return torch.nn.functional.conv2d(padded, weight, stride=self.stride)[:, 0]

    def by_hand(self, image: np.ndarray, cells: tuple[int, int], quarters: int) -> np.ndarray:
        """What the turned kernel gives around the place of each cell; nothing but zeros is outside."""
        kernel, size = np.rot90(self.kernel, -quarters), len(self.kernel)
        values = np.zeros(cells)
        for row, column in np.ndindex(cells):
            y, x = (self.geometry.cell_to_px(np.array(number)) - (size - 1) / 2 for number in (row, column))
            for down, across in np.ndindex(size, size):
                v, u = round(float(y)) + down, round(float(x)) + across
                if 0 <= v < image.shape[0] and 0 <= u < image.shape[1]:
                    values[row, column] += kernel[down, across] * image[v, u]
        return values


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 23),
    width=st.integers(1, 23),
    size=st.integers(1, 6),
    stride=st.integers(1, 5),
    is_symmetric=st.booleans(),
    seed=st.integers(0, 9),
)
def test_cells_of_turned_maps_lie_on_those_of_the_plain_map(height, width, size, stride, is_symmetric, seed):
    rng = np.random.default_rng(seed)
    total = max(size - stride, 0)
    # As PyTorch's networks pad, or as TensorFlow's.
    before, after = (size // 2, size // 2) if is_symmetric else (total // 2, total - total // 2)
    layer = OneLayer(rng.normal(size=(size, size)), stride, before, after)
    image = rng.normal(size=(height, width))
    images = torch.from_numpy(image)[None, None]
    if min(height, width) + before + after < size:
        return
    plain = layer(images)
    cells = (plain.shape[1], plain.shape[2])
    np.testing.assert_allclose(plain[0].numpy(), layer.by_hand(image, cells, 0), atol=1e-9)
    for turn in plan_turns((height, width), cells, layer.geometry):
        back = turn_back(layer(turn_images(images, turn)), turn, cells)
        np.testing.assert_allclose(back[0].numpy(), layer.by_hand(image, cells, turn.quarters), atol=1e-9)


@pytest.mark.parametrize('size_px', [(40, 40), (37, 50)])
@pytest.mark.parametrize('drift', [(0, 0), (3, -1), (2, 2)])
def test_a_network_that_points_beside_the_figure_does_so_alike_on_every_turn(size_px, drift):
    # The kernel answers `drift` beside an impulse.
    kernel = np.zeros((9, 9))
    kernel[4 - drift[1], 4 - drift[0]] = 1
    layer = OneLayer(kernel, 1, 4, 4)
    image = torch.zeros(1, 1, *size_px)
    image[0, 0, 20, 23] = 1
    plain = layer(image.double())
    expected = torch.zeros(size_px)
    expected[20 + drift[1], 23 + drift[0]] = 1
    torch.testing.assert_close(plain[0], expected.double())
    for turn in plan_turns(size_px, size_px, layer.geometry, drift_px=drift):
        back = turn_back(layer(turn_images(image, turn).double()), turn, size_px)
        torch.testing.assert_close(back, plain)


def test_shifts_of_a_coarse_level_are_kept():
    geometry = FeatureGeometry(stride=4, center_offset_px=3.0, receptive_radius_px=9.0)
    for size in (32, 33, 50):
        for turn in plan_turns((size, size), (size // 4, size // 4), geometry, period_px=16):
            for axis in (turn.rows, turn.columns):
                # Both ends of a turned image are on a lattice that does not depend on its size.
                assert (axis.before_px + size + axis.after_px) % 16 == 0
                assert axis.before_px in (0, 9)


def test_a_map_that_is_stretched_to_the_corners_is_turned_as_it_is():
    images = torch.arange(30.0).view(1, 1, 5, 6)
    for turn in plan_turns((5, 6), (5, 6), AlignCornersGeometry(stride=1)):
        turned = turn_images(images, turn)
        torch.testing.assert_close(turned, images.rot90(turn.quarters, (2, 3)))
        torch.testing.assert_close(turn_back(turned[:, 0], turn, (5, 6)), images[:, 0])
