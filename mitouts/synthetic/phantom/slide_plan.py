"""Plans a phantom slide before a pixel is drawn: islands of tissue on glass, tumour in them, and a hotspot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.synthetic.slide_config import SlideConfig

CELL_PX = 32
"""Side of a cell of :class:`SlidePlan`'s coarse map, in level-0 pixels."""
GLASS, STROMA, TUMOUR = range(3)

_CORNER_SPACING_PX = 40.0
_MAX_TUMOUR_REACH = 0.95
_SHAPE_STREAM, _HOTSPOT_STREAM = range(2)


@dataclass(frozen=True)
class PlannedHotspot:
    """A disc of tumour where figures are denser, in level-0 pixels."""

    centre_px: tuple[float, float]
    radius_px: float

    def holds(self, points: NDArray) -> NDArray[np.bool_]:
        """Tell which of the points (N, 2) lie inside, the rim included."""
        return np.hypot(points[:, 0] - self.centre_px[0], points[:, 1] - self.centre_px[1]) <= self.radius_px


@dataclass(frozen=True)
class SlidePlan:
    """Regions of a slide; points are ``(x, y)`` in level-0 pixels.

    Attributes:
        tissue: Outlines of the islands, each (N, 2).
        tumour: Outlines of the tumour, each inside one island.
        hotspot: None where there is no tumour.
        cells: ``GLASS``, ``STROMA`` or ``TUMOUR`` of every ``CELL_PX`` pixels, uint8.
    """

    config: SlideConfig
    tissue: tuple[NDArray[np.float64], ...]
    tumour: tuple[NDArray[np.float64], ...]
    hotspot: PlannedHotspot | None
    cells: NDArray[np.uint8]

    @property
    def tissue_mm2(self) -> float:
        """Area of all islands."""
        return sum(map(polygon_area, self.tissue)) * (self.config.mpp / 1000) ** 2

    @property
    def tumour_mm2(self) -> float:
        """Area of the tumour."""
        return sum(map(polygon_area, self.tumour)) * (self.config.mpp / 1000) ** 2

    @property
    def hotspot_mm2(self) -> float:
        """Area of the hotspot, 0 where there is none."""
        return math.pi * (self.hotspot.radius_px * self.config.mpp / 1000) ** 2 if self.hotspot else 0.0


def plan_slide(config: SlideConfig, seed: np.random.SeedSequence) -> SlidePlan:
    """Draw the outlines of islands, tumour and hotspot."""
    shape_seed, hotspot_seed = (
        np.random.default_rng(child_seed(seed, stream)) for stream in (_SHAPE_STREAM, _HOTSPOT_STREAM)
    )
    pairs = _draw_regions(config, shape_seed) if config.tissue_share > 0 else []
    tissue = tuple(island for island, _ in pairs)
    tumour = tuple(part for _, part in pairs if part is not None)
    shape = -(-config.height_px // CELL_PX), -(-config.width_px // CELL_PX)
    cells = np.zeros(shape, dtype=np.uint8)
    for polygons, label in ((tissue, STROMA), (tumour, TUMOUR)):
        for polygon in polygons:
            fill_polygon(cells, (polygon + 0.5) / CELL_PX - 0.5, label)
    return SlidePlan(config, tissue, tumour, _draw_hotspot(config, tumour, cells, hotspot_seed), cells)


def child_seed(seed: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """Return a seed sequence that depends only on another one and a key."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))


def polygon_area(polygon: NDArray) -> float:
    """Compute the area inside a closed outline (N, 2), in square units of its coordinates (the shoelace formula)."""
    x, y = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def fill_polygon(plane: NDArray[np.uint8], polygon: NDArray, value: int, line: int = cv2.LINE_8) -> None:
    """Fill a polygon (N, 2) in place; pixel centres are at whole numbers."""
    cv2.fillPoly(plane, [np.rint(polygon * 16).astype(np.int32)], value, line, shift=4)


def _draw_regions(config: SlideConfig, rng: np.random.Generator) -> list[tuple[NDArray, NDArray | None]]:
    """Draw the outline of each island and of the tumour in it."""
    rows = max(1, round(math.sqrt(config.num_islands * config.height_px / config.width_px)))
    columns = -(-config.num_islands // rows)
    half = np.array([config.width_px / columns, config.height_px / rows]) / 2
    # Islands keep apart as long as there is glass enough.
    reach = half * (1 - 0.06 * (1 - config.tissue_share))
    target = config.tissue_share * config.width_px * config.height_px / (rows * columns)
    count = 8 * math.ceil(np.clip(7 * reach.max() / _CORNER_SPACING_PX, 64, 4000) / 8)
    turn = 2 * np.pi * np.arange(count) / count
    direction = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    to_frame = 1 / np.abs(direction).max(axis=1)
    pairs: list[tuple[NDArray, NDArray | None]] = []
    for index in range(rows * columns):
        centre = half * (1 + 2 * np.array([index % columns, index // columns])) - 0.5
        outline = _ragged(turn, 0.35, rng)
        inner = _ragged(turn, 0.3, rng)
        radius = _scaled(outline, to_frame, direction * reach, target)
        spokes = radius[:, None] * direction * reach
        island = centre + spokes
        part = None
        if config.tumour_share > 0:
            limit = 1.0 if config.tumour_share > 0.85 else _MAX_TUMOUR_REACH
            share = _scaled(inner, np.full(count, limit), spokes, config.tumour_share * polygon_area(island))
            part = centre + share[:, None] * spokes
        pairs.append((island, part))
    return pairs


def _ragged(turn: NDArray, roughness: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a periodic positive curve around 1: a few large lobes with ever smaller ones on them."""
    orders = np.arange(2, 60)
    amplitudes = roughness * orders**-1.25
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    strengths = amplitudes * rng.normal(0, 1, len(orders))
    waves = strengths[:, None] * np.cos(orders[:, None] * turn + phases[:, None])
    return np.clip(1 + waves.sum(axis=0), 0.4, None)


def _scaled(curve: NDArray, limit: NDArray, spokes: NDArray, target: float) -> NDArray[np.float64]:
    """Scale the curve, clipped at ``limit``, to radii along ``spokes`` that enclose the target area if possible."""
    low, high = 0.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        area = polygon_area(np.minimum(middle * curve, limit)[:, None] * spokes)
        low, high = (middle, high) if area < target else (low, middle)
    return np.minimum(high * curve, limit)


def _draw_hotspot(
    config: SlideConfig, tumour: tuple[NDArray, ...], cells: NDArray[np.uint8], rng: np.random.Generator
) -> PlannedHotspot | None:
    """Place a disc inside the largest tumour, with at most nine tenths of the largest radius that fits."""
    if not tumour or config.hotspot_mm2 == 0:
        return None
    largest = np.zeros(cells.shape, dtype=np.uint8)
    fill_polygon(largest, (max(tumour, key=polygon_area) + 0.5) / CELL_PX - 0.5, 1)
    depth = cv2.distanceTransform(np.pad(largest & (cells == TUMOUR), 1), cv2.DIST_L2, 5)[1:-1, 1:-1] * CELL_PX
    radius = min(math.sqrt(config.hotspot_mm2 / math.pi) * 1000 / config.mpp, 0.9 * float(depth.max()) - CELL_PX)
    if radius <= 0:
        return None
    rows, columns = np.nonzero(depth >= radius + CELL_PX)
    pick = rng.integers(len(rows))
    centre = (float((columns[pick] + 0.5) * CELL_PX - 0.5), float((rows[pick] + 0.5) * CELL_PX - 0.5))
    return PlannedHotspot(centre, radius)
