"""Haematoxylin and eosin in optical-density space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

HED_RUIFROK = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical densities of haematoxylin, eosin and DAB in R, G, B (Ruifrok and Johnston 2001), one stain a row."""

_OD_OF_GREY = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)


def jitter_stain(
    image: NDArray[np.uint8], factors: ArrayLike, offsets: ArrayLike, stains: NDArray = HED_RUIFROK
) -> NDArray[np.uint8]:
    """Change the concentration ``c`` of each stain to ``factor c + offset`` by one 3 x 3 matrix in OD space.

    Args:
        image: Array ``(H, W, 3)``, RGB.
        factors: One a stain.
        offsets: One a stain, in optical density.
        stains: Array ``(3, 3)``, one stain a row; rows are normalized here.

    Returns:
        Array ``(H, W, 3)``; grey levels are cut at 0 and 255.
    """
    unit = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    matrix = (np.linalg.inv(unit) @ np.diag(np.asarray(factors, dtype=np.float64)) @ unit).astype(np.float32)
    bias = (np.asarray(offsets, dtype=np.float64) @ unit).astype(np.float32)
    density = _OD_OF_GREY[image].reshape(-1, 3) @ matrix + bias
    return np.minimum(np.rint(255 * np.exp(-density)), 255).astype(np.uint8).reshape(image.shape)
