"""Reads slides and images of any format through one interface."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.imaging.image_header import Kind, mpp_doubt, scanner_mpp
from mitouts.imaging.resample import read_resampled

WHITE = 255
_THUMBNAIL_BAND_PX = 16_000_000


@dataclass(frozen=True)
class SlideHeader:
    """A file's header, read without decoding a pixel.

    Attributes:
        level_dimensions: ``(width, height)`` of each level in its own pixels, finest first.
        mpp_xy: Micrometres per pixel along x and y at level 0, None where the file does not say.
        bounds_xy_px: Top left corner of the scanned part, in level-0 pixels.
        properties: Further facts: ``format``, ``vendor``, ``compression``, ``objective_power``, as far as known.
    """

    level_dimensions: tuple[tuple[int, int], ...]
    mpp_xy: tuple[float, float] | None = None
    bounds_xy_px: tuple[int, int] = (0, 0)
    properties: Mapping[str, str] = field(default_factory=dict)


class SlideReader(ABC):
    """A slide or image that is read in regions.

    A reader can be pickled and survives a fork: each process opens the file for itself at its first read. ``close``
    frees the file; a later read opens it again.

    Registered in :data:`mitouts.registry.SLIDE_READERS`. A reader opens a file, reads its header and rectangles inside
    its levels, and closes it; all else is the same for every reader.

    Args:
        path: File.
        mpp: Micrometres per pixel at level 0; it replaces the file's own value.

    Attributes:
        suffixes: Lower-case suffixes of the files that this reader opens whatever their content, such as ``('.npy',)``:
            those of a format that no other reader knows.
        kind: Kind of the files that this reader opens, as :func:`mitouts.imaging.image_header.file_kind` returns it;
            None for no such kind.

    Raises:
        ImageError: The file cannot be read, or ``mpp`` is not positive.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[Kind | None] = None

    def __init__(self, path: str | Path, mpp: float | None = None) -> None:
        self._opened: dict[int, Any] = {}
        if mpp is not None and not 0 < mpp < math.inf:
            raise ImageError(f'{mpp:g} um per pixel makes no sense for {path}: expected a positive number')
        self.path = Path(path)
        self._given_mpp = mpp
        self._header = self._describe(self._handle)
        self._downsamples = tuple(
            _downsample(self._header.level_dimensions[0], size) for size in self._header.level_dimensions
        )

    @property
    def dimensions(self) -> tuple[int, int]:
        """``(width, height)`` of level 0 in pixels."""
        return self._header.level_dimensions[0]

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """``(width, height)`` of each level in its own pixels, finest first."""
        return self._header.level_dimensions

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """Level-0 pixels per pixel of each level: the whole number where the sizes fit one, else the mean ratio."""
        return self._downsamples

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel at level 0: the given value, else the file's, else None; never guessed.

        A value from the file is used only between 0.1 and 2; a given value is used as it is.

        Raises:
            ImageError: The file says that its pixels are not square (more than 1% apart).
        """
        return self._given_mpp or scanner_mpp(self._header.mpp_xy, self.path)

    def known_mpp(self) -> float:
        """Return :attr:`mpp`, and raise if it is unknown.

        Raises:
            ImageError: The file does not state it, or states one that no scanner has; or its pixels are not square.
        """
        if self.mpp is not None:
            return self.mpp
        doubt = mpp_doubt(self._header.mpp_xy)
        said = 'does not say how many um a pixel has' if doubt is None else f'{doubt}; it is probably wrong'
        raise ImageError(
            f'{self.path} {said}: give its true resolution with --mpp, in a column mpp of a list of slides, or as '
            'images[].mpp of an annotation file'
        )

    @property
    def bounds_xy_px(self) -> tuple[int, int]:
        """Top left corner of the scanned part in level-0 pixels; ``(0, 0)`` if the format has no such entry."""
        return self._header.bounds_xy_px

    @property
    def properties(self) -> Mapping[str, str]:
        """Further metadata: ``format``, ``vendor``, ``compression``, ``objective_power``, as far as known."""
        return self._header.properties

    def read_region(self, xy_px: tuple[int, int], level: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Read a rectangle.

        Args:
            xy_px: Left top pixel in level-0 pixels, also for coarser levels; it may lie outside.
            level: Index of the level.
            size: ``(width, height)`` in pixels of that level.

        Returns:
            Array ``(height, width, 3)``, RGB; white outside the slide and where it is transparent.

        Raises:
            ImageError: That part of the file is broken.
            ValueError: There is no such level, or the size is not positive.
        """
        self._check_level(level)
        x, y = (round(value / self._downsamples[level]) for value in xy_px)
        return self.read_level(level, x, y, *size)

    def read_level(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read a rectangle like :meth:`read_region`, but with the corner ``(x, y)`` in the level's own pixels."""
        self._check_level(level)
        if width < 1 or height < 1:
            raise ValueError(f'a region must have at least 1 x 1 px, found {width} x {height}')
        level_width, level_height = self.level_dimensions[level]
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, level_width), min(y + height, level_height)
        if (left, top, right, bottom) == (x, y, x + width, y + height):
            return self._read(self._handle, level, x, y, width, height)
        region = np.full((height, width, 3), WHITE, np.uint8)
        if left < right and top < bottom:
            inside = self._read(self._handle, level, left, top, right - left, bottom - top)
            region[top - y : bottom - y, left - x : right - x] = inside
        return region

    def thumbnail(self, max_px: int) -> NDArray[np.uint8]:
        """Return the whole slide, shrunk to at most ``max_px`` along its longer side (never enlarged).

        It is read in bands of rows, so that a large image without a pyramid needs little memory.

        Returns:
            Array ``(h, w, 3)``, RGB.
        """
        if max_px < 1:
            raise ValueError(f'max_px must be at least 1, found {max_px}')
        factor = max(1.0, max(self.dimensions) / max_px)
        level = max(
            (index for index, size in enumerate(self.level_dimensions) if max(size) >= max(self.dimensions) / factor),
            key=lambda index: self._downsamples[index],
        )
        level_width, level_height = self.level_dimensions[level]
        shrink = max(1, int(max(level_width, level_height) * factor / max(self.dimensions)))
        width, height = -(-level_width // shrink), -(-level_height // shrink)
        rows = max(1, _THUMBNAIL_BAND_PX // (level_width * shrink))
        bands = [
            read_resampled(self, level, Fraction(shrink), 0, top, width, min(rows, height - top))
            for top in range(0, height, rows)
        ]
        size = [max(1, round(length / factor)) for length in self.dimensions]
        return np.asarray(cv2.resize(np.concatenate(bands), size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def close(self) -> None:
        """Close this process's handle."""
        handle = self._opened.pop(os.getpid(), None)
        if handle is not None:
            self._close(handle)

    def __enter__(self) -> SlideReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_opened': {}}

    def __repr__(self) -> str:
        return f'{type(self).__name__}({str(self.path)!r}, {self.dimensions[0]} x {self.dimensions[1]} px)'

    @property
    def _handle(self) -> Any:
        # A handle that was inherited by a fork stays where it is: it shares its file position and its locks with the
        # parent, so it must neither be used nor closed.
        pid = os.getpid()
        if pid not in self._opened:
            self._opened[pid] = self._open()
        return self._opened[pid]

    def _check_level(self, level: int) -> None:
        if not 0 <= level < len(self.level_dimensions):
            raise ValueError(f'{self.path} has the levels 0 to {len(self.level_dimensions) - 1}, found {level}')

    @abstractmethod
    def _open(self) -> Any:
        """Open the file, once per process.

        Returns:
            The handle that is passed to the other methods.

        Raises:
            ImageError: The file is broken or of another format.
        """

    @abstractmethod
    def _describe(self, handle: Any) -> SlideHeader:
        """Read the header, when the reader is created. Values that the file does not state stay unknown."""

    @abstractmethod
    def _read(self, handle: Any, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read a rectangle that lies inside a level.

        Several threads may read at a time, each through a copy of the reader with a handle of its own.

        Args:
            handle: The result of ``_open``.
            level: Index of the level.
            x: Left column, in pixels of the level.
            y: Top row, likewise.
            width: Of the rectangle, likewise.
            height: Likewise.

        Returns:
            Array ``(height, width, 3)``, RGB uint8, that the caller may change.

        Raises:
            ImageError: That part of the file is broken. It is then read again, and skipped and listed if that fails.
        """

    @abstractmethod
    def _close(self, handle: Any) -> None:
        """Close the file."""


def _downsample(full: tuple[int, int], size: tuple[int, int]) -> float:
    whole = round(full[0] / size[0]) if full[0] >= full[1] else round(full[1] / size[1])
    if whole and all(length // whole <= part <= -(-length // whole) for length, part in zip(full, size)):
        return float(whole)
    return (full[0] / size[0] + full[1] / size[1]) / 2
