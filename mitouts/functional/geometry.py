"""Where a cell of a feature map lies in the input image, and how a map is brought back to image size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit


@dataclass(frozen=True)
class CellAxis:
    """Where the cells of a map lie along one axis of the image.

    Attributes:
        stride: Distance between the centres of neighbouring cells, in input pixels.
        center_offset_px: Input coordinate of the centre of cell 0 (0 is the centre of the first pixel).
    """

    stride: float = 1
    center_offset_px: float = 0.0

    def cell_to_px(self, index: NDArray) -> NDArray:
        """Input coordinate of a (fractional) cell index."""
        return np.asarray(index, dtype=np.float64) * self.stride + self.center_offset_px


@dataclass(frozen=True)
class FeatureGeometry(CellAxis):
    """Geometry of a stack of convolutions along one axis (both axes are alike).

    Attributes:
        stride: Distance between the centres of neighbouring feature cells, in input pixels.
        center_offset_px: Input coordinate of the centre of cell 0 (0 is the centre of the first pixel).
        receptive_radius_px: A cell at ``c`` sees the input pixels ``c - radius`` to ``c + radius``, both included.
    """

    stride: int = 1
    receptive_radius_px: float = 0.0

    def then(self, kernel: int, stride: int = 1, pad_before: int | None = None) -> FeatureGeometry:
        """Geometry after one more convolution or pooling.

        Args:
            kernel: Kernel size.
            stride: Step of the layer.
            pad_before: Zeros added before the first cell; default ``kernel // 2``.
        """
        pad = kernel // 2 if pad_before is None else pad_before
        half = (kernel - 1) / 2
        return FeatureGeometry(
            self.stride * stride,
            self.center_offset_px + self.stride * (half - pad),
            self.receptive_radius_px + self.stride * half,
        )

    def to_dict(self) -> dict[str, Any]:
        """The three numbers under their names, as a checkpoint keeps them."""
        return asdict(self)

    def on_axis(self, size_px: int, cells: int) -> CellAxis:
        """Where the cells of a map lie along an axis of an image of a given size."""
        return self


@dataclass(frozen=True)
class AlignCornersGeometry(FeatureGeometry):
    """A map whose outer cells are taken to lie on the image's outer pixels, and whose logits are interpolated.

    The authors' public code of Fernandez-Martin et al. 2024 upsamples the logits with ``align_corners=True``: cell
    ``i`` of ``w`` is read at ``i (W - 1) / (w - 1)``, whatever the backbone saw there. Where a cell lies depends on the
    size of the image, so such a map cannot be put together from tiles. Stride, offset and receptive radius are those
    of the backbone.
    """

    def to_dict(self) -> dict[str, Any]:
        """The three numbers under their names, and how the map is read."""
        return {**asdict(self), 'upsample': 'align_corners'}

    def on_axis(self, size_px: int, cells: int) -> CellAxis:
        return CellAxis((size_px - 1) / (cells - 1)) if cells > 1 else CellAxis()


def interpolation_matrix(size_px: int, cells: int, geometry: FeatureGeometry) -> NDArray[np.float32]:
    """Linear interpolation from cell centres to pixel centres along one axis.

    Pixels outside the first and last cell centre take that cell's value.

    Args:
        size_px: Number of pixels.
        cells: Number of feature cells.
        geometry: Where the cells lie.

    Returns:
        Array ``(size_px, cells)``, float32; each row holds at most two weights and sums to 1.
    """
    return interpolation_weights(np.arange(size_px), cells, geometry.on_axis(size_px, cells))


def interpolation_weights(pixels: NDArray, cells: int, axis: CellAxis) -> NDArray[np.float32]:
    """The rows of :func:`interpolation_matrix` that belong to some pixels.

    Args:
        pixels: Array ``(N,)``.
        cells: Number of feature cells.
        axis: Where the cells lie.

    Returns:
        Array ``(N, cells)``, float32.
    """
    position = (np.asarray(pixels) - axis.center_offset_px) / axis.stride
    position = np.clip(position, 0, cells - 1)
    lower = np.minimum(np.floor(position).astype(int), max(cells - 2, 0))
    fraction = position - lower
    matrix = np.zeros((len(position), cells), dtype=np.float32)
    rows = np.arange(len(position))
    matrix[rows, lower] = 1 - fraction
    if cells > 1:
        matrix[rows, lower + 1] += fraction.astype(np.float32)
    return matrix


def upsample_map(
    score_map: NDArray[np.float32], height: int, width: int, geometry: FeatureGeometry
) -> NDArray[np.float32]:
    """Bilinear interpolation of a score map to image size, by the backbone's own geometry.

    Half-pixel conventions assume that cell 0 covers the first ``stride`` pixels; a convolution's cell is centred
    elsewhere, which would shift points by up to half a stride. Probabilities are interpolated, or with
    :class:`AlignCornersGeometry` their logits, as far as float32 can tell a probability from 1 (up to a logit of 16.6).

    Args:
        score_map: Array ``(h, w)``, probabilities.
        height: Image height in pixels.
        width: Image width in pixels.
        geometry: Where the cells lie in the image.

    Returns:
        Array ``(height, width)``, float32.
    """
    rows = interpolation_matrix(height, score_map.shape[0], geometry)
    columns = interpolation_matrix(width, score_map.shape[1], geometry)
    if not isinstance(geometry, AlignCornersGeometry):
        return rows @ score_map.astype(np.float32) @ columns.T
    full: NDArray[np.float32] = expit(rows @ _finite_logit(score_map.astype(np.float32)) @ columns.T)
    return full


def map_maximum(score_map: NDArray[np.float32], height: int, width: int, geometry: FeatureGeometry) -> float:
    """The score that a map is cut by: its highest cell.

    Stretched cells fall between pixels, so with :class:`AlignCornersGeometry` it is the highest pixel of the upsampled
    map; a threshold chosen on the cells would be too high for the pixels that it cuts.

    Args:
        score_map: Array ``(h, w)``, probabilities.
        height: Image height in pixels.
        width: Image width in pixels.
        geometry: Where the cells lie in the image.
    """
    if isinstance(geometry, AlignCornersGeometry):
        return float(upsample_map(score_map, height, width, geometry).max())
    return float(score_map.max())


def _finite_logit(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    limits = np.finfo(np.float32)
    logits: NDArray[np.float32] = logit(np.clip(probabilities, limits.tiny, 1 - limits.epsneg))
    return logits
