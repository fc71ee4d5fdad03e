"""Renders mitotic figures: condensed chromosomes without a membrane, in a rounded cell with cleared cytoplasm."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from mitouts.synthetic.phantom.patches import CellPatch, centre_of_mass, ellipse_depth, smooth_step, strokes
from mitouts.synthetic.phantom.textures import TextureBank

FIGURE_PATCH_PX = 97


def render_figure(
    kind: str, darkness: float, cytoplasm: float, bank: TextureBank, rng: np.random.Generator
) -> CellPatch:
    """Render one mitotic figure.

    Args:
        kind: One of ``FIGURE_KINDS``.
        darkness: Haematoxylin concentration of the chromosomes.
        cytoplasm: Eosin concentration of the cells around it.
        rng: Everything that makes this figure differ from the next.

    Returns:
        A patch whose ``centroid`` is the centre of mass of all chromosomes; for a pair that is its middle.
    """
    angle = rng.uniform(0, np.pi)
    segments, body = _CHROMOSOMES[kind](rng)
    chromatin = _chromatin(_turned(segments, angle), bank, rng)
    clearing, membrane = _rounded_cell(body, angle, bank, rng)
    pallor = rng.uniform(0.25, 0.85)
    granules = np.clip(1 + 0.45 * bank.patch('grains', FIGURE_PATCH_PX, rng), 0, 2)
    cell_eosin = cytoplasm * (1 - 0.6 * pallor) * granules + rng.uniform(0.0, 0.35) * membrane
    cell_hematoxylin = 0.08 + 0.05 * granules
    # Ragged outlines thin a figure out: this keeps it as dark as a compact look-alike of the same darkness.
    absorbing = 1.08 * chromatin * darkness * (1 + 0.13 * bank.patch('clumps', FIGURE_PATCH_PX, rng))
    covered = np.minimum(chromatin, 1)
    opacity = np.maximum(clearing, covered)
    return CellPatch(
        hematoxylin=absorbing + clearing * (1 - covered) * cell_hematoxylin,
        eosin=opacity * cell_eosin * (1 - 0.5 * covered),
        opacity=opacity,
        centroid=centre_of_mass(absorbing),
    )


def _chromatin(segments: np.ndarray, bank: TextureBank, rng: np.random.Generator) -> np.ndarray:
    """Return the chromosomes as a soft mask, 0-1: their union, with an uneven, hairy outline."""
    widths = rng.uniform(2.2, 3.6, size=len(segments))
    union = cv2.GaussianBlur(strokes(FIGURE_PATCH_PX, segments, widths), (0, 0), rng.uniform(0.7, 1.3))
    ragged = union + 0.14 * bank.patch('grains', FIGURE_PATCH_PX, rng) * (union > 0.05)
    return smooth_step(ragged, 0.08, 0.95)


def _rounded_cell(
    body: tuple[float, float], angle: float, bank: TextureBank, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of the tissue that the rounded cell replaces, and its thin outline."""
    depth = ellipse_depth(FIGURE_PATCH_PX, *body, angle) + 1.3 * bank.patch('folds', FIGURE_PATCH_PX, rng)
    softness = rng.uniform(0.8, 3.5)
    inside = smooth_step(depth, -softness, softness)
    membrane = np.exp(-0.5 * ((depth - 1) / 1.1) ** 2)
    return inside * np.float32(rng.uniform(0.75, 1.0)), membrane


