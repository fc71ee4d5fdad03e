"""Matches histograms of colours at random."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from mitouts.errors import ConfigError
from mitouts.registry import TRANSFORMS
from mitouts.stain import NormalizerChain
from mitouts.stain.reference import ReferenceLike
from mitouts.transforms.base import Transform
from mitouts.transforms.stain_references import check_share, list_references


@TRANSFORMS.register_module()
class MatchHistogram(Transform):
    """Match the grey levels of R, G and B to those of a reference, or of an image drawn from a folder.

    An image that cannot be matched stays as it is. (As a normalization, the same is
    ``StainNormalize(method='histogram')``.)

    Args:
        reference_folder: Folder of reference images.
        reference: Instead of a folder: a JSON file, an image file, numbers as a dict, or None for the reference that
            comes with the package.
        prob: Share of images that are changed.

    Raises:
        ConfigError: Both a folder and a reference, none that can be used, or a number out of its range.
    """

    def __init__(
        self,
        reference_folder: str | os.PathLike[str] | None = None,
        reference: ReferenceLike = None,
        prob: float = 1.0,
    ) -> None:
        if reference_folder is not None and reference is not None:
            raise ConfigError('MatchHistogram takes a reference_folder or a reference, not both')
        self.prob = check_share('MatchHistogram.prob', prob)
        self.references: list[Path] = []
        self.normalizer: NormalizerChain | None = None
        if reference_folder is None:
            self.normalizer = NormalizerChain(['histogram'], reference)
        else:
            self.references = list_references('MatchHistogram.reference_folder', reference_folder)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        generator = self.generator(results)
        if generator.random() < self.prob:
            normalizer = self.normalizer or _read(self.references[generator.integers(len(self.references))])
            results['img'] = normalizer.normalize(results['img'])[0]
        return results


@lru_cache(maxsize=256)
def _read(path: Path) -> NormalizerChain:
    return NormalizerChain(['histogram'], path)
