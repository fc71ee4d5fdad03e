"""Renders H&E fields of tissue regions with a label map, to try a tissue model on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ConfigError
from mitouts.synthetic.optics import RENDER_MPP, SCANNERS
from mitouts.synthetic.phantom.architecture import draw_architecture, stain_ground
from mitouts.synthetic.phantom.field import PhantomCase
from mitouts.synthetic.phantom.nuclei import render_nucleus
from mitouts.synthetic.phantom.patches import smooth_step, spot
from mitouts.synthetic.phantom.scanners import acquire
from mitouts.synthetic.phantom.textures import TextureBank, texture_bank

REGION_CODES: Mapping[str, int] = {
    'tumour': 1,
    'stroma': 2,
    'inflammation': 3,
    'necrosis': 4,
    'blood': 6,
    'fat': 9,
    'glass': 21,
}
"""Kind of region -> its code in the label map, as BCSS numbers them; glass is BCSS's ``other``."""
OUTSIDE_CODE = 0

_WEIGHTS = {
    'tumour': 0.28,
    'stroma': 0.22,
    'inflammation': 0.16,
    'necrosis': 0.14,
    'blood': 0.04,
    'fat': 0.08,
    'glass': 0.08,
}
_LAYOUT_SCALE = 4
_KIND_COUNTS = {1: 0.2, 2: 0.35, 3: 0.3, 4: 0.15}
_OUTSIDE_SHARE = 0.15
Stains = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class RegionField:
    """A field and the tissue class of each of its pixels.

    Attributes:
        image: RGB uint8 ``(H, W, 3)``.
        codes: uint8 ``(H, W)``, values of :data:`REGION_CODES`, and 0 in an unlabelled corner.
    """

    image: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    kinds: tuple[str, ...]


