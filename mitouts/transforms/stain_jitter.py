"""Colour augmentation in stain space."""

from __future__ import annotations

from typing import Any

import numpy as np

from mitouts.functional.stain import jitter_stain
from mitouts.registry import TRANSFORMS
from mitouts.transforms.base import Transform


@TRANSFORMS.register_module()
class StainJitter(Transform):
    """Scale and shift the haematoxylin, eosin and residual concentrations at random (Tellez et al. 2018).

    Args:
        scale: Each concentration is multiplied by a factor from ``1 - scale`` to ``1 + scale``.
        shift: An optical density from ``-shift`` to ``shift`` is added to each.
        prob: Share of images that are changed.
    """

    def __init__(self, scale: float = 0.15, shift: float = 0.03, prob: float = 1.0) -> None:
        self.scale = scale
        self.shift = shift
        self.prob = prob

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        generator = np.random.default_rng([results['augmentation_seed'], 1])
        if generator.random() < self.prob:
            factors = generator.uniform(1 - self.scale, 1 + self.scale, 3)
            offsets = generator.uniform(-self.shift, self.shift, 3)
            results['img'] = jitter_stain(results['img'], factors, offsets)
        return results
