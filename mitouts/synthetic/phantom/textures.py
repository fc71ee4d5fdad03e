"""Makes periodic random textures, from which every phantom field and cell cuts its detail."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

BANK_PX = 1024


@dataclass(frozen=True)
class TextureBank:
    """Periodic textures of zero mean and unit variance, float32 of shape (``BANK_PX``, ``BANK_PX``).

    Attributes:
        layout: structures of about 100 px, for tissue architecture and slow shading.
        folds: structures of about 40 px, for cell bodies and the waviness of fibres.
        lumps: structures of about 12 px, for uneven cytoplasm and outlines.
        clumps: structures of about 5 px, for chromatin and vacuoles.
        grains: structures of about 2.5 px, for granular cytoplasm.
        fibres: long thin streaks along x, for collagen.
    """

    layout: np.ndarray
    folds: np.ndarray
    lumps: np.ndarray
    clumps: np.ndarray
    grains: np.ndarray
    fibres: np.ndarray

    def field(self, name: str, size_px: int, rng: np.random.Generator) -> np.ndarray:
        """Cut a square at a random place, mirrored at random; where it is larger than the bank, it repeats."""
        if size_px < BANK_PX:
            cut = self.patch(name, size_px, rng)[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
            return np.ascontiguousarray(cut.T if rng.random() < 0.5 else cut)
        tile = getattr(self, name)
        index = np.arange(size_px)
        y, x = rng.integers(BANK_PX, size=2)
        steps = rng.choice((-1, 1), size=2)
        cut = tile[np.ix_((y + steps[0] * index) % BANK_PX, (x + steps[1] * index) % BANK_PX)]
        return cut.T if rng.random() < 0.5 else cut

    def patch(self, name: str, size_px: int, rng: np.random.Generator) -> np.ndarray:
        """Return a view of a square at a random place, at most ``BANK_PX`` pixels a side."""
        y, x = rng.integers(BANK_PX - size_px, size=2)
        return getattr(self, name)[y : y + size_px, x : x + size_px]


@lru_cache(maxsize=2)
def texture_bank(seed: int) -> TextureBank:
    """Return the bank of a seed; it is computed once per process, in about the time of a dozen fields."""
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(7)]
    fine, broad = _filtered(streams[5], 48.0, 1.3), _filtered(streams[6], 70.0, 4.0)
    return TextureBank(
        layout=_filtered(streams[0], 30.0, 30.0),
        folds=_filtered(streams[1], 12.0, 12.0),
        lumps=_filtered(streams[2], 4.0, 4.0),
        clumps=_filtered(streams[3], 1.7, 1.7),
        grains=_filtered(streams[4], 0.8, 0.8),
        fibres=_standardized(0.8 * fine + broad),
    )


def _filtered(rng: np.random.Generator, sigma_x_px: float, sigma_y_px: float) -> np.ndarray:
    """Return Gaussian-filtered white noise; the margin is wrapped so that the result is periodic."""
    noise = rng.standard_normal((BANK_PX, BANK_PX), dtype=np.float32)
    margin = int(4 * max(sigma_x_px, sigma_y_px)) + 1
    wrapped = np.pad(noise, margin, mode='wrap')
    smooth = cv2.GaussianBlur(wrapped, (0, 0), sigmaX=sigma_x_px, sigmaY=sigma_y_px)
    return _standardized(smooth[margin:-margin, margin:-margin])


def _standardized(texture: np.ndarray) -> np.ndarray:
    standardized = np.ascontiguousarray((texture - texture.mean()) / texture.std(), dtype=np.float32)
    standardized.setflags(write=False)
    return standardized
