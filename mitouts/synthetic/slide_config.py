"""Describes the desired appearance of a phantom slide."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mitouts.errors import ConfigError
from mitouts.synthetic.optics import RENDER_MPP, check_scanners

_MPP_RANGE = (0.1, 2.0)


@dataclass(frozen=True)
class SlideConfig:
    """Appearance of a phantom slide.

    Attributes:
        mpp: Micrometres per pixel of level 0; cells are drawn at 0.25 and resampled where it differs.
        tissue_share: Share of the slide that is tissue, 0-1.
        tumour_share: Share of the tissue that is tumour, 0-1. Above 0.85 it may reach the edge of the tissue.
        num_islands: Pieces of tissue (rounded up to a full grid of rows and columns).
        figures_per_mm2: Mitotic figures per mm2 of tumour outside the hotspot.
        hotspot_figures_per_mm2: Mitotic figures per mm2 of hotspot.
        hotspot_mm2: Area of the hotspot, a disc; smaller where the tumour has no room for it.
        look_alikes_per_mm2: Look-alikes per mm2 of tumour; other tissue has a quarter of it.
        scanner: Name in ``SCANNERS``; None draws one.
        edge_colours: Number of kinds of edges between the blocks that make up the tissue. More kinds mean less
            repetition and a slower start (the number of different blocks of a tissue is the fourth power).
    """

    width_px: int = 20_000
    height_px: int = 15_000
    mpp: float = RENDER_MPP
    tissue_share: float = 0.35
    tumour_share: float = 0.6
    num_islands: int = 2
    figures_per_mm2: float = 20.0
    hotspot_figures_per_mm2: float = 80.0
    hotspot_mm2: float = 1.0
    look_alikes_per_mm2: float = 40.0
    scanner: str | None = None
    edge_colours: int = 2

    def __post_init__(self) -> None:
        if min(self.width_px, self.height_px) < 512:
            raise ConfigError(
                f'a phantom slide must be at least 512 x 512 px, found {self.width_px} x {self.height_px}'
            )
        if not _MPP_RANGE[0] <= self.mpp <= _MPP_RANGE[1]:
            raise ConfigError(f'mpp must lie between {_MPP_RANGE[0]} and {_MPP_RANGE[1]:g}, found {self.mpp:g}')
        for name in ('tissue_share', 'tumour_share'):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f'{name} must lie between 0 and 1, found {getattr(self, name):g}')
        for name in ('figures_per_mm2', 'hotspot_figures_per_mm2', 'hotspot_mm2', 'look_alikes_per_mm2'):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f'{name} must be a number from 0, found {value}')
        for name in ('num_islands', 'edge_colours'):
            if getattr(self, name) < 1:
                raise ConfigError(f'{name} must be at least 1, found {getattr(self, name)}')
        if self.scanner is not None:
            check_scanners([self.scanner])
