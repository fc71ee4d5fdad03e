"""Varies the stain's concentrations at random."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ConfigError
from mitouts.functional.stain import HED_RUIFROK, complete_stains, fit_macenko, jitter_stain
from mitouts.registry import TRANSFORMS
from mitouts.transforms.base import Transform
from mitouts.transforms.stain_references import check_share

STAINS = ('ruifrok', 'macenko')


@TRANSFORMS.register_module()
class StainJitter(Transform):
    """Scale and shift the haematoxylin, eosin and residual concentrations at random (Tellez et al. 2018).

    Args:
        scale: Each concentration is multiplied by a factor from ``1 - scale`` to ``1 + scale``.
        shift: An optical density from ``-shift`` to ``shift`` is added to each.
        prob: Share of images that are changed.
        stains: ``ruifrok`` for the vectors of Ruifrok and Johnston (with DAB as the residual), ``macenko`` for the
            image's own (with a residual at right angles to both), and Ruifrok's where it has none.

    Raises:
        ConfigError: A number is out of range, or the stains are unknown.
    """

    stream_key: ClassVar[tuple[int, ...]] = (1,)

    def __init__(self, scale: float = 0.15, shift: float = 0.03, prob: float = 1.0, stains: str = 'ruifrok') -> None:
        self.scale = check_share('StainJitter.scale', scale)
        if not shift >= 0:
            raise ConfigError(f'StainJitter.shift must be at least 0, found {shift!r}')
        if stains not in STAINS:
            raise ConfigError(f'StainJitter.stains must be one of {", ".join(STAINS)}, found {stains!r}')
        self.shift = shift
        self.prob = check_share('StainJitter.prob', prob)
        self.stains = stains

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        generator = self.generator(results)
        if generator.random() < self.prob:
            factors = generator.uniform(1 - self.scale, 1 + self.scale, 3)
            offsets = generator.uniform(-self.shift, self.shift, 3)
            results['img'] = jitter_stain(results['img'], factors, offsets, self._stains_of(results['img']))
        return results

    def _stains_of(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        fit = fit_macenko(image) if self.stains == 'macenko' else None
        return HED_RUIFROK if fit is None else complete_stains(fit.stains)
