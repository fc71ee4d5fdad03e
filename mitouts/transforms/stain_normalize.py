"""Normalizes the stain of images in a pipeline."""

from __future__ import annotations

import os
from typing import Any

from mitouts.errors import ConfigError
from mitouts.registry import TRANSFORMS
from mitouts.stain import Fit, build_normalizer
from mitouts.stain.reference import ReferenceLike
from mitouts.transforms.base import Transform


@TRANSFORMS.register_module()
class StainNormalize(Transform):
    """Give each image the colours of a reference.

    An image that cannot be normalized stays unchanged; ``results['stain_normalized']`` tells which were, and
    ``unchanged`` of ``seen`` counts them (in each worker of a data loader for itself).

    Args:
        method: ``macenko``, ``reinhard``, ``vahadane``, ``histogram``, ``staintools_macenko``, or a chain such as
            ``histogram+macenko``.
        reference: A JSON file of ``mitouts stain-reference``, an image file, such numbers as a dict, or None for
            the reference that comes with the package.
        fit: ``image`` to measure each image, or the JSON file of a saved fit (one slide's) that serves for all.

    Raises:
        ConfigError: An unknown method, or a reference or fit that cannot be used.
    """

    def __init__(
        self, method: str = 'macenko', reference: ReferenceLike = None, fit: str | os.PathLike[str] = 'image'
    ) -> None:
        normalizer = build_normalizer(method, reference)
        if normalizer is None:
            raise ConfigError('StainNormalize.method is none: leave the step out of the pipeline instead')
        self.normalizer = normalizer
        self.fit = None if fit == 'image' else Fit.load(fit)
        if self.fit is not None:
            self.normalizer.check_fit(self.fit)
        self.seen = 0
        self.unchanged = 0

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        results['img'], done = self.normalizer.normalize(results['img'], self.fit)
        results['stain_normalized'] = done
        self.seen += 1
        self.unchanged += not done
        return results
