"""Computes where the cells of a feature map lie in the image, and up-samples maps to image size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

# Bounds the memory beside the result.
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class CellAxis:
    """Places the cells of a map along one axis of the image.

    Attributes:
        stride: Distance between the centres of neighbouring cells, in input pixels.
        center_offset_px: Input coordinate of the centre of cell 0 (0 is the centre of the first pixel).
    """

    stride: float = 1
    center_offset_px: float = 0.0

    def cell_to_px(self, index: NDArray) -> NDArray:
        """Turn a (fractional) cell index into an input coordinate."""
        return np.asarray(index, dtype=np.float64) * self.stride + self.center_offset_px


@dataclass(frozen=True)
class FeatureGeometry(CellAxis):
    """Geometry of a stack of convolutions along one axis (both axes are alike).

    Attributes:
        receptive_radius_px: A cell at ``c`` sees the input pixels ``c - radius`` to ``c + radius``, both included.
    """

    stride: int = 1
    receptive_radius_px: float = 0.0

    def then(self, kernel: int, stride: int = 1, pad_before: int | None = None) -> FeatureGeometry:
        """Return the geometry after one more convolution or pooling.

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
        """Return the three numbers by name, as a checkpoint stores them."""
        return asdict(self)

    def on_axis(self, size_px: int, cells: int) -> CellAxis:
        """Place the cells of a map along an axis of an image of a given size."""
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
        """Return the three numbers by name, and the way the map is interpolated."""
        return {**asdict(self), 'upsample': 'align_corners'}

    def on_axis(self, size_px: int, cells: int) -> CellAxis:
        return CellAxis((size_px - 1) / (cells - 1)) if cells > 1 else CellAxis()


class CellPlaces(NamedTuple):
    """The two cells of an axis that each pixel lies between.

    Attributes:
        lower: ``(N,)`` int, the cell before each pixel.
        upper: ``(N,)`` int, the cell after it; the same one where there is no other.
        fraction: ``(N,)`` float32, how far the pixel is on the way from the one to the other.
    """

    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    fraction: NDArray[np.float32]


def place_pixels(pixels: NDArray, size_px: int, cells: int, geometry: FeatureGeometry) -> CellPlaces:
    """Find the cells around pixels of an axis; pixels outside the first and last cell centre lie on that cell.

    Args:
        pixels: Array ``(N,)``, pixel positions.
        size_px: Number of pixels of the axis.
        cells: Number of feature cells of the axis.
        geometry: Where the cells lie.
    """
    axis = geometry.on_axis(size_px, cells)
    position = np.clip((np.asarray(pixels) - axis.center_offset_px) / axis.stride, 0, cells - 1)
    lower = np.floor(position).astype(np.intp)
    return CellPlaces(lower, np.minimum(lower + 1, cells - 1), (position - lower).astype(np.float32))


def blend_cells(
    score_map: NDArray[np.float32], rows: CellPlaces, columns: CellPlaces, geometry: FeatureGeometry
) -> NDArray[np.float32]:
    """Compute the up-sampled map at the crossings of some pixel rows and columns.

    A pixel's value is the same to the last bit whichever other pixels are read with it, so reading a map whole or in
    parts gives the same scores.

    Args:
        score_map: Array ``(h, w)``, probabilities; may be memory-mapped.
        rows: Places of ``R`` pixel rows.
        columns: Places of ``C`` pixel columns.
        geometry: Says whether probabilities or logits are interpolated.

    Returns:
        Array ``(R, C)``, float32.
    """
    if not len(rows.lower):
        return np.zeros((0, len(columns.lower)), dtype=np.float32)
    first, end = int(rows.lower.min()), int(rows.upper.max()) + 1
    rows = CellPlaces(rows.lower - first, rows.upper - first, rows.fraction)
    values = np.asarray(score_map[first:end], dtype=np.float32)
    if not isinstance(geometry, AlignCornersGeometry):
        return _between(_between(values, columns, 1), rows, 0)
    scores: NDArray[np.float32] = expit(_between(_between(_finite_logit(values), columns, 1), rows, 0))
    return scores


