"""Finds the two stains of an image and exchanges them for those of a reference (Macenko et al., ISBI 2009)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.stain.density import is_enough_tissue, is_tissue, map_density, sample_pixels, to_density

ANGULAR_PERCENTILE = 1.0
MAXIMUM_PERCENTILE = 99.0
MIN_ANGLE_DEG = 5.0
MIN_MAXIMUM = 0.1
SAMPLE_PX = 98_304


@dataclass(frozen=True)
class StainFit:
    """The two stains of an image, and how much of each it has.

    Attributes:
        stains: Array ``(2, 3)``: the optical density of haematoxylin, then of eosin, in R, G, B; rows of length 1.
        maxima: Array ``(2,)``: 99th percentile of each one's concentration.
    """

    stains: NDArray[np.float64]
    maxima: NDArray[np.float64]


def fit_macenko(image: NDArray[np.uint8], max_px: int = SAMPLE_PX) -> StainFit | None:
    """Find the stains of an image.

    The stains are the 1st and the 99th percentile of the tissue's angles in the plane of the two leading eigenvectors
    of its optical densities; the concentrations of all pixels are least squares. The one with more red density is
    called haematoxylin. (Io 240, beta 0.15, alpha 1.)

    Args:
        image: Array ``(H, W, 3)``, RGB; ``(N, 1, 3)`` for pooled pixels.
        max_px: The fit looks at no more pixels than this, in a regular stride.

    Returns:
        None where no two stains can be told: fewer than 64 pixels or 2% of tissue, colours on one line, stains less
        than 5 degrees apart, or a maximum below 0.1 (see :func:`is_usable`).
    """
    sample = np.ascontiguousarray(sample_pixels(image, max_px))
    mask = is_tissue(sample)
    if not is_enough_tissue(mask):
        return None
    density = to_density(sample)
    # The plane needs far fewer pixels than the percentiles in it.
    step = max(1, 4 * len(mask) // max_px)
    axes = _find_axes(np.compress(mask[::step], density[:, ::step], axis=1))
    if axes is None:
        return None
    components = axes.astype(np.float32) @ density
    angles = np.arctan2(components[1], components[0])[mask]
    percent = 100 - ANGULAR_PERCENTILE
    ends = np.array([-upper_percentile(-angles, percent), upper_percentile(angles, percent)])
    directions = np.column_stack([np.cos(ends), np.sin(ends)])
    if not _are_apart(directions):
        return None
    # The stains lie in the plane, so least squares need no more than the components in it.
    concentrations = np.linalg.inv(directions.T).astype(np.float32) @ components
    maxima = np.array([upper_percentile(row, MAXIMUM_PERCENTILE) for row in concentrations])
    stains = directions @ axes
    fit = StainFit(stains, maxima) if stains[0, 0] > stains[1, 0] else StainFit(stains[::-1], maxima[::-1])
    return fit if is_usable(fit) else None


def is_usable(fit: StainFit) -> bool:
    """Tell whether a fit can be applied: finite, stains at least 5 degrees apart, both maxima at least 0.1."""
    numbers = np.concatenate([fit.stains.ravel(), fit.maxima])
    return bool(np.isfinite(numbers).all()) and _are_apart(fit.stains) and bool((fit.maxima >= MIN_MAXIMUM).all())


def stain_matrix(source: StainFit, reference: StainFit) -> NDArray[np.float64]:
    """Compute the matrix ``(3, 3)`` that takes optical densities of the source to those of the reference.

    ``S_ref^T diag(max_ref / max_src) pinv(S_src^T)``: concentrations by least squares, scaled, mixed again.
    """
    ratio = reference.maxima / source.maxima
    return reference.stains.T @ (ratio[:, None] * np.linalg.pinv(source.stains.T))


def apply_stain_fit(image: NDArray[np.uint8], source: StainFit, reference: StainFit) -> NDArray[np.uint8]:
    """Replace the source's stains in an image ``(H, W, 3)`` by the reference's; concentrations are not clipped."""
    return map_density(image, stain_matrix(source, reference))


def _find_axes(density: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return the axes ``(2, 3)`` of the plane that fits tissue ``(3, N)``.

    The first axis points along the mean, so that no angle wraps around.
    """
    if density.shape[1] < 2:
        return None
    mean = density.mean(axis=1)
    centred = density - mean[:, None]
    # Nine dot products are three times as fast as one product of such flat matrices.
    covariance = np.array([[one @ other for other in centred] for one in centred], dtype=np.float64)
    leading = np.linalg.eigh(covariance)[1][:, 1:]
    along = mean @ leading
    length = float(np.linalg.norm(along))
    if length < 1e-6:
        return None
    cosine, sine = along / length
    return np.array([[cosine, sine], [-sine, cosine]]) @ leading.T


def _are_apart(directions: NDArray[np.float64]) -> bool:
    return abs(float(directions[0] @ directions[1])) <= np.cos(np.radians(MIN_ANGLE_DEG))


def upper_percentile(values: NDArray[np.float32], percent: float) -> float:
    """Compute ``np.percentile`` faster for a percentage near 100: only the upper end is sorted.

    >>> upper_percentile(np.arange(11, dtype=np.float32), 95.0)
    9.5
    """
    place = percent / 100 * (len(values) - 1)
    low = int(place)
    wanted = len(values) - low
    sparse = np.sort(values[::64])
    # Three times as much of the sample as is wanted of the whole: the threshold is then below the wanted value.
    threshold = sparse[max(0, len(sparse) - 1 - 3 * wanted // 64)]
    end = values[values >= threshold]
    end = np.sort(end if len(end) >= wanted else values)
    below, above = end[-wanted], end[min(len(end) - wanted + 1, len(end) - 1)]
    return float(below + (place - low) * (float(above) - float(below)))
