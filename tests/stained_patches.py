"""Patches of known stains, real ones from AMi-Br crops, and ones that are no tissue."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mitouts.converters import amibr

Image = NDArray[np.uint8]

AMIBR = Path(__file__).resolve().parents[2] / 'shared' / 'data' / 'AMi-Br'
STAINS = np.array([[0.6, 0.7, 0.3875], [0.15, 0.9, 0.4093]])
STAINS /= np.linalg.norm(STAINS, axis=1, keepdims=True)


def draw_patch(side_px: int = 200, seed: int = 0, stains: NDArray = STAINS, noise: float = 0.0) -> Image:
    """Nuclei of the first stain, cytoplasm of the second, mixtures of both and some glass."""
    generator = np.random.default_rng(seed)
    fields = [cv2.GaussianBlur(generator.normal(size=(side_px, side_px)), (0, 0), sigma) for sigma in (4, 15)]
    nuclei, cytoplasm = (np.clip(2 * field / field.std() + 0.5, 0, 2) for field in fields)
    cytoplasm[: side_px // 10] = nuclei[: side_px // 10] = 0
    density = nuclei[..., None] * stains[0] + 0.7 * cytoplasm[..., None] * stains[1]
    level = 240 * np.exp(-density) - 1 + noise * generator.normal(size=density.shape)
    return np.clip(np.rint(level), 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _mosaics() -> dict[str, Image]:
    crops: dict[str, list[Image]] = defaultdict(list)
    for figure in amibr.read_amibr(AMIBR):
        if len(crops[figure.slide]) < 16 and figure.slide in ('007.tiff', '072.tiff', '106.tiff', '139.tiff'):
            crop = amibr.read_crop(figure)
            if not amibr.has_padding(crop):
                crops[figure.slide].append(crop)
    return {
        slide: np.vstack([np.hstack(found[i : i + 4]) for i in range(0, 16, 4)])[:500, :500].copy()
        for slide, found in crops.items()
        if len(found) == 16
    }


def mosaics() -> dict[str, Image]:
    """Slide -> 500 px mosaic of 16 crops of it, of three scanners; skips where the crops are absent."""
    if not AMIBR.is_dir():
        pytest.skip('the AMi-Br crops are not at ../shared/data/AMi-Br')
    return _mosaics()


def _one_pixel() -> Image:
    image = np.full((500, 500, 3), 245, np.uint8)
    image[250, 250] = (90, 40, 120)
    return image


def _grey() -> Image:
    return np.repeat(np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8), 3, axis=2)


def _one_stain() -> Image:
    amount = np.random.default_rng(0).uniform(0.3, 1.5, (100, 100, 1))
    return np.rint(240 * np.exp(-amount * STAINS[1]) - 1).clip(0).astype(np.uint8)


NO_STAINS: dict[str, Image] = {
    'white': np.full((64, 64, 3), 255, np.uint8),
    'black': np.zeros((64, 64, 3), np.uint8),
    'one colour': np.full((64, 64, 3), (150, 60, 140), np.uint8),
    'one colour, 16 px': np.full((16, 16, 3), (150, 60, 140), np.uint8),
    '1 px of tissue': _one_pixel(),
    'single pixel': np.full((1, 1, 3), 100, np.uint8),
    'grey': _grey(),
}
"""What no method can normalize."""

HARD: dict[str, Image] = {
    'one stain': _one_stain(),
    'saturated': np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (64, 64, 3)),
    '16 px': draw_patch(16),
    'noise': np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8),
    'row': np.random.default_rng(0).integers(0, 256, (1, 500, 3), dtype=np.uint8),
    'overexposed': np.clip(draw_patch(64).astype(int) + 180, 0, 255).astype(np.uint8),
    'underexposed': (draw_patch(64) // 8).astype(np.uint8),
}
"""What some methods can normalize."""
