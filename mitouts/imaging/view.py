"""Shows a slide at one resolution, in that resolution's own pixel coordinates."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.base import SlideReader
from mitouts.imaging.resample import read_resampled, resampled_dimensions, simplest_ratio

MPP_TOLERANCE = 0.01
MAX_UPSAMPLING = 1.5
"""Largest factor by which an image may be enlarged if even its finest level is too coarse."""


def level_for_mpp(reader: SlideReader, mpp: float) -> tuple[int, float]:
    """Find the coarsest level that is at most 1% coarser than wanted.

    Args:
        reader: Slide.
        mpp: Wanted micrometres per pixel.

    Returns:
        The level, and the number of its pixels per wanted pixel (below 1 if it must be enlarged).

    Raises:
        ImageError: The slide has no resolution, or would have to be enlarged more than 1.5 times.
    """
    if not mpp > 0:
        raise ImageError(f'a resolution must be positive, found {mpp:g} um per pixel')
    slide_mpp = reader.known_mpp()
    mpps = [slide_mpp * downsample for downsample in reader.level_downsamples]
    level = max(
        (index for index, value in enumerate(mpps) if value <= mpp * (1 + MPP_TOLERANCE)),
        key=lambda index: mpps[index],
        default=0,
    )
    scale = mpp / mpps[level]
    if scale * MAX_UPSAMPLING < 1 - 1e-9:
        raise ImageError(
            f'{reader.path} has {slide_mpp:g} um per pixel, {mpp:g} are wanted: it would have to be enlarged '
            f'{1 / scale:.2f} times (at most {MAX_UPSAMPLING:g}), and what was not scanned would still be missing. Use '
            'a scan of a higher magnification, a model of a coarser resolution, or coarser patches; if the file is '
            'wrong about its resolution, give the true one with --mpp'
        )
    return level, scale


class ScaledView:
    """A slide at one resolution.

    Pixel ``v`` of the view covers ``[v * downsample, (v + 1) * downsample)`` of level 0, measured from the slide's
    outer corner, so a point ``p`` (0 at the centre of a pixel) goes to ``(p + 0.5) / downsample - 0.5``. The scale
    between the level and the view is rounded to a simple fraction within 1%, and ``mpp`` and ``downsample`` are the
    resulting values: a slide of 0.2521 um per pixel seen at 0.25 is not resampled at all.

    Args:
        reader: Slide.
        mpp: Wanted micrometres per pixel.
        level: A level to show unscaled, instead of ``mpp``. Without either, level 0.

    Raises:
        ImageError: The resolution is not available (:func:`level_for_mpp`).
        ValueError: Both ``mpp`` and ``level`` are given, or there is no such level.
    """

    def __init__(self, reader: SlideReader, *, mpp: float | None = None, level: int | None = None) -> None:
        if mpp is not None and level is not None:
            raise ValueError('give mpp or level, not both')
        self.reader = reader
        scale = 1.0
        if mpp is not None:
            level, scale = level_for_mpp(reader, mpp)
        self.level = level or 0
        if not 0 <= self.level < len(reader.level_dimensions):
            raise ValueError(f'{reader.path} has the levels 0 to {len(reader.level_dimensions) - 1}, found {level}')
        self.ratio = simplest_ratio(scale, MPP_TOLERANCE)

    @property
    def dimensions(self) -> tuple[int, int]:
        """``(width, height)`` in pixels of the view; a partly covered last pixel counts."""
        return resampled_dimensions(self.reader.level_dimensions[self.level], self.ratio)

    @property
    def downsample(self) -> float:
        """Level-0 pixels per pixel of the view."""
        return self.reader.level_downsamples[self.level] * float(self.ratio)

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel of the view, None where the slide's are unknown."""
        return None if self.reader.mpp is None else self.reader.mpp * self.downsample

    def read(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read a rectangle, all in pixels of the view.

        Neighbouring rectangles fit without a seam: what a pixel shows does not depend on the rectangle.

        Returns:
            Array ``(height, width, 3)``, RGB; white outside the slide.

        Raises:
            ImageError: That part of the file is broken.
        """
        return read_resampled(self.reader, self.level, self.ratio, x, y, width, height)

    def to_view(self, points: NDArray) -> NDArray[np.float64]:
        """Convert points ``(..., 2)`` from level-0 pixels to pixels of the view: ``(p + 0.5) / downsample - 0.5``."""
        return (np.asarray(points, dtype=np.float64) + 0.5) / self.downsample - 0.5

    def to_level0(self, points: NDArray) -> NDArray[np.float64]:
        """Convert points ``(..., 2)`` from pixels of the view to level-0 pixels; the inverse of :meth:`to_view`."""
        return (np.asarray(points, dtype=np.float64) + 0.5) * self.downsample - 0.5

    def copy(self) -> ScaledView:
        """Return the same view with a handle of its own, for another thread."""
        other = copy.copy(self)
        other.reader = copy.copy(self.reader)
        return other

    def __repr__(self) -> str:
        return f'ScaledView({self.reader!r}, level={self.level}, ratio={self.ratio}, mpp={self.mpp})'
