"""Draws errors of annotated points: shifts in a random direction, of a length with given quantiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAUSSIAN_P95 = math.sqrt(math.log(20) / math.log(2))
"""The 95th percentile of the length of an isotropic Gaussian shift over its median: 2.079."""


@dataclass(frozen=True)
class PointError:
    """The distribution of a shift: its direction is uniform, its length is Weibull distributed.

    The length of an isotropic Gaussian shift is a Rayleigh variable, which is a Weibull variable of shape 2. Errors of
    a registration have longer tails: a shape below 2.

    Attributes:
        median_px: Median length in pixels, positive.
        p95_px: 95th percentile of the length in pixels, above the median; None for a Gaussian shift, which is
            ``2.079 * median_px``.

    Raises:
        ValueError: A length is not positive, or the percentile is not above the median.
    """

    median_px: float
    p95_px: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.median_px) and self.median_px > 0):
            raise ValueError(f'the median of an error must be a positive number of pixels, found {self.median_px}')
        if self.p95_px is not None and not (math.isfinite(self.p95_px) and self.p95_px > self.median_px):
            raise ValueError(
                f'the 95th percentile of an error must be above its median of {self.median_px:g} px, found '
                f'{self.p95_px}'
            )

    @property
    def shape(self) -> float:
        """Shape of the Weibull distribution, at which median and 95th percentile are as asked for."""
        if self.p95_px is None:
            return 2.0
        return math.log(math.log(20) / math.log(2)) / math.log(self.p95_px / self.median_px)

    @property
    def scale_px(self) -> float:
        """Scale of the Weibull distribution in pixels."""
        return self.median_px / math.log(2) ** (1 / self.shape)

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw shifts.

        Returns:
            ``(count, 2)`` shifts ``(dx, dy)`` in pixels.
        """
        length = self.scale_px * generator.weibull(self.shape, count)
        angle = generator.uniform(0, 2 * math.pi, count)
        return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)