def _between(values: NDArray[np.float32], places: CellPlaces, axis: Literal[0, 1]) -> NDArray[np.float32]:
    below = np.take(values, places.lower, axis=axis)
    blended: NDArray[np.float32] = np.take(values, places.upper, axis=axis)
    # In this form it is exact on a cell and between equal cells, and never leaves the range of the two.
    blended -= below
    blended *= places.fraction[:, None] if axis == 0 else places.fraction
    blended += below
    return blended


def upsample_map(
    score_map: NDArray[np.float32], height: int, width: int, geometry: FeatureGeometry
) -> NDArray[np.float32]:
    """Interpolate a score map to image size, bilinearly, by the backbone's own geometry.

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
    columns = place_pixels(np.arange(width), width, score_map.shape[1], geometry)
    full = np.empty((height, width), dtype=np.float32)
    for top in range(0, height, _ROWS_AT_ONCE):
        rows = np.arange(top, min(top + _ROWS_AT_ONCE, height))
        places = place_pixels(rows, height, score_map.shape[0], geometry)
        full[top : top + len(rows)] = blend_cells(score_map, places, columns, geometry)
    return full


def map_maximum(score_map: NDArray[np.float32], height: int, width: int, geometry: FeatureGeometry) -> float:
    """Find the highest pixel of the up-sampled map, which is the score of the image's best point.

    Where cells are centred between pixels (stride 16 at offset 7.5, or a stretched map) all pixels are lower than the
    highest cell; a threshold chosen on cells would be too high for the pixels that it cuts. The arguments are those of
    :func:`upsample_map`.
    """
    return float(upsample_map(score_map, height, width, geometry).max())


def cell_maxima(
    score_map: NDArray[np.float32], height: int, width: int, geometry: FeatureGeometry
) -> NDArray[np.float32]:
    """Return the highest value that the up-sampled map takes at the pixels next to each cell's centre.

    There are four around a centre between pixels, one at a centre on a pixel (whose value is the cell's), and for a
    centre outside the image those of the border. From centre to centre the interpolation rises or falls all the way,
    so the highest pixel of the whole up-sampled map is among them. The arguments are those of :func:`upsample_map`; the
    map may be memory-mapped.

    Returns:
        Array ``(h, w)``, float32.
    """
    shape = score_map.shape
    rows, rows_are_centres = _pixels_beside(height, shape[0], geometry)
    columns, columns_are_centres = _pixels_beside(width, shape[1], geometry)
    if rows_are_centres and columns_are_centres and not isinstance(geometry, AlignCornersGeometry):
        return np.asarray(score_map, dtype=np.float32)
    across = [place_pixels(pixels, width, shape[1], geometry) for pixels in columns]
    highest = np.full(shape, -np.inf, dtype=np.float32)
    for top in range(0, shape[0], _ROWS_AT_ONCE):
        block = highest[top : top + _ROWS_AT_ONCE]
        for pixels in rows:
            down = place_pixels(pixels[top : top + _ROWS_AT_ONCE], height, shape[0], geometry)
            for places in across:
                np.maximum(block, blend_cells(score_map, down, places, geometry), out=block)
    return highest


def _pixels_beside(size_px: int, cells: int, geometry: FeatureGeometry) -> tuple[list[NDArray[np.float64]], bool]:
    """Find the pixels next to each cell centre of an axis.

    Returns:
        One or two arrays ``(cells,)``, and whether the pixels are the centres themselves.
    """
    centres = geometry.on_axis(size_px, cells).cell_to_px(np.arange(cells))
    before, after = np.clip([np.floor(centres), np.ceil(centres)], 0, size_px - 1)
    if (before == after).all():
        return [before], bool((before == centres).all())
    return [before, after], False


def _finite_logit(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    limits = np.finfo(np.float32)
    logits: NDArray[np.float32] = logit(np.clip(probabilities, limits.tiny, 1 - limits.epsneg))
    return logits
