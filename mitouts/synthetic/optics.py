"""Describes the scanners that show synthetic images, and the resolution at which these are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitouts.errors import ConfigError

RENDER_MPP = 0.25


@dataclass(frozen=True)
class Scanner:
    """The appearance of haematoxylin and eosin under one scanner and the stain protocol of its laboratory.

    Attributes:
        hematoxylin_od: optical density of unit haematoxylin in red, green and blue (natural logarithm).
        eosin_od: the same for eosin.
        white: RGB of the empty slide, 0-255.
        blur_px: standard deviation of the point spread function.
        sharpening: strength of the scanner's unsharp mask.
        noise: standard deviation of the sensor noise at full brightness, in grey levels.
        fringe_px: shift of the red against the blue channel (lateral chromatic aberration).
        jpeg_quality: quality of the compression inside the slide file.
    """

    hematoxylin_od: tuple[float, float, float]
    eosin_od: tuple[float, float, float]
    white: tuple[float, float, float]
    blur_px: float
    sharpening: float
    noise: float
    fringe_px: float
    jpeg_quality: int


SCANNERS: dict[str, Scanner] = {
    'scanner_a': Scanner((0.60, 0.72, 0.32), (0.12, 0.93, 0.27), (244.0, 241.0, 245.0), 0.80, 0.0, 1.6, 0.15, 85),
    'scanner_b': Scanner((0.50, 0.79, 0.32), (0.15, 0.92, 0.35), (240.0, 236.0, 238.0), 1.00, 0.3, 2.0, 0.10, 80),
    'scanner_c': Scanner((0.53, 0.73, 0.43), (0.13, 0.80, 0.59), (243.0, 240.0, 234.0), 0.65, 0.6, 2.4, 0.45, 75),
    'scanner_d': Scanner((0.69, 0.65, 0.30), (0.09, 0.97, 0.18), (238.0, 240.0, 247.0), 0.75, 0.2, 1.4, 0.20, 90),
}
"""Four synthetic scanners; the stain vectors lie where those of H&E slides usually do."""


def check_scanners(names: Sequence[str]) -> None:
    """Check that scanners are named, and that each is known.

    Raises:
        ConfigError: There is no name, or one that is not in :data:`SCANNERS`.
    """
    unknown = [name for name in names if name not in SCANNERS]
    if unknown or not names:
        raise ConfigError(f'unknown scanner {unknown}; known are {", ".join(SCANNERS)}, at least one is needed')
