"""Draws the ground that cells lie on: cytoplasm of cell nests, fibrous stroma, clefts and empty spaces."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mitouts.synthetic.phantom.patches import smooth_step
from mitouts.synthetic.phantom.textures import BANK_PX, TextureBank


@dataclass(frozen=True)
class Architecture:
    """Maps of the nests, stroma and spaces of a field.

    Attributes:
        nest: share of epithelial nest against stroma, 0-1, float32 (S, S).
        empty: share of white space, 0-1, float32 (S, S).
        fibre_angle: main direction of the stroma in radians.
    """

    nest: np.ndarray
    empty: np.ndarray
    fibre_angle: float


def draw_architecture(
    size_px: int, stroma_share: float, empty_share: float, bank: TextureBank, rng: np.random.Generator
) -> Architecture:
    """Draw nests, stroma and spaces; the shares are expectations over many fields."""
    layout = bank.field('layout', size_px, rng)
    ragged = layout + 0.05 * bank.field('lumps', size_px, rng)
    nest = smooth_step(ragged, _cut(stroma_share) - 0.12, _cut(stroma_share) + 0.12)
    holes = bank.field('layout', size_px, rng) + 0.35 * bank.field('folds', size_px, rng)
    holes = (holes + 0.06 * bank.field('lumps', size_px, rng)) / 1.06
    empty = smooth_step(holes, _cut(1 - empty_share) - 0.04, _cut(1 - empty_share) + 0.10)
    cleft = 4 * nest * (1 - nest) * smooth_step(bank.field('folds', size_px, rng), 0.6, 1.4)
    return Architecture(nest, np.maximum(empty, 0.85 * cleft), rng.uniform(0, np.pi))


def stain_ground(
    architecture: Architecture,
    centres: np.ndarray,
    cytoplasm: float,
    basophilia: float,
    froth: float,
    border: float,
    bank: TextureBank,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Stain everything but the nuclei.

    Args:
        architecture: Maps of nests, stroma and spaces.
        centres: The nuclei, (N, 2) in pixels; each gets a territory of cytoplasm.
        cytoplasm: Eosin concentration of the nests.
        basophilia: Haematoxylin concentration of the nests.
        froth: Share of the cytoplasm that is vacuolated, 0-1.
        border: Between cells: positive for stained membranes, negative for pale clefts.

    Returns:
        Haematoxylin and eosin concentrations, each float32 (S, S).
    """
    size = len(architecture.nest)
    lumps, grains = bank.field('lumps', size, rng), bank.field('grains', size, rng)
    folds = bank.field('folds', size, rng)
    tone, edge = _territories(size, centres, folds, rng)
    vacuoles = froth * smooth_step(bank.field('clumps', size, rng) + 0.5 * lumps, 0.3, 1.5)
    nest_eosin = cytoplasm * tone * (1 + 0.14 * folds + 0.16 * lumps + 0.16 * grains) * (1 - 0.75 * vacuoles)
    nest_eosin = nest_eosin + edge * (border if border > 0 else border * cytoplasm)
    nest_hematoxylin = (basophilia + 0.05 * folds) * tone * (1 - 0.6 * vacuoles) * (1 - max(-border, 0.0) * edge)
    fibres = _fibres(size, architecture.fibre_angle, folds, bank, rng)
    stroma_eosin = 0.62 + 0.16 * fibres + 0.05 * grains - 0.45 * smooth_step(-fibres, 1.0, 1.8)
    stroma_hematoxylin = 0.06 + 0.02 * lumps
    nest, tissue = architecture.nest, 1 - 0.97 * architecture.empty
    thickness = 1 + 0.07 * bank.field('layout', size, rng)
    eosin = (nest * nest_eosin + (1 - nest) * stroma_eosin) * tissue * thickness
    rim = 4 * architecture.empty * (1 - architecture.empty)
    eosin = np.maximum(eosin + 0.12 * rim, 0.01)
    hematoxylin = (nest * nest_hematoxylin + (1 - nest) * stroma_hematoxylin) * tissue * thickness
    return np.maximum(hematoxylin, 0.01), eosin


def _cut(share: float) -> float:
    """Return the value below which the given share of a standard normal texture lies."""
    return float(np.interp(share, _SHARES, _QUANTILES))


_SHARES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_QUANTILES = (-5.0, -2.33, -1.64, -1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28, 1.64, 2.33, 5.0)


def _territories(
    size_px: int, centres: np.ndarray, folds: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return maps of the cytoplasm's tone and of the borders between cells (a Voronoi diagram with uneven walls)."""
    if len(centres) < 2:
        flat = np.ones((size_px, size_px), dtype=np.float32)
        return flat, np.zeros_like(flat)
    step = 4
    axis = np.arange(0, size_px + step, step, dtype=np.float32)
    x, y = centres.astype(np.float32).T
    distance = np.sqrt((axis[None, :, None] - x) ** 2 + (axis[:, None, None] - y) ** 2)
    nearest = np.argmin(distance, axis=2)
    two = np.partition(distance, 1, axis=2)[..., :2]
    tones = rng.uniform(0.82, 1.18, len(centres)).astype(np.float32)
    span = len(axis) * step
    gap = cv2.resize(two[..., 1] - two[..., 0], (span, span), interpolation=cv2.INTER_LINEAR)[:size_px, :size_px]
    tone = cv2.resize(tones[nearest], (span, span), interpolation=cv2.INTER_LINEAR)[:size_px, :size_px]
    return tone, np.exp(-0.5 * ((gap + 2.0 * folds) / 2.6) ** 2)


def _fibres(size_px: int, angle: float, folds: np.ndarray, bank: TextureBank, rng: np.random.Generator) -> np.ndarray:
    """Return wavy bundles of fibres along ``angle``, made from the bank's straight streaks."""
    axis = np.arange(size_px, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    wave = bank.field('layout', size_px, rng)
    origin = rng.uniform(0, BANK_PX, size=2).astype(np.float32)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = (x * cos + y * sin + origin[0]) % BANK_PX
    across = (y * cos - x * sin + 16 * wave + 2.5 * folds + origin[1]) % BANK_PX
    return cv2.remap(bank.fibres, along, across, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
