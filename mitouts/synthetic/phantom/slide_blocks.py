"""Draws blocks of phantom tissue that fit together, so that a slide of any size takes little time.

Tissue is drawn once in square blocks and laid out in random order. Two blocks may lie side by side if their common edge
has the same colour (Wang tiles): near an edge line, ground and nuclei depend only on the edge's colour, and near a
corner they are always the same, so the tissue continues across the line without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mitouts.synthetic.optics import SCANNERS
from mitouts.synthetic.phantom.architecture import Architecture, draw_architecture, stain_ground
from mitouts.synthetic.phantom.field import (
    SPECIAL_MARGIN_PX,
    PhantomCase,
    PhantomConfig,
    lay_dark_nuclei,
    lay_nucleus,
    place_nuclei,
    place_special,
)
from mitouts.synthetic.phantom.patches import smooth_step
from mitouts.synthetic.phantom.scanners import acquire
from mitouts.synthetic.phantom.slide_plan import child_seed
from mitouts.synthetic.phantom.textures import TextureBank, texture_bank

BLOCK_PX = 512
HALO_PX = 32
"""Width of the border drawn around a block, so that optics and patches have neighbouring pixels."""
STROMA_DENSITY = 0.3
"""Density of nuclei in stroma, relative to tumour."""

_SIDE_PX = BLOCK_PX + 2 * HALO_PX
_PLATEAU_PX, _FADE_PX = HALO_PX, 40
_CORNER_PX = _PLATEAU_PX + _FADE_PX
_UNEVEN_PX = 50
_ACROSS_PX, _CORNER_ALONG_PX = 20, 92
_SITES, _SITE_MARGIN_PX, _SITE_SPACING_PX = 8, 58, 60.0
_MIXING = 0.92
_INTERIOR, _HORIZONTAL, _VERTICAL, _CORNER, _COMMON, _NUCLEI = range(6)


@dataclass(frozen=True)
class BlockKey:
    """Identifies a block by its tissue, the colours of its edges, and a number among blocks that share these."""

    stroma: bool
    top: int
    bottom: int
    left: int
    right: int
    variant: int


@dataclass(frozen=True)
class TissueBlock:
    """A block of tissue without figures and look-alikes.

    Attributes:
        hematoxylin: Concentration with the halo, float16 (``BLOCK_PX`` + 2 ``HALO_PX``) squared.
        eosin: The same for eosin.
        image: RGB uint8 (``BLOCK_PX``, ``BLOCK_PX``, 3), as the scanner shows it.
        sites: Whole-pixel centres (N, 2), in pixels of ``image``, of cells left without a nucleus, where a figure or a
            look-alike can be drawn.
    """

    hematoxylin: NDArray[np.float16]
    eosin: NDArray[np.float16]
    image: NDArray[np.uint8]
    sites: NDArray[np.int64]


@dataclass(frozen=True)
class _Ground:
    architecture: Architecture
    hematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]
    nuclei: NDArray[np.float64]


class BlockBank:
    """Draws blocks when they are first requested, and caches them.

    Args:
        case: Staining and tissue.
        seed: Seed of all blocks.
    """

    def __init__(self, case: PhantomCase, seed: np.random.SeedSequence) -> None:
        self.case = case
        self.bank: TextureBank = texture_bank(0)
        self._cases = (case, replace(case, stroma_share=1.0, nuclei_density=STROMA_DENSITY * case.nuclei_density))
        self._config = PhantomConfig(size_px=_SIDE_PX)
        self._seed = seed
        self._blocks: dict[BlockKey, TissueBlock] = {}
        self._edges: dict[tuple[int, ...], _Ground] = {}
        self._frames: dict[tuple[int, ...], NDArray] = {}
        angles = self._rng(_COMMON).uniform(0, np.pi, 2)
        self._fibre_angles = (float(angles[0]), float(angles[1]))

    def block(self, key: BlockKey) -> TissueBlock:
        """Return the block for a key."""
        if key not in self._blocks:
            self._blocks[key] = self._draw(key)
        return self._blocks[key]

    def look(self, hematoxylin: NDArray, eosin: NDArray, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Render concentrations as RGB through the case's scanner; the slide's file adds the JPEG compression."""
        scanner = replace(SCANNERS[self.case.scanner], jpeg_quality=100)
        return acquire(hematoxylin.astype(np.float32), eosin.astype(np.float32), scanner, self.case.stains_od, rng)

    def noise(self, key: BlockKey) -> np.random.Generator:
        """Return the random generator of a block's sensor noise."""
        return self._rng(_INTERIOR, *vars(key).values(), 1)

    def _draw(self, key: BlockKey) -> TissueBlock:
        rng = self._rng(_INTERIOR, *vars(key).values())
        case = self._cases[key.stroma]
        own = self._draw_architecture(key.stroma, rng)
        frame, owners = self._frame(key)
        sites = _draw_sites(own, rng)
        nuclei = self._fill(case, own, sites, frame, rng)
        territories = np.concatenate([sites, frame[:, :2], nuclei[:, :2]])
        grounds = [_Ground(own, *self._stain(case, own, territories, rng), nuclei=nuclei)]
        grounds += [self._edge(*owner) for owner in owners]
        weights = _weights(self.bank.field('folds', _SIDE_PX, rng))
        hematoxylin = _blend([ground.hematoxylin for ground in grounds], weights)
        eosin = _blend([ground.eosin for ground in grounds], weights)
        architecture = Architecture(
            _blend([ground.architecture.nest for ground in grounds], weights),
            _blend([ground.architecture.empty for ground in grounds], weights),
            own.fibre_angle,
        )
        self._lay_frame(hematoxylin, eosin, key, frame, architecture)
        for x, y, radius in nuclei:
            lay_nucleus(hematoxylin, eosin, (int(x), int(y)), radius, case, architecture, self.bank, rng)
        kept = np.concatenate([sites, _fence()])
        everything = np.concatenate([frame[:, :3], nuclei])
        lay_dark_nuclei(hematoxylin, eosin, self._config, architecture, kept, everything, self.bank, rng)
        planes = hematoxylin.astype(np.float16), eosin.astype(np.float16)
        image = self.look(*planes, self.noise(key))[HALO_PX:-HALO_PX, HALO_PX:-HALO_PX]
        return TissueBlock(*planes, np.ascontiguousarray(image), (sites - HALO_PX).astype(np.int64))

    def _draw_architecture(self, stroma: bool, rng: np.random.Generator) -> Architecture:
        case = self._cases[stroma]
        architecture = draw_architecture(_SIDE_PX, case.stroma_share, case.empty_share, self.bank, rng)
        return replace(architecture, fibre_angle=self._fibre_angles[stroma])

    def _stain(
        self, case: PhantomCase, architecture: Architecture, territories: NDArray, rng: np.random.Generator
    ) -> tuple[NDArray, NDArray]:
        look = (case.cytoplasm, case.basophilia, case.froth, case.border)
        return stain_ground(architecture, territories, *look, self.bank, rng)

    def _edge(self, stroma: bool, kind: int, colour: int) -> _Ground:
        """Draw ground and nuclei around the line of an edge (or corner), which lies in the middle of the square."""
        key = (stroma, kind, colour)
        if key not in self._edges:
            rng = self._rng(*key)
            case = self._cases[stroma]
            drawn = self._draw_architecture(stroma, rng)
            # What comes back this often must not catch the eye: no spaces, and one tissue.
            nest = np.full_like(drawn.nest, not stroma)
            architecture = Architecture(nest, np.zeros_like(drawn.empty), drawn.fibre_angle)
            nuclei = place_nuclei(self._config, case, architecture, np.zeros((0, 2)), rng)
            self._edges[key] = _Ground(
                architecture, *self._stain(case, architecture, nuclei[:, :2], rng), nuclei=nuclei
            )
        return self._edges[key]

    def _edge_nuclei(self, stroma: bool, kind: int, colour: int) -> NDArray:
        """Return the nuclei (N, 4) on an edge line as (along from its first corner, across, radius, number)."""
        key = (stroma, kind, colour)
        if key in self._frames:
            return self._frames[key]
        nuclei = self._edge(*key).nuclei
        offset = nuclei[:, :2] - _SIDE_PX // 2
        number = np.arange(len(nuclei))
        if kind == _CORNER:
            near = np.abs(offset).min(axis=1) <= _ACROSS_PX
            near &= np.abs(offset).max(axis=1) <= _CORNER_ALONG_PX
            kept = np.column_stack([offset, nuclei[:, 2], number])[near]
        else:
            along, across = offset.T if kind == _HORIZONTAL else offset.T[::-1]
            kept = np.column_stack([along + BLOCK_PX // 2, across, nuclei[:, 2], number])
            keep = (np.abs(across) <= _ACROSS_PX) & (np.abs(along) < BLOCK_PX // 2 - _CORNER_ALONG_PX)
            kept = kept[keep]
            corner = self._edge_nuclei(stroma, _CORNER, 0)[:, :3]
            corner = corner if kind == _HORIZONTAL else corner[:, (1, 0, 2)]
            both = np.concatenate([corner, corner + np.array([BLOCK_PX, 0, 0])])
            kept = kept[[_is_free(both, *nucleus[:3]) for nucleus in kept]] if len(kept) else kept
        self._frames[key] = kept
        return kept

    def _frame(self, key: BlockKey) -> tuple[NDArray, list[tuple[bool, int, int]]]:
        """Return the nuclei (N, 5) on the block's edges and corners, and the edge or corner of each place.

        A nucleus is (x, y, radius, number, place).
        """
        owners = [
            (key.stroma, _HORIZONTAL, key.top),
            (key.stroma, _HORIZONTAL, key.bottom),
            (key.stroma, _VERTICAL, key.left),
            (key.stroma, _VERTICAL, key.right),
            (key.stroma, _CORNER, 0),
        ]
        parts = []
        for x, y in ((0, 0), (BLOCK_PX, 0), (0, BLOCK_PX), (BLOCK_PX, BLOCK_PX)):
            corner = self._edge_nuclei(*owners[4])
            parts.append(np.column_stack([corner[:, :2] + (x, y), corner[:, 2:], np.full(len(corner), 4)]))
        for place, (owner, (x, y)) in enumerate(zip(owners, ((0, 0), (0, BLOCK_PX), (0, 0), (BLOCK_PX, 0)))):
            edge = self._edge_nuclei(*owner)
            points = edge[:, :2] if owner[1] == _HORIZONTAL else edge[:, 1::-1]
            parts.append(np.column_stack([points + (x, y), edge[:, 2:], np.full(len(edge), place)]))
        frame = np.concatenate(parts)
        frame[:, :2] += HALO_PX
        return frame, owners

    def _lay_frame(
        self, hematoxylin: NDArray, eosin: NDArray, key: BlockKey, frame: NDArray, architecture: Architecture
    ) -> None:
        _, owners = self._frame(key)
        case = self._cases[key.stroma]
        for x, y, radius, number, place in frame:
            rng = self._rng(_NUCLEI, *owners[int(place)], int(number))
            lay_nucleus(hematoxylin, eosin, (int(x), int(y)), radius, case, architecture, self.bank, rng)

    def _fill(
        self, case: PhantomCase, architecture: Architecture, sites: NDArray, frame: NDArray, rng: np.random.Generator
    ) -> NDArray:
        """Place nuclei inside the frame, until the block holds as many as it would without the frame."""
        proposals = [place_nuclei(self._config, case, architecture, sites, rng) for _ in range(3)]
        wanted = round(len(proposals[0]) * ((BLOCK_PX + 2 * _ACROSS_PX) / (_SIDE_PX + 2 * 16)) ** 2)
        kept = frame[:, :3].copy()
        for x, y, radius in np.concatenate(proposals):
            reach = 1.4 * radius + 7
            inside = HALO_PX + reach <= min(x, y) and max(x, y) < HALO_PX + BLOCK_PX - reach
            if len(kept) < wanted and inside and _is_free(kept, x, y, radius):
                kept = np.concatenate([kept, [[x, y, radius]]])
        return kept[len(frame) :]

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(child_seed(self._seed, *map(int, key)))


def _draw_sites(architecture: Architecture, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw whole-pixel centres for cells, in pixels of the planes; none is in white space or too close to another."""
    inset = HALO_PX + _SITE_MARGIN_PX - SPECIAL_MARGIN_PX
    inner = slice(inset, -inset)
    cropped = Architecture(architecture.nest[inner, inner], architecture.empty[inner, inner], 0.0)
    kept = np.zeros((0, 2))
    for site in place_special(cropped, _SITES, rng) + inset:
        x, y = site.astype(int)
        spaces = architecture.empty[y - 20 : y + 21, x - 20 : x + 21].mean()
        apart = np.hypot(*(kept - site).T).min(initial=np.inf)
        if spaces < 0.12 and apart >= _SITE_SPACING_PX:
            kept = np.concatenate([kept, site[None]])
    return kept


def _is_free(nuclei: NDArray, x: float, y: float, radius: float) -> bool:
    gap = np.hypot(nuclei[:, 0] - x, nuclei[:, 1] - y) - _MIXING * (nuclei[:, 2] + radius)
    return bool(gap.min(initial=np.inf) >= 0)


@lru_cache(maxsize=1)
def _fence() -> NDArray[np.float64]:
    """Return points along the block's edges; dark nuclei keep 36 px away from them, so that none is cut."""
    along = np.arange(0, _SIDE_PX, 16.0)
    near, far = np.full_like(along, HALO_PX), np.full_like(along, HALO_PX + BLOCK_PX)
    sides = ((along, near), (along, far), (near, along), (far, along))
    return np.concatenate([np.column_stack(side) for side in sides])


def _weights(uneven: NDArray) -> tuple[NDArray[np.float32], ...]:
    """Return the weights of the block's own ground, its top, bottom, left and right edge and its corners (sum 1).

    Near the lines they do not depend on the block; further in, an uneven border (``uneven``, zero mean and unit
    variance) keeps spaces from ending along straight lines.
    """
    axis = np.arange(-HALO_PX, BLOCK_PX + HALO_PX, dtype=np.float32)
    to_first, to_last = np.abs(axis), np.abs(axis - BLOCK_PX)
    to_nearest = np.minimum(to_first, to_last)
    at_corner = 1 - smooth_step(to_nearest, _CORNER_PX, _CORNER_PX + _FADE_PX)
    corner = at_corner[:, None] * at_corner[None, :]
    beyond_corner = smooth_step(to_nearest, _CORNER_PX + _FADE_PX, _CORNER_PX + 2 * _FADE_PX)
    further = _UNEVEN_PX * np.clip(0.5 + 0.4 * uneven, 0, 1)

    def edge(distance: NDArray) -> NDArray[np.float32]:
        """Return the weight of an edge from the distance to its line (rows), less the part of the corners."""
        inwards = further * beyond_corner[None, :]
        near = 1 - smooth_step(distance[:, None] - inwards, _PLATEAU_PX, _PLATEAU_PX + _FADE_PX / 2)
        return near * (1 - corner)

    top, bottom = edge(to_first), edge(to_last)
    further = further.T
    left, right = edge(to_first).T, edge(to_last).T
    return (1 - corner - top - bottom - left - right, top, bottom, left, right, corner)


def _blend(planes: list[NDArray], weights: tuple[NDArray[np.float32], ...]) -> NDArray[np.float32]:
    """Blend the planes of the block's own ground, its top, bottom, left and right edge and its corners into one."""
    own, top, bottom, left, right, corner = planes
    shifted = (
        own,
        _line_at(top, 0, 0),
        _line_at(bottom, BLOCK_PX, 0),
        _line_at(left, 0, 1),
        _line_at(right, BLOCK_PX, 1),
        _corners(corner),
    )
    total = sum(weight * plane for weight, plane in zip(weights, shifted))
    return np.ascontiguousarray(total, dtype=np.float32)


def _line_at(plane: NDArray, position_px: int, axis: int) -> NDArray:
    """Shift a plane so that its middle lies on a line of the block; only the part near that line is used."""
    return np.roll(plane, HALO_PX + position_px - _SIDE_PX // 2, axis)


def _corners(plane: NDArray) -> NDArray:
    moved = plane
    for axis in (0, 1):
        halves = [np.take(_line_at(moved, position, axis), part, axis) for position, part in _HALVES]
        moved = np.concatenate(halves, axis)
    return moved


_HALVES = ((0, range(_SIDE_PX // 2)), (BLOCK_PX, range(_SIDE_PX // 2, _SIDE_PX)))
