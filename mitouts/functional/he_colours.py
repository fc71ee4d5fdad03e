"""Tells whether an image can be a haematoxylin-eosin stain in transmitted light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.stain.density import sample_pixels

_SAMPLED_PX = 160_000
_DARK = 50
_BRIGHT = 150
_MOSTLY = 0.5
_HARDLY = 0.05
_STAINED_DENSITY = 0.15
_MIN_STAINED = 0.02
_MIN_PX = 64
# Of the sum of the three densities. Haematoxylin and eosin absorb green most: in 600 crops and 60 fields of several
# scanners at least 0.18 above red and 0.13 above blue. Greys have 0, and brown or blue stains less.
_GREEN_ABOVE = 0.03


def colour_doubt(image: NDArray[np.uint8]) -> str | None:
    """Return the reason why an image cannot be H&E; None if it can be, or if there is too little in it to tell.

    Args:
        image: A field or a slide's thumbnail, RGB uint8 ``(H, W, 3)``.

    Returns:
        A sentence that begins with ``its background is dark`` for fluorescence, and with ``its colours`` for grey
        images and other stains.
    """
    pixels = sample_pixels(image, _SAMPLED_PX).reshape(-1, 3)
    lightest, darkest = pixels.max(axis=1), pixels.min(axis=1)
    bright = float((darkest > _BRIGHT).mean())
    if float((lightest < _DARK).mean()) > _MOSTLY and bright < _HARDLY:
        return 'its background is dark, as of fluorescence: a model of H&E finds nothing in it that means anything'
    density = -np.log10((pixels[lightest >= _DARK].astype(np.float64) + 1) / 256)
    stained = density[density.max(axis=1) > _STAINED_DENSITY]
    if len(stained) < max(_MIN_PX, _MIN_STAINED * len(pixels)):
        return None
    red, green, blue = stained.mean(axis=0)
    if green - max(red, blue) >= _GREEN_ABOVE * (red + green + blue):
        return None
    return (
        'its colours are not those of H&E, which absorbs green more than red and blue (mean optical densities here: '
        f'{red:.2f}, {green:.2f} and {blue:.2f} in R, G and B): what a model of H&E finds in it may mean nothing'
    )
