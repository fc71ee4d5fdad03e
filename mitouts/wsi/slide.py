"""Runs a model on a whole slide: chooses where to look, and gathers what was found and what could not be read."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import CheckpointError
from mitouts.evaluation.slide_threshold import slide_threshold_of
from mitouts.formats.regions import Region
from mitouts.functional.counting import TILE_MPP, TILE_PX, TumourTiles, counted_tiles, tile_side_px
from mitouts.functional.he_colours import colour_doubt
from mitouts.functional.map_reading import read_map
from mitouts.functional.tissue_mask import find_tissue
from mitouts.imaging import ScaledView, SlideReader, open_slide, tissue_tiles
from mitouts.inference.dense import DenseModel
from mitouts.inference.localizer import Localizer
from mitouts.models.reading import reading_of
from mitouts.stain import Fit
from mitouts.wsi.map import Progress, SlideMap, map_slide
from mitouts.wsi.tiles import Rectangle, TileReader, read_in_bands, read_or_white
from mitouts.wsi.tissue_segmenter import TissueSegmenter

THUMBNAIL_MPP = 8.0
THUMBNAIL_PX = (256, 8192)
"""Least and largest length of its longer side; the least only where the slide has as many."""
_TISSUE_BATCH = 16


@dataclass(frozen=True)
class SlideOptions:
    """Settings for the speed and memory of a slide's analysis; the results do not depend on them.

    Attributes:
        tile_px: Longest side of a tile without its margin, in pixels of the model's resolution; None suits the memory.
        workers: Threads that read and normalize.
        batch: Tiles of one size that go through the network together.
        min_score: Weakest point that is kept beside the figures.
    """

    tile_px: int | None = None
    workers: int = 2
    batch: int = 1
    min_score: float = 0.1


@dataclass(frozen=True, eq=False)
class SlideFindings:
    """The findings on a slide. Lengths are in level-0 pixels, 0 at the centre of the first one.

    Attributes:
        dimensions: Its width and height.
        mpp: Its resolution, um per pixel.
        bounds_xy_px: Left top corner of the scanned part.
        points: ``(N, 3)`` of ``(x, y, score)``, descending by score; those above ``map_threshold`` are the figures.
        map_threshold: Scores above it are figures; the model's threshold for slides.
        thumbnail: ``(h, w, 3)``, RGB.
        tissue: ``(h, w)`` bool, tissue at the thumbnail's resolution.
        tumour: ``(h, w)`` float, probability of tumour (or 0 and 1 of a region, or of tissue).
        tumour_from: ``model``, ``region`` or ``tissue``: what ``tumour`` is.
        cell_px: Width and height of a pixel of the thumbnail.
        tiles: The tiles that count.
        unreadable: Rectangles that could not be read.
        stain_fit: The measured stain of the slide; None if it is not normalized.
        stain_note: Why the colours are as they were; None where they were normalized.
        megapixels: Pixels that the network saw in this run, at its resolution, margins left out, in millions.
        seconds: Time by step.
        colour_doubt: Why the slide cannot be H&E; None where it can.
    """

    path: Path
    dimensions: tuple[int, int]
    mpp: float
    bounds_xy_px: tuple[int, int]
    points: NDArray[np.float64]
    map_threshold: float
    thumbnail: NDArray[np.uint8]
    tissue: NDArray[np.bool_]
    tumour: NDArray[np.float64]
    tumour_from: str
    cell_px: tuple[float, float]
    tiles: TumourTiles
    unreadable: tuple[Rectangle, ...]
    stain_fit: Mapping[str, Any] | None
    stain_note: str | None
    megapixels: float
    seconds: Mapping[str, float]
    colour_doubt: str | None = None

    @property
    def figures(self) -> NDArray[np.float64]:
        """``(M, 3)``, the points above the map threshold."""
        return self.points[self.points[:, 2] > self.map_threshold]


class SlideLocalizer:
    """Finds mitotic figures on whole slides.

    Args:
        localizer: The model with its thresholds.
        segmenter: Tissue model that says where tumour is; without it, and without a region, all tissue counts.
        half: On a GPU, compute in float16.

    Raises:
        CheckpointError: The model does not know its resolution.
        ConfigError: The model's map cannot be computed tile by tile.
    """

    def __init__(self, localizer: Localizer, segmenter: TissueSegmenter | None = None, *, half: bool = False) -> None:
        if localizer.mpp is None:
            raise CheckpointError(
                'the model does not know the resolution it was trained at (mpp), so nothing can be counted with it: '
                'train it on images whose annotation file says their mpp'
            )
        self.localizer = localizer
        self.mpp = float(localizer.mpp)
        self.segmenter = segmenter
        self.dense = DenseModel(localizer.model, localizer.device, half=half)
        self.preparer = localizer.preparer

    def find(
        self,
        path: str | Path,
        folder: str | Path,
        *,
        mpp: float | None = None,
        regions: Sequence[Region] | None = None,
        options: SlideOptions | None = None,
        stamp: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> SlideFindings:
        """Find the figures on a slide.

        Args:
            path: Slide or image.
            folder: Gets what a killed run goes on with.
            mpp: Micrometres per pixel of level 0, where the slide does not say it or is wrong.
            regions: Polygons that take the place of the tissue model; figures are looked for inside.
            stamp: Further things that the scores depend on, such as the checkpoint's hash.
            progress: Told before the first batch of tiles and after every one.

        Raises:
            ImageError: The slide cannot be opened, has no resolution, or would have to be enlarged too much.
        """
        options = options or SlideOptions()
        clock = _Clock()
        with open_slide(path, mpp=mpp) as reader:
            view = ScaledView(reader, mpp=self.mpp)
            assert reader.mpp is not None, 'a view at a resolution needs one'
            coarse = ScaledView(reader, mpp=_thumbnail_mpp(reader))
            assert coarse.mpp is not None
            thumbnail = read_in_bands(coarse)
            cell_px = coarse.downsample, coarse.downsample
            # A single field is less than what counts as dust on a slide.
            smallest_um2 = min(20_000.0, 0.01 * thumbnail.shape[0] * thumbnail.shape[1] * coarse.mpp**2)
            tissue = find_tissue(thumbnail, coarse.mpp, min_area_um2=smallest_um2)
            clock.lap('tissue')
            tumour, tumour_from = self._tumour(reader, tissue, cell_px, regions)
            clock.lap('tumour')
            fit, note = self._fit(view, tissue)
            clock.lap('stain')
            needed = self._needed_cells(view, tissue & (tumour > 0))
            tiles = TileReader(
                view,
                self.dense.geometry.stride,
                self.dense.margin,
                normalizer=self.preparer.normalizer,
                fit=fit,
                workers=options.workers,
            )
            tile_px = options.tile_px or self.dense.best_tile_px()
            found = map_slide(
                self.dense,
                tiles,
                needed,
                Path(folder),
                {**(stamp or {}), **self._stamp(reader, fit, needed)},
                tile_cells=max(1, tile_px // self.dense.geometry.stride),
                batch=options.batch,
                progress=progress,
            )
            clock.lap('network')
            points = self._points(view, found, needed, options.min_score)
            unreadable = tuple(_to_level0(view, each) for each in found.unreadable)
            findings = SlideFindings(
                path=Path(path),
                dimensions=reader.dimensions,
                mpp=reader.mpp,
                bounds_xy_px=reader.bounds_xy_px,
                points=points,
                map_threshold=slide_threshold_of(self.localizer.model.calibration).value,
                thumbnail=thumbnail,
                tissue=tissue,
                tumour=tumour,
                tumour_from=tumour_from,
                cell_px=cell_px,
                tiles=counted_tiles(
                    tumour,
                    cell_px=cell_px,
                    tile_px=tile_side_px(reader.mpp),
                    slide_size_px=reader.dimensions,
                    mpp=reader.mpp,
                    unreadable=_rasterize(unreadable, tissue.shape, cell_px),
                ),
                unreadable=unreadable,
                stain_fit=None if fit is None else fit.to_dict(),
                stain_note=note,
                colour_doubt=colour_doubt(thumbnail),
                megapixels=found.megapixels,
                seconds=clock.seconds,
            )
            clock.lap('points')
        return findings

    def _tumour(
        self,
        reader: SlideReader,
        tissue: NDArray[np.bool_],
        cell_px: tuple[float, float],
        regions: Sequence[Region] | None,
    ) -> tuple[NDArray[np.float64], str]:
        if regions is not None:
            return _inside(regions, tissue.shape, cell_px).astype(np.float64), 'region'
        if self.segmenter is None:
            return tissue.astype(np.float64), 'tissue'
        return self._segment(reader, tissue, cell_px), 'model'

    def _segment(
        self, reader: SlideReader, tissue: NDArray[np.bool_], cell_px: tuple[float, float]
    ) -> NDArray[np.float64]:
        """Predict the tumour probability of every tile that contains tissue, on the thumbnail's cells."""
        assert self.segmenter is not None
        assert reader.mpp is not None
        view = ScaledView(reader, mpp=self.segmenter.mpp)
        side_px = round(TILE_PX * TILE_MPP / self.segmenter.mpp)
        tile_px = tile_side_px(reader.mpp)
        tumour = np.zeros(tissue.shape, dtype=np.float64)
        columns, rows = (math.ceil(length / tile_px) for length in reader.dimensions)
        cells: dict[tuple[int, int], tuple[slice, slice]] = {}
        for row, column in np.ndindex(rows, columns):
            part = (_span(row, tile_px / cell_px[1]), _span(column, tile_px / cell_px[0]))
            if tissue[part].any():
                cells[row, column] = part
        places = list(cells)
        for begin in range(0, len(places), _TISSUE_BATCH):
            batch = places[begin : begin + _TISSUE_BATCH]
            images = []
            for row, column in batch:
                x, y = (round(number * tile_px / view.downsample) for number in (column, row))
                # What is unreadable is white, and so no tumour; the network's tiles list it by the block.
                images.append(read_or_white(view, Rectangle(x, y, side_px, side_px))[0])
            for place, probability in zip(batch, self.segmenter.tile_tumour_probability(images)):
                tumour[cells[place]] = probability
        return tumour

    def _fit(self, view: ScaledView, tissue: NDArray[np.bool_]) -> tuple[Fit | None, str | None]:
        if self.preparer.normalizer is None:
            return None, 'the model was trained on images as they are'
        fit = self.preparer.normalizer.fit_tiles(tissue_tiles(view, tissue))
        return fit, None if fit is not None else self.preparer.why_not('this slide')

    def _needed_cells(self, view: ScaledView, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        stride = self.dense.geometry.stride
        columns, rows = (math.ceil(length / stride) for length in view.dimensions)
        # One pixel more all around, because the thumbnail is coarser than a figure.
        around = cv2.dilate(wanted.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
        shrinks = around.shape[0] > rows or around.shape[1] > columns
        resized = cv2.resize(around, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
        return np.asarray(resized > 0)

    def _points(
        self, view: ScaledView, found: SlideMap, needed: NDArray[np.bool_], min_score: float
    ) -> NDArray[np.float64]:
        calibration = self.localizer.model.calibration
        width, height = view.dimensions
        points, _ = read_map(
            # Tiles reach beyond what is needed, and how far depends on their size.
            np.where(needed, found.scores, np.float32(0)),
            height,
            width,
            self.dense.geometry,
            min_score=min_score,
            is_large=True,
            **{**reading_of(calibration), 'map_threshold': slide_threshold_of(calibration).value},
        )
        points[:, :2] = view.to_level0(points[:, :2])
        return points

    def _stamp(self, reader: SlideReader, fit: Fit | None, needed: NDArray[np.bool_]) -> dict[str, Any]:
        stat = reader.path.stat()
        return {
            'slide': [stat.st_size, stat.st_mtime_ns],
            'mpp': reader.mpp,
            'dtype': str(self.dense.dtype),
            'rotations': self.dense.rotations,
            'fit': None if fit is None else fit.to_dict(),
            'needed': [*needed.shape, int(needed.sum()), int(np.flatnonzero(needed).sum())],
        }


class _Clock:
    """Measures the seconds that each step takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = now - self._last
        self._last = now


def _thumbnail_mpp(reader: SlideReader) -> float:
    assert reader.mpp is not None
    length_um = max(reader.dimensions) * reader.mpp
    return max(min(THUMBNAIL_MPP, length_um / THUMBNAIL_PX[0]), length_um / THUMBNAIL_PX[1], reader.mpp)


def _span(number: int, cells: float) -> slice:
    return slice(round(number * cells), max(round((number + 1) * cells), round(number * cells) + 1))


def _inside(regions: Sequence[Region], shape: tuple[int, ...], cell_px: tuple[float, float]) -> NDArray[np.uint8]:
    """Mark the cells in regions; each is drawn on its own extent, because a file may hold thousands of small ones."""
    inside = np.zeros(shape, dtype=np.uint8)
    for region in regions:
        rings = [np.rint((np.asarray(ring) + 0.5) / cell_px - 0.5).astype(np.int32) for ring in region]
        corners = np.concatenate(rings)
        left, top = np.maximum(corners.min(axis=0), 0).tolist()
        right, bottom = np.maximum(corners.max(axis=0) + 1, 0).tolist()
        part = inside[top:bottom, left:right]
        if part.size:
            one = np.zeros(part.shape, dtype=np.uint8)
            cv2.fillPoly(one, [ring.reshape(-1, 1, 2) for ring in rings], 1, offset=(-left, -top))
            part |= one
    return inside


def _to_level0(view: ScaledView, area: Rectangle) -> Rectangle:
    left, top = (math.floor(value * view.downsample) for value in (area.x, area.y))
    right = math.ceil((area.x + area.width) * view.downsample)
    bottom = math.ceil((area.y + area.height) * view.downsample)
    return Rectangle(left, top, right - left, bottom - top)


def _rasterize(areas: Sequence[Rectangle], shape: tuple[int, ...], cell_px: tuple[float, float]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    for area in areas:
        columns = slice(max(0, math.floor(area.x / cell_px[0])), math.ceil((area.x + area.width) / cell_px[0]))
        rows = slice(max(0, math.floor(area.y / cell_px[1])), math.ceil((area.y + area.height) / cell_px[1]))
        mask[rows, columns] = True
    return mask
