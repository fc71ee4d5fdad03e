"""Transfers the low frequencies, and with them the style, of other slides to images."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ConfigError
from mitouts.functional.stain import low_frequencies, swap_amplitude
from mitouts.imaging.image import read_rgb
from mitouts.registry import TRANSFORMS
from mitouts.transforms.base import Transform
from mitouts.transforms.stain_references import check_share, list_references


@TRANSFORMS.register_module()
class FourierSwap(Transform):
    """Swap low-frequency amplitudes with an image drawn from a folder (FDA; Yang and Soatto, CVPR 2020).

    An image with too little tissue stays as it is. References should show fields as large as the images do.

    Args:
        reference_folder: Folder of reference images, of any size.
        beta: Share of the shorter side that gives the highest swapped frequency; 0 swaps mean colours alone, 0.01
            changes the tone, and from about 0.05 on the reference's structures show as coloured clouds.
        prob: Share of images that are changed.

    Raises:
        ConfigError: No reference, or a number out of its range.
    """

    def __init__(self, reference_folder: str | os.PathLike[str], beta: float = 0.01, prob: float = 1.0) -> None:
        self.references = list_references('FourierSwap.reference_folder', reference_folder)
        self.beta = check_share('FourierSwap.beta', beta)
        if beta >= 0.5:
            raise ConfigError(f'FourierSwap.beta must be below 0.5 (all frequencies), found {beta!r}')
        self.prob = check_share('FourierSwap.prob', prob)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        generator = self.generator(results)
        if generator.random() < self.prob:
            image = results['img']
            radius = int(self.beta * min(image.shape[:2]))
            path = self.references[generator.integers(len(self.references))]
            swapped = swap_amplitude(image, _read_frequencies(path, radius), radius)
            results['img'] = image if swapped is None else swapped
        return results


@lru_cache(maxsize=256)
def _read_frequencies(path: Path, radius: int) -> NDArray[np.complex64]:
    image = read_rgb(path)
    if min(image.shape[:2]) <= 2 * radius:
        raise ConfigError(
            f'FourierSwap: the reference {path} is {image.shape[1]} x {image.shape[0]} px, too small for {radius} '
            'cycles an image side: take a larger one or a smaller beta'
        )
    return low_frequencies(image, radius)
