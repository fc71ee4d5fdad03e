"""Reads tiles of a slide in threads; what cannot be read is left white and listed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.functional.lattice import Margin, Window
from mitouts.imaging import ScaledView
from mitouts.imaging.image_reader import ImageReader
from mitouts.stain import Fit, NormalizerChain

BLOCK_PX = 512
"""Side of the blocks that are read one by one if a tile cannot be read."""
THUMBNAIL_BLOCK_PX = 32
BAND_PX = 30_000_000


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of a view, in pixels: first column and row, width and height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Tile:
    """A tile that is ready for the network.

    Attributes:
        window: The cells that are kept of it.
        image: Array ``(H, W, 3)``, RGB, normalized, with the margin around the window.
        unreadable: Parts that could not be read and are white, in pixels of the view.
    """

    window: Window
    image: NDArray[np.uint8]
    unreadable: tuple[Rectangle, ...]


class TileReader:
    """Reads and normalizes tiles ahead of the network, each thread with a handle of its own.

    Args:
        view: The slide at the network's resolution.
        stride: Pixels of a cell.
        margin: Cells around a window that are read along.
        normalizer: Stain normalizer; None leaves the colours as they are.
        fit: The slide's fit; None (a slide that cannot be fitted) leaves the colours as they are.
        workers: Threads.
    """

    def __init__(
        self,
        view: ScaledView,
        stride: int,
        margin: Margin,
        *,
        normalizer: NormalizerChain | None = None,
        fit: Fit | None = None,
        workers: int = 1,
    ) -> None:
        self.view = view
        self.stride = stride
        self.margin = margin
        self.normalizer = normalizer if fit is not None else None
        self.fit = fit
        self.workers = workers
        self._local = threading.local()
        self._opened: list[ScaledView] = []

    def tiles(self, windows: Sequence[Window]) -> Iterator[Tile]:
        """Yield the tiles of windows in their order; at most one tile per thread is read ahead."""
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: list[Future[Tile]] = []
            try:
                for window in windows:
                    waiting.append(pool.submit(self.read, window))
                    if len(waiting) > self.workers:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                for future in waiting:
                    future.cancel()
        self.close()

    def read(self, window: Window) -> Tile:
        """Read one tile."""
        x, y = (window.column - self.margin.before) * self.stride, (window.row - self.margin.before) * self.stride
        width, height = ((length + self.margin.both) * self.stride for length in (window.columns, window.rows))
        image, unreadable = read_or_white(self._own_view(), Rectangle(x, y, width, height))
        if self.normalizer is not None and self.fit is not None:
            image = self.normalizer.apply(image, self.fit)
        return Tile(window, image, unreadable)

    def close(self) -> None:
        """Close the handles of all threads; a later read opens them again."""
        for view in self._opened:
            view.reader.close()

    def _own_view(self) -> ScaledView:
        if not hasattr(self._local, 'view'):
            self._local.view = self.view.copy()
            self._opened.append(self._local.view)
        view: ScaledView = self._local.view
        return view


def read_in_bands(view: ScaledView) -> NDArray[np.uint8]:
    """Read a whole view in bands, so that a slide without a pyramid needs little memory; unreadable parts are white.

    Returns:
        Array ``(height, width, 3)``, RGB.

    Raises:
        ImageError: No part of it can be read.
    """
    width, height = view.dimensions
    level0_px_per_row = width * view.downsample**2
    rows = max(1, int(BAND_PX / level0_px_per_row))
    bands, is_readable = [], False
    for top in range(0, height, rows):
        area = Rectangle(0, top, width, min(rows, height - top))
        band, unreadable = read_or_white(view, area, THUMBNAIL_BLOCK_PX)
        bands.append(band)
        is_readable |= len(unreadable) < sum(1 for _ in _blocks(area, THUMBNAIL_BLOCK_PX))
    if not is_readable:
        raise ImageError(f'slide {view.reader.path}: no part of it can be read; get the file again')
    return np.concatenate(bands)


def read_or_white(
    view: ScaledView, area: Rectangle, block_px: int = BLOCK_PX
) -> tuple[NDArray[np.uint8], tuple[Rectangle, ...]]:
    """Read a rectangle; if that fails twice, read it block by block, and leave unreadable blocks white.

    Returns:
        Array ``(height, width, 3)``, RGB, and the whole blocks that could not be read.

    Raises:
        ImageError: A plain image, which is decoded whole, is broken.
    """
    if isinstance(view.reader, ImageReader):
        # It is decoded whole or not at all.
        return view.read(area.x, area.y, area.width, area.height), ()
    image = _try(view, area)
    if image is not None:
        return image, ()
    image = np.full((area.height, area.width, 3), 255, dtype=np.uint8)
    unreadable = []
    for block, inside in _blocks(area, block_px):
        part = _try(view, inside)
        if part is None:
            unreadable.append(block)
        else:
            top, left = inside.y - area.y, inside.x - area.x
            image[top : top + inside.height, left : left + inside.width] = part
    return image, tuple(unreadable)


def _try(view: ScaledView, area: Rectangle) -> NDArray[np.uint8] | None:
    for _ in range(2):
        try:
            return view.read(area.x, area.y, area.width, area.height)
        except (ImageError, OSError):
            # A network share may answer the second time; OpenSlide's handle never does after an error.
            view.reader.close()
    return None


def _blocks(area: Rectangle, block_px: int) -> Iterator[tuple[Rectangle, Rectangle]]:
    """Yield each block of a lattice over the slide that a rectangle touches: the whole block, and its part inside."""
    for y in range(area.y // block_px * block_px, area.y + area.height, block_px):
        for x in range(area.x // block_px * block_px, area.x + area.width, block_px):
            left, top = max(x, area.x), max(y, area.y)
            right, bottom = min(x + block_px, area.x + area.width), min(y + block_px, area.y + area.height)
            yield Rectangle(x, y, block_px, block_px), Rectangle(left, top, right - left, bottom - top)