def _rods(centres: np.ndarray, directions: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return segments (S, 4) around centres (S, 2), along directions in radians."""
    half = 0.5 * lengths[:, None] * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    return np.concatenate([centres - half, centres + half], axis=1)


def _turned(segments: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return (segments.reshape(-1, 2) @ np.array([[cos, sin], [-sin, cos]])).reshape(-1, 4)


def _plate(rng: np.random.Generator, length_px: float, thickness_px: float, bend: float) -> np.ndarray:
    """Draw rods across a bent line along x, fewer towards its ends."""
    count = int(length_px * rng.uniform(1.1, 1.5))
    x = length_px * (np.linspace(-0.5, 0.5, count) + rng.normal(0, 0.02, count))
    taper = np.sqrt(np.clip(1 - (2 * x / (length_px * 1.15)) ** 2, 0.15, 1))
    y = bend * ((2 * x / length_px) ** 2 - 1 / 3) + rng.normal(0, 0.07 * thickness_px, count)
    lengths = thickness_px * taper * rng.uniform(0.45, 1.1, count)
    directions = np.pi / 2 + rng.normal(0, 0.45, count)
    return _rods(np.stack([x, y], axis=1), directions, lengths)


def _metaphase(rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    """Draw a plate seen from its side; sometimes a chromosome has not yet joined it."""
    length, thickness = rng.uniform(24, 38), rng.uniform(7.5, 12)
    plate = _plate(rng, length, thickness, rng.normal(0, 2.2))
    stray = rng.poisson(0.6)
    offsets = np.stack([rng.uniform(-0.4, 0.4, stray) * length, rng.choice((-1, 1), stray) * (thickness * 0.9)], axis=1)
    loose = _rods(offsets, rng.uniform(0, np.pi, stray), rng.uniform(2, 4, stray))
    return np.concatenate([plate, loose]), (length * 0.5 + rng.uniform(3, 10), length * 0.5 + rng.uniform(3, 10))


def _ring(rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    """Draw a plate seen from a pole: chromosomes point outwards around an open centre."""
    radius, squash = rng.uniform(9, 13), rng.uniform(0.7, 1.0)
    count = int(radius * rng.uniform(2.6, 3.4))
    theta = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.normal(0, 0.12, count)
    distance = radius * rng.normal(1.0, 0.10, count)
    centres = np.stack([distance * np.cos(theta), squash * distance * np.sin(theta)], axis=1)
    lengths = rng.uniform(5, 10.5, count) * radius / 11
    size = radius + rng.uniform(10, 18)
    return _rods(centres, theta + rng.normal(0, 0.5, count), lengths), (size, size * rng.uniform(0.85, 1.0))


def _prometaphase(rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    """Draw a clump of short rods that point everywhere, with gaps and stray arms at its edge."""
    radius, squash = rng.uniform(11, 15.5), rng.uniform(0.6, 1.0)
    count = int(radius * rng.uniform(2.2, 3.2))
    theta, distance = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.uniform(0, 1.05, count))
    centres = np.stack([distance * np.cos(theta), squash * distance * np.sin(theta)], axis=1)
    size = radius + rng.uniform(7, 15)
    directions = np.where(rng.random(count) < 0.5, theta, rng.uniform(0, np.pi, count)) + rng.normal(0, 0.4, count)
    return _rods(centres, directions, rng.uniform(4, 10, count)), (size, size * rng.uniform(0.8, 1.0))


def _anaphase(rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    """Draw two plates moving apart, with arms trailing towards the middle."""
    return _pair(rng, rng.uniform(15, 24), rng.uniform(22, 30), rng.uniform(6, 8.5), rng.uniform(-1, 4))


def _telophase(rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
    """Draw two compact plates far apart, in a long cell."""
    return _pair(rng, rng.uniform(24, 33), rng.uniform(16, 22), rng.uniform(6, 8), rng.uniform(-1, 3))


def _pair(
    rng: np.random.Generator, separation_px: float, length_px: float, thickness_px: float, bend: float
) -> tuple[np.ndarray, tuple[float, float]]:
    plates = []
    for side in (-1, 1):
        plate = _plate(rng, length_px * rng.uniform(0.9, 1.1), thickness_px * rng.uniform(0.9, 1.1), side * bend)
        plate = _turned(plate, rng.normal(0, 0.12))
        centre = plate.reshape(-1, 2).mean(axis=0)
        plates.append(plate + np.tile(np.array([0, side * separation_px / 2]) - centre, 2))
    across = length_px * 0.5 + rng.uniform(4, 9)
    along = separation_px * 0.5 + thickness_px * 0.5 + rng.uniform(6, 11)
    return np.concatenate(plates), (across, along)


_CHROMOSOMES: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, tuple[float, float]]]] = {
    'prometaphase': _prometaphase,
    'metaphase': _metaphase,
    'ring': _ring,
    'anaphase': _anaphase,
    'telophase': _telophase,
}
FIGURE_KINDS = tuple(_CHROMOSOMES)
"""Phases, with ``ring`` for a metaphase plate seen from a pole."""