def make_region_field(
    size_px: int, mpp: float, case: PhantomCase, rng: np.random.Generator, kinds: tuple[str, ...] | None = None
) -> RegionField:
    """Render a field of one to four kinds of tissue.

    Args:
        mpp: Micrometres per pixel; cells are drawn at 0.25 and resampled.
        kinds: Kinds of region; drawn where None.

    Raises:
        ConfigError: The field would be smaller than 32 um, or a kind is unknown.
    """
    size = round(size_px * mpp / RENDER_MPP)
    if size < 128:
        raise ConfigError(f'a field of regions must be at least 32 um wide, found {size_px} px of {mpp:g} um')
    unknown = set(kinds or ()) - set(REGION_CODES)
    if unknown:
        raise ConfigError(f'unknown kinds of region: {sorted(unknown)}; known are {", ".join(REGION_CODES)}')
    bank = texture_bank(0)
    chosen = kinds if kinds is not None else _draw_kinds(rng)
    place = _draw_layout(size, len(chosen), bank, rng)
    hematoxylin = np.zeros((size, size), dtype=np.float32)
    eosin = np.zeros((size, size), dtype=np.float32)
    for index, kind in enumerate(chosen):
        share = cv2.GaussianBlur((place == index).astype(np.float32), (0, 0), 2.0)
        ground = _GROUNDS[kind](size, case, bank, rng)
        hematoxylin += share * ground[0]
        eosin += share * ground[1]
    for index, kind in enumerate(chosen):
        if kind in _CELLS:
            _CELLS[kind](_Slot(hematoxylin, eosin, place == index, case, bank, rng))
    image = acquire(hematoxylin, eosin, SCANNERS[case.scanner], case.stains_od, rng)
    codes = np.array([REGION_CODES[kind] for kind in chosen], dtype=np.uint8)[place]
    if size != size_px:
        image = np.asarray(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        codes = np.asarray(cv2.resize(codes, (size_px, size_px), interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8)
    return RegionField(image, _with_unlabelled_corner(codes, rng), tuple(chosen))


def _draw_kinds(rng: np.random.Generator) -> tuple[str, ...]:
    count = int(rng.choice(list(_KIND_COUNTS), p=list(_KIND_COUNTS.values())))
    names = list(_WEIGHTS)
    return tuple(names[index] for index in rng.choice(len(names), count, replace=False, p=list(_WEIGHTS.values())))


def _draw_layout(size: int, count: int, bank: TextureBank, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the region index of each pixel: the largest of ``count`` random smooth fields, with ragged borders."""
    coarse = -(-size // _LAYOUT_SCALE)
    fields = []
    for _ in range(count):
        smooth = cv2.resize(bank.field('layout', coarse, rng), (size, size), interpolation=cv2.INTER_CUBIC)
        fields.append(smooth + 0.12 * bank.field('folds', size, rng) + rng.normal(0, 0.3))
    return np.argmax(np.stack(fields), axis=0)


def _with_unlabelled_corner(codes: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Mark a corner as unlabelled in some fields, like the outside of a region of interest that was drawn askew."""
    angle, share = rng.uniform(0, 2 * np.pi), rng.random()
    if share >= _OUTSIDE_SHARE:
        return codes
    axis = np.linspace(-1, 1, len(codes))
    beyond = axis[None, :] * np.cos(angle) + axis[:, None] * np.sin(angle) > 0.75
    return np.where(beyond, np.uint8(OUTSIDE_CODE), codes)


def _scatter(
    inside: NDArray[np.bool_], per_mm2: float, rng: np.random.Generator, jitter: float = 0.45
) -> NDArray[np.int64]:
    """Return the points ``(N, 2)`` of a jittered lattice that lie inside, as whole ``(x, y)``."""
    spacing = 1000 / (RENDER_MPP * np.sqrt(per_mm2))
    size = len(inside)
    axis = np.arange(rng.uniform(0, spacing), size, spacing)
    x, y = np.meshgrid(axis, axis)
    points = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-jitter, jitter, (x.size, 2)) * spacing
    points = np.clip(np.rint(points).astype(np.int64), 0, size - 1)
    return points[inside[points[:, 1], points[:, 0]]]


def _tumour_ground(size: int, case: PhantomCase, bank: TextureBank, rng: np.random.Generator) -> Stains:
    architecture = draw_architecture(size, 0.6 * case.stroma_share, case.empty_share, bank, rng)
    centres = _scatter(np.ones((size, size), dtype=bool), 3500, rng)
    return stain_ground(architecture, centres, case.cytoplasm, case.basophilia, case.froth, case.border, bank, rng)


def _stroma_ground(size: int, case: PhantomCase, bank: TextureBank, rng: np.random.Generator) -> Stains:
    architecture = draw_architecture(size, 1.0, 0.3 * case.empty_share, bank, rng)
    return stain_ground(architecture, np.zeros((0, 2)), case.cytoplasm, case.basophilia, 0.0, 0.0, bank, rng)


def _inflammation_ground(size: int, case: PhantomCase, bank: TextureBank, rng: np.random.Generator) -> Stains:
    lumps, grains = bank.field('lumps', size, rng), bank.field('grains', size, rng)
    return 0.16 + 0.05 * np.abs(lumps), np.maximum(0.28 + 0.10 * lumps + 0.06 * grains, 0.02)


def _necrosis_ground(size: int, case: PhantomCase, bank: TextureBank, rng: np.random.Generator) -> Stains:
    lumps, grains = bank.field('lumps', size, rng), bank.field('grains', size, rng)
    folds, clumps = bank.field('folds', size, rng), bank.field('clumps', size, rng)
    smudged = 1 + 0.16 * folds + 0.12 * lumps + 0.16 * grains + 0.10 * clumps
    return 0.13 * np.maximum(1 + 0.5 * lumps, 0.1), np.maximum((0.55 + 0.35 * case.cytoplasm) * smudged, 0.05)


def _blood_ground(size: int, case: PhantomCase, bank: TextureBank, rng: np.random.Generator) -> Stains:
    clumps, lumps = bank.field('clumps', size, rng), bank.field('lumps', size, rng)
    cells = smooth_step(clumps + 0.4 * lumps, -0.7, 0.3)
    return np.full((size, size), 0.02, dtype=np.float32), 0.08 + 1.35 * cells


def _fat_ground(size: int, case: PhantomCase, bank: TextureBank, rng: np.random.Generator) -> Stains:
    """Draw empty cells of about 60 um between thin walls, which run where two cell centres are about equally far."""
    # Cells reach in from outside, also into a field that is smaller than one of them.
    beyond = 300
    everywhere = np.ones((size + 2 * beyond,) * 2, dtype=bool)
    centres = (_scatter(everywhere, 300, rng) - beyond).astype(np.float32)
    step = 4
    axis = np.arange(0, size + step, step, dtype=np.float32)
    distance = np.hypot(axis[None, :, None] - centres[:, 0], axis[:, None, None] - centres[:, 1])
    two = np.partition(distance, 1, axis=2)[..., :2]
    span = len(axis) * step
    gap = cv2.resize(two[..., 1] - two[..., 0], (span, span), interpolation=cv2.INTER_LINEAR)[:size, :size]
    wall = np.exp(-0.5 * ((gap + 1.5 * bank.field('folds', size, rng)) / 6.0) ** 2)
    return 0.01 + 0.03 * wall, 0.01 + 0.5 * wall


def _glass_ground(size: int, case: PhantomCase, bank: TextureBank, rng: np.random.Generator) -> Stains:
    flat = np.full((size, size), 0.004, dtype=np.float32)
    return flat, flat.copy()


@dataclass(frozen=True)
class _Slot:
    """A region to fill with cells: its pixels, and both planes of the field."""

    hematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]
    inside: NDArray[np.bool_]
    case: PhantomCase
    bank: TextureBank
    rng: np.random.Generator

    def scatter(self, per_mm2: float) -> NDArray[np.int64]:
        return _scatter(self.inside, per_mm2, self.rng)

    def lay(
        self, centre: NDArray[np.int64], radius_px: float, stretch: float, look: tuple[float, float, float]
    ) -> None:
        """Draw a nucleus; ``look`` is its angle, darkness and openness."""
        radii_px = radius_px * stretch, radius_px / stretch
        patch = render_nucleus(radii_px, *look, self.bank, self.rng)
        patch.lay_over(self.hematoxylin, self.eosin, int(centre[0]), int(centre[1]))


def _tumour_cells(slot: _Slot) -> None:
    case, rng = slot.case, slot.rng
    for centre in slot.scatter(5500 * case.nuclei_density):
        radius = case.nucleus_radius_px * float(np.clip(rng.normal(1, 0.16), 0.65, 1.5))
        openness = float(np.clip(rng.normal(case.openness, 0.15), 0, 1))
        look = rng.uniform(0, np.pi), case.chromatin * rng.uniform(0.8, 1.2), openness
        slot.lay(centre, radius, rng.uniform(1.0, 1.22), look)


def _stroma_cells(slot: _Slot) -> None:
    case, rng = slot.case, slot.rng
    direction = rng.uniform(0, np.pi)
    for centre in slot.scatter(1100):
        look = direction + rng.normal(0, 0.35), case.chromatin * rng.uniform(0.9, 1.5), rng.uniform(0, 0.5)
        slot.lay(centre, 0.72 * case.nucleus_radius_px, rng.uniform(1.3, 1.9), look)


def _lymphocytes(slot: _Slot) -> None:
    rng = slot.rng
    for centre in slot.scatter(10_500):
        look = rng.uniform(0, np.pi), rng.uniform(1.2, 1.8), 0.1
        slot.lay(centre, rng.uniform(8.0, 10.5), rng.uniform(1.0, 1.12), look)


def _debris(slot: _Slot) -> None:
    """Draw pale remains of nuclei and the dust of burst ones."""
    rng = slot.rng
    for centre in slot.scatter(1500):
        look = rng.uniform(0, np.pi), rng.uniform(0.12, 0.3), 0.1
        slot.lay(centre, 0.8 * slot.case.nucleus_radius_px, 1.1, look)
    size = len(slot.hematoxylin)
    for x, y in slot.scatter(3000).tolist():
        grain = spot(15, 0, 0, rng.uniform(1.2, 3.6)) * rng.uniform(0.8, 1.8)
        rows, columns = slice(max(y - 7, 0), min(y + 8, size)), slice(max(x - 7, 0), min(x + 8, size))
        slot.hematoxylin[rows, columns] += grain[
            rows.start - y + 7 : rows.stop - y + 7, columns.start - x + 7 : columns.stop - x + 7
        ]


_GROUNDS: dict[str, Callable[[int, PhantomCase, TextureBank, np.random.Generator], Stains]] = {
    'tumour': _tumour_ground,
    'stroma': _stroma_ground,
    'inflammation': _inflammation_ground,
    'necrosis': _necrosis_ground,
    'blood': _blood_ground,
    'fat': _fat_ground,
    'glass': _glass_ground,
}
_CELLS: dict[str, Callable[[_Slot], None]] = {
    'tumour': _tumour_cells,
    'stroma': _stroma_cells,
    'inflammation': _lymphocytes,
    'necrosis': _debris,
}
