"""Renders any part of a phantom slide of any size, and knows where each of its cells is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ConfigError
from mitouts.synthetic.optics import RENDER_MPP, SCANNERS
from mitouts.synthetic.phantom.field import (
    FIGURE_WEIGHTS,
    LOOK_ALIKE_WEIGHTS,
    PhantomCase,
    PhantomConfig,
    draw_case,
)
from mitouts.synthetic.phantom.figures import FIGURE_PATCH_PX, render_figure
from mitouts.synthetic.phantom.nuclei import render_look_alike
from mitouts.synthetic.phantom.patches import CellPatch
from mitouts.synthetic.phantom.slide_blocks import BLOCK_PX, HALO_PX, BlockBank, BlockKey, TissueBlock
from mitouts.synthetic.phantom.slide_plan import (
    CELL_PX,
    GLASS,
    STROMA,
    TUMOUR,
    SlideConfig,
    SlidePlan,
    child_seed,
    fill_polygon,
    plan_slide,
)

MIN_SPACING_PX = 60.0
"""Least distance between two cells of interest at 0.25 um/px, measured roughly: chromosomes can be off-centre."""

_LATTICE_PX = (200, 136)
_MIXED = 3
_WINDOW_PX = FIGURE_PATCH_PX // 2 + 9
_TISSUE_FADE_PX, _TUMOUR_FADE_PX = 2.5, 10.0
_OUTSIDE_TUMOUR = 0.25
_CASE, _PLAN, _BANK, _LAYOUT, _SITES, _CELL, _NOISE = range(7)


@dataclass(frozen=True)
class SpecialCell:
    """A mitotic figure or a look-alike.

    Attributes:
        point: ``(x, y)`` in level-0 pixels.
        kind: Phase of a figure, or kind of a look-alike.
    """

    point: tuple[float, float]
    kind: str
    is_figure: bool
    in_hotspot: bool


@dataclass(frozen=True)
class _Placed:
    """A special cell: its whole-pixel centre in its block, and the number that seeds its drawing."""

    site: tuple[int, int]
    kind: str
    is_figure: bool
    number: int


class PhantomSlide:
    """A synthetic H&E slide on which every figure is known.

    Parts are drawn only when they are read. The result depends on nothing but config and seed: not on the parts that
    are read, nor on their order.

    Args:
        seed: Seed of everything random; slides of one cohort take spawned seeds.

    Raises:
        ConfigError: The tissue has no room for so many figures and look-alikes.
    """

    def __init__(self, config: SlideConfig, seed: int | np.random.SeedSequence = 0) -> None:
        self.config = config
        self._seed = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        self.look = PhantomConfig()
        self.case: PhantomCase = draw_case(self.look, self._rng(_CASE), config.scanner)
        self.plan: SlidePlan = plan_slide(config, child_seed(self._seed, _PLAN))
        self._bank = BlockBank(self.case, child_seed(self._seed, _BANK))
        # A block is a whole number of pixels wide, so that all are resampled alike.
        self._block_px = round(BLOCK_PX * RENDER_MPP / config.mpp)
        self._scale = self._block_px / BLOCK_PX
        self._origin = tuple(-round(offset * self._scale) for offset in _LATTICE_PX)
        self._lay_out()
        self._placed: dict[tuple[int, int], list[_Placed]] = {}
        self.cells: tuple[SpecialCell, ...] = tuple(self._populate())

    @cached_property
    def glass_rgb(self) -> NDArray[np.uint8]:
        """Colour of empty glass, (3,)."""
        return np.rint(SCANNERS[self.case.scanner].white).astype(np.uint8)

    def read(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8] | None:
        """Draw a rectangle given in level-0 pixels; it may extend beyond the slide by less than a block.

        Returns:
            RGB uint8 (height, width, 3), or None where there is glass only.
        """
        left, top = x - self._origin[0], y - self._origin[1]
        side = self._block_px
        rows = range(max(top // side, 0), min((top + height - 1) // side + 1, len(self._kinds)))
        columns = range(max(left // side, 0), min((left + width - 1) // side + 1, self._kinds.shape[1]))
        touched = [(row, column) for row in rows for column in columns if self._kinds[row, column] != GLASS]
        if not touched:
            return None
        image = np.empty((height, width, 3), dtype=np.uint8)
        image[:] = self.glass_rgb
        for row, column in touched:
            block = self._show(row, column)
            block_top, block_left = row * side - top, column * side - left
            to_rows = slice(max(block_top, 0), min(block_top + side, height))
            to_columns = slice(max(block_left, 0), min(block_left + side, width))
            image[to_rows, to_columns] = block[
                to_rows.start - block_top : to_rows.stop - block_top,
                to_columns.start - block_left : to_columns.stop - block_left,
            ]
        self._forget(rows.start)
        return image

    def _lay_out(self) -> None:
        """Choose the tissue of each block of the lattice, and the colours of all edges."""
        rows = -(-(self.config.height_px - self._origin[1]) // self._block_px)
        columns = -(-(self.config.width_px - self._origin[0]) // self._block_px)
        around = np.ones((5, 5), np.uint8)
        # Beyond the slide's border the tissue goes on as it is at the border.
        low, high = (extreme(self.plan.cells, around) for extreme in (cv2.erode, cv2.dilate))
        self._kinds = np.full((rows, columns), _MIXED, dtype=np.uint8)
        for row in range(rows):
            for column in range(columns):
                cut = self._cells_of(row, column)
                least, most = low[cut].min(initial=TUMOUR), high[cut].max(initial=GLASS)
                if least == most:
                    self._kinds[row, column] = least
        rng = self._rng(_LAYOUT)
        self._horizontal = rng.integers(self.config.edge_colours, size=(rows + 1, columns), dtype=np.uint8)
        self._vertical = rng.integers(self.config.edge_colours, size=(rows, columns + 1), dtype=np.uint8)
        tissue = int((self._kinds != GLASS).sum())
        self._variant = rng.integers(int(np.clip(tissue // 128, 1, 4)), size=(rows, columns), dtype=np.uint8)
        self._shown: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def _cells_of(self, row: int, column: int) -> tuple[slice, slice]:
        """Return the cells of the coarse map that a block touches."""
        slices = []
        for index, origin, length in zip((row, column), self._origin[::-1], self.plan.cells.shape):
            first = (origin + index * self._block_px) // CELL_PX
            last = (origin + (index + 1) * self._block_px - 1) // CELL_PX
            slices.append(slice(min(max(first, 0), length - 1), max(min(last + 1, length), 1)))
        return slices[0], slices[1]

    def _key(self, row: int, column: int, stroma: bool) -> BlockKey:
        top, bottom = self._horizontal[row : row + 2, column].tolist()
        left, right = self._vertical[row, column : column + 2].tolist()
        return BlockKey(stroma, top, bottom, left, right, int(self._variant[row, column]))

    def _populate(self) -> list[SpecialCell]:
        """Choose sites for figures and look-alikes."""
        tumour_sites, stroma_sites = (self._find_sites(stroma) for stroma in (False, True))
        rng = self._rng(_SITES)
        order, stroma_order = (rng.permutation(len(sites)) for sites in (tumour_sites, stroma_sites))
        hotspot, config = self.plan.hotspot, self.config
        inside = np.zeros(len(tumour_sites), dtype=bool)
        if hotspot is not None:
            inside = hotspot.holds(self._to_slide(tumour_sites))
        dense, usual = order[inside[order]], order[~inside[order]]
        num_dense = round(config.hotspot_figures_per_mm2 * self.plan.hotspot_mm2)
        num_usual = round(config.figures_per_mm2 * max(self.plan.tumour_mm2 - self.plan.hotspot_mm2, 0))
        num_look_alikes = round(config.look_alikes_per_mm2 * self.plan.tumour_mm2)
        stroma_mm2 = max(self.plan.tissue_mm2 - self.plan.tumour_mm2, 0)
        num_outside = round(_OUTSIDE_TUMOUR * config.look_alikes_per_mm2 * stroma_mm2)
        _check_room(num_dense, len(dense), 'figures in the hotspot')
        _check_room(num_usual, len(usual), 'figures in the tumour outside the hotspot')
        chosen = np.concatenate([dense[:num_dense], usual[:num_usual]])
        # Look-alikes are chosen from the other end, so that they are the same whatever the number of figures.
        left = order[::-1][~np.isin(order[::-1], chosen)]
        _check_room(num_look_alikes, len(left), 'look-alikes in the tumour')
        num_outside = min(num_outside, len(stroma_sites))
        picked = [
            *((tumour_sites[index], index, True) for index in chosen.tolist()),
            *((tumour_sites[index], index, False) for index in left[:num_look_alikes].tolist()),
            *((stroma_sites[index], -1 - index, False) for index in stroma_order[:num_outside].tolist()),
        ]
        return [self._place(site, number, is_figure) for site, number, is_figure in picked]

    def _find_sites(self, stroma: bool) -> NDArray[np.int64]:
        """Find sites (N, 4), block (row, column) and position (x, y) in it, well inside the tumour or the stroma."""
        cells = self.plan.cells
        around = np.ones((5, 5), np.uint8)
        # The border of the slide is a border of the tissue.
        least = cv2.erode(cells, around, borderType=cv2.BORDER_CONSTANT, borderValue=GLASS)
        most = cv2.dilate(cells, around)
        allowed = (least == STROMA) & (most == STROMA) if stroma else least == TUMOUR
        parts = [np.zeros((0, 4), dtype=np.int64)]
        for row, column in np.argwhere(self._kinds != GLASS).tolist():
            if allowed[self._cells_of(row, column)].any():
                sites = self._bank.block(self._key(row, column, stroma)).sites
                parts.append(np.column_stack([np.broadcast_to((row, column), (len(sites), 2)), sites]))
        candidates = np.concatenate(parts)
        cell = np.floor((self._to_slide(candidates) + 0.5) / CELL_PX).astype(int)
        inside = np.all((cell >= 0) & (cell < cells.shape[::-1]), axis=1)
        candidates, cell = candidates[inside], cell[inside]
        return candidates[allowed[cell[:, 1], cell[:, 0]]]

    def _to_slide(self, sites: NDArray, offset: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float64]:
        """Convert sites (N, 4) to points (N, 2) in level-0 pixels; ``offset`` is in drawn pixels."""
        corner = sites[:, 1::-1] * self._block_px + np.array(self._origin)
        return corner + (sites[:, 2:] + np.array(offset) + 0.5) * self._scale - 0.5

    def _place(self, site: NDArray, number: int, is_figure: bool) -> SpecialCell:
        row, column, x, y = site.tolist()
        rng = self._rng(_CELL, *_natural(number), 0)
        weights = FIGURE_WEIGHTS if is_figure else LOOK_ALIKE_WEIGHTS
        kind = str(rng.choice(list(weights), p=list(weights.values())))
        placed = _Placed((x, y), kind, is_figure, number)
        self._placed.setdefault((row, column), []).append(placed)
        point = self._to_slide(site[None], self._draw(placed).centroid)[0]
        hotspot = self.plan.hotspot
        in_hotspot = hotspot is not None and bool(hotspot.holds(point[None])[0])
        return SpecialCell((float(point[0]), float(point[1])), kind, is_figure, in_hotspot)

    def _draw(self, placed: _Placed) -> CellPatch:
        rng = self._rng(_CELL, *_natural(placed.number), 1)
        render = render_figure if placed.is_figure else render_look_alike
        return render(placed.kind, rng.uniform(*self.look.darkness), self.case.cytoplasm, self._bank.bank, rng)

    def _show(self, row: int, column: int) -> NDArray[np.uint8]:
        """Return a block as it appears on the slide; if it differs from the bank's, cache it while its row is read."""
        placed = self._placed.get((row, column), [])
        kind = self._kinds[row, column]
        if not placed and kind != _MIXED and self._scale == 1:
            return self._bank.block(self._key(row, column, kind == STROMA)).image
        if (row, column) not in self._shown:
            if kind == _MIXED:
                image = self._mix(row, column, placed)
            else:
                block = self._bank.block(self._key(row, column, kind == STROMA))
                image = block.image.copy()
                for cell in placed:
                    self._insert(image, block, cell, placed)
            if self._scale != 1:
                interpolation = cv2.INTER_AREA if self._scale < 1 else cv2.INTER_LINEAR
                size = (self._block_px, self._block_px)
                image = np.asarray(cv2.resize(image, size, interpolation=interpolation), dtype=np.uint8)
            self._shown[row, column] = image
        return self._shown[row, column]

    def _insert(self, image: NDArray[np.uint8], block: TissueBlock, placed: _Placed, others: list[_Placed]) -> None:
        """Draw a cell and the cells that reach into its window onto the block's stains, and re-render the window."""
        x, y = placed.site
        rows, columns = (slice(v + HALO_PX - _WINDOW_PX, v + HALO_PX + _WINDOW_PX + 1) for v in (y, x))
        planes = block.hematoxylin[rows, columns].astype(np.float32), block.eosin[rows, columns].astype(np.float32)
        for cell in others:
            away = cell.site[0] - x, cell.site[1] - y
            if max(map(abs, away)) <= 2 * _WINDOW_PX:
                self._draw(cell).lay_over(*planes, _WINDOW_PX + away[0], _WINDOW_PX + away[1])
        window = self._bank.look(*planes, self._rng(_NOISE, *_natural(placed.number)))
        # The outermost pixels have no neighbours for the optics.
        inner = window[8:-8, 8:-8]
        half = _WINDOW_PX - 8
        image[y - half : y + half + 1, x - half : x + half + 1] = inner

    def _mix(self, row: int, column: int, placed: list[_Placed]) -> NDArray[np.uint8]:
        """Draw a block that an outline of tissue or tumour crosses."""
        keys = [self._key(row, column, stroma) for stroma in (False, True)]
        tumour, stroma = (self._bank.block(key) for key in keys)
        side = BLOCK_PX + 2 * HALO_PX
        corner = np.array([column, row]) * self._block_px + np.array(self._origin)
        masks = []
        for polygons, fade_px in ((self.plan.tissue, _TISSUE_FADE_PX), (self.plan.tumour, _TUMOUR_FADE_PX)):
            margin = 32
            mask = np.zeros((side + 2 * margin,) * 2, dtype=np.uint8)
            for polygon in polygons:
                own = (polygon + 0.5 - corner) / self._scale - 0.5 + HALO_PX + margin
                if np.all(own.max(axis=0) >= 0) and np.all(own.min(axis=0) <= len(mask)):
                    fill_polygon(mask, own, 255, cv2.LINE_AA)
            soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), fade_px)
            masks.append(soft[margin:-margin, margin:-margin])
        tissue, share = masks
        planes = [
            tissue * (share * first.astype(np.float32) + (1 - share) * second.astype(np.float32))
            for first, second in ((tumour.hematoxylin, stroma.hematoxylin), (tumour.eosin, stroma.eosin))
        ]
        for cell in placed:
            self._draw(cell).lay_over(planes[0], planes[1], cell.site[0] + HALO_PX, cell.site[1] + HALO_PX)
        image = self._bank.look(planes[0], planes[1], self._bank.noise(keys[0]))
        image = np.ascontiguousarray(image[HALO_PX:-HALO_PX, HALO_PX:-HALO_PX])
        empty = tissue[HALO_PX:-HALO_PX, HALO_PX:-HALO_PX] == 0
        image[empty] = self.glass_rgb
        return image

    def _forget(self, first_row: int) -> None:
        for place in [place for place in self._shown if place[0] < first_row]:
            del self._shown[place]

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(child_seed(self._seed, *key))


def _natural(number: int) -> tuple[int, int]:
    """Encode a whole number as two that are not negative, as keys of seeds must be."""
    return (0, number) if number >= 0 else (1, -number)


def _check_room(wanted: int, room: int, what: str) -> None:
    if wanted > room:
        raise ConfigError(
            f'{wanted} {what} are wanted, and there is room for {room}: lower their density per mm2, or make a larger '
            'slide'
        )
