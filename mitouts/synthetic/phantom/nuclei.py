"""Renders nuclei that do not divide: of tumour, stroma and lymphocytes, and the dark look-alikes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mitouts.synthetic.phantom.patches import CellPatch, centre_of_mass, ellipse_depth, grid, smooth_step, spot
from mitouts.synthetic.phantom.textures import TextureBank

LOOK_ALIKE_PATCH_PX = 97


def render_nucleus(
    semi_axes_px: tuple[float, float],
    angle: float,
    darkness: float,
    openness: float,
    bank: TextureBank,
    rng: np.random.Generator,
) -> CellPatch:
    """Render an interphase nucleus: membrane, chromatin clumps on a paler ground, nucleoli.

    Args:
        angle: Direction of the major axis in radians.
        openness: 0 for dense even chromatin, 1 for a vesicular nucleus (pale, with a sharp rim and nucleoli).
        rng: Everything that makes this nucleus differ from the next.
    """
    major, minor = semi_axes_px
    size = 2 * int(major + 5) + 1
    depth = ellipse_depth(size, major, minor, angle)
    depth = depth + 0.09 * minor * bank.patch('folds', size, rng) + 0.3 * bank.patch('clumps', size, rng)
    inside = smooth_step(depth, -0.9, 0.9)
    clumps = bank.patch('clumps', size, rng)
    clumped = smooth_step(clumps + 0.6 * bank.patch('grains', size, rng), 0.0, 2.0)
    uneven = np.clip(0.75 + 0.35 * bank.patch('clumps', size, rng) + 0.2 * clumps, 0.15, 1.7)
    rim = np.exp(-0.5 * ((depth - 1.1) / (0.9 + 0.5 * openness)) ** 2) * uneven
    ground = 0.85 - 0.55 * openness
    chromatin = ground + (0.45 + 0.75 * openness) * clumped + (0.25 + 0.75 * openness) * rim
    chromatin += 0.12 * bank.patch('lumps', size, rng)
    for _ in range(rng.choice(4, p=(0.35, 0.35, 0.2, 0.1)) if openness > 0.25 else 0):
        theta, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5) * minor
        nucleolus = spot(size, reach * np.cos(theta), reach * np.sin(theta), rng.uniform(1.6, 3.2))
        chromatin = chromatin + nucleolus * rng.uniform(0.7, 1.3)
    eosin = (0.22 + 0.2 * (1 - openness)) * (1 + 0.25 * bank.patch('grains', size, rng))
    return CellPatch(inside * darkness * np.maximum(chromatin, 0.1), inside * eosin, inside)


def render_look_alike(
    kind: str, darkness: float, cytoplasm: float, bank: TextureBank, rng: np.random.Generator
) -> CellPatch:
    """Render a nucleus that is as dark as a mitotic figure but is not one.

    Args:
        kind: One of ``LOOK_ALIKE_KINDS``.
        darkness: Haematoxylin concentration of the chromatin.
        cytoplasm: Eosin concentration of the cells around it.
        rng: Everything that makes this one differ from the next.

    Returns:
        A patch whose ``centroid`` is the centre of mass of the chromatin.
    """
    return _LOOK_ALIKES[kind](darkness, cytoplasm, bank, rng)


def _pyknotic(darkness: float, cytoplasm: float, bank: TextureBank, rng: np.random.Generator) -> CellPatch:
    """Draw a shrunken nucleus: round, smooth, without texture, in condensed cytoplasm."""
    radius = rng.uniform(7.5, 12.5)
    axes = (radius * rng.uniform(1.0, 1.25), radius * rng.uniform(0.85, 1.0))
    depth = ellipse_depth(LOOK_ALIKE_PATCH_PX, *axes, rng.uniform(0, np.pi))
    depth = depth + 0.5 * bank.patch('folds', LOOK_ALIKE_PATCH_PX, rng)
    nucleus = smooth_step(depth, -1.2, 1.2)
    shade = 0.93 + 0.14 * smooth_step(depth, 0, radius)
    return _shrunken_cell(nucleus * shade, radius + rng.uniform(1, 8), darkness, cytoplasm, bank, rng)


def _apoptotic(darkness: float, cytoplasm: float, bank: TextureBank, rng: np.random.Generator) -> CellPatch:
    """Draw a shrunken, strongly eosinophilic cell with round dark globules, or a crescent, and a halo."""
    size = LOOK_ALIKE_PATCH_PX
    body = rng.uniform(13, 19)
    chromatin = np.zeros((size, size), dtype=np.float32)
    if rng.random() < 0.3:
        theta, radius = rng.uniform(0, 2 * np.pi), body * rng.uniform(0.6, 0.75)
        cap = spot(size, 0, 0, radius)
        bite = spot(size, 0.6 * radius * np.cos(theta), 0.6 * radius * np.sin(theta), radius * rng.uniform(0.75, 0.95))
        chromatin = cap * (1 - bite)
    first = rng.uniform(0, 2 * np.pi)
    for index in range(rng.integers(2, 7)):
        theta = first + index * rng.uniform(1.2, 2.4)
        radius = rng.uniform(5.5, 8.5) if index == 0 else rng.uniform(1.8, 5.5)
        reach = rng.uniform(0.0, 0.3) * body if index == 0 else rng.uniform(0.4, 0.95) * body
        globule = spot(size, reach * np.cos(theta), reach * np.sin(theta), radius)
        chromatin = np.maximum(chromatin, globule)
    return _shrunken_cell(chromatin, body, darkness, cytoplasm * 1.2, bank, rng)


def _shrunken_cell(
    chromatin: np.ndarray,
    body_px: float,
    darkness: float,
    cytoplasm: float,
    bank: TextureBank,
    rng: np.random.Generator,
) -> CellPatch:
    """Draw chromatin in dense eosinophilic cytoplasm, retracted from its neighbours on one side or all around."""
    size = len(chromatin)
    axes = (body_px * rng.uniform(1.0, 1.35), body_px * rng.uniform(0.8, 1.0))
    folds = bank.patch('folds', size, rng)
    depth = ellipse_depth(size, *axes, rng.uniform(0, np.pi))
    depth = depth + rng.uniform(0.8, 2.5) * folds + 0.5 * bank.patch('lumps', size, rng)
    body = smooth_step(depth, -1.3, 1.3)
    along, _ = grid(size, rng.uniform(0, 2 * np.pi))
    halo_px = rng.uniform(0, 6) + rng.uniform(0, 0.15) * along + 1.5 * bank.patch('folds', size, rng)
    halo = smooth_step(depth + np.minimum(halo_px, 8), -1.3, 1.3) * rng.uniform(0.3, 0.95)
    uneven = 1 + 0.12 * bank.patch('lumps', size, rng) + 0.06 * bank.patch('grains', size, rng)
    eosin = (cytoplasm * rng.uniform(1.1, 1.5) + rng.uniform(0.05, 0.3)) * uneven
    covered = np.minimum(chromatin, 1)
    absorbing = chromatin * darkness * (1 + 0.05 * bank.patch('clumps', size, rng))
    return CellPatch(
        hematoxylin=absorbing + rng.uniform(0.08, 0.3) * body * (1 - covered),
        eosin=np.maximum(body, covered) * eosin * (1 - 0.35 * covered),
        opacity=np.maximum(np.maximum(halo, body), covered),
        centroid=centre_of_mass(absorbing),
    )


def _hyperchromatic(darkness: float, cytoplasm: float, bank: TextureBank, rng: np.random.Generator) -> CellPatch:
    """Draw a large, elongated nucleus, dark throughout, with a smooth sharp membrane."""
    size = LOOK_ALIKE_PATCH_PX
    major, minor = rng.uniform(15, 22), rng.uniform(8, 12.5)
    along, across = grid(size, rng.uniform(0, 2 * np.pi))
    bent = across - rng.normal(0, 0.008) * (along**2 - major**2 / 4)
    tapered = bent * (1 + rng.uniform(0, 0.45) * along / major)
    radius = np.sqrt((along / major) ** 2 + (tapered / minor) ** 2)
    depth = (1 - radius) * np.float32(np.sqrt(major * minor)) + 1.1 * bank.patch('folds', size, rng)
    depth = np.where(np.abs(along) < 1.35 * major, depth, np.minimum(depth, -5))
    nucleus = smooth_step(depth, -1.0, 1.0)
    rim = np.exp(-0.5 * ((depth - 1.2) / 1.1) ** 2)
    texture = rng.uniform(0.04, 0.16) * bank.patch('clumps', size, rng) + 0.08 * bank.patch('lumps', size, rng)
    absorbing = nucleus * darkness * np.maximum(0.9 + 0.15 * rim + texture, 0.2)
    return CellPatch(absorbing, nucleus * 0.5 * cytoplasm, nucleus, centre_of_mass(absorbing))


_LOOK_ALIKES: dict[str, Callable[[float, float, TextureBank, np.random.Generator], CellPatch]] = {
    'pyknotic': _pyknotic,
    'apoptotic': _apoptotic,
    'hyperchromatic': _hyperchromatic,
}
LOOK_ALIKE_KINDS = tuple(_LOOK_ALIKES)
