"""Fits and applies stains with the parts of staintools: non-negative concentrations by sparse coding (spams)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.stain import StainFit, has_tissue, is_usable, sample_pixels
from mitouts.functional.stain.density import MIN_TISSUE_PX

DICTIONARY_ITERATIONS = 1000
FIT_PX = 1_048_576
_SPARSITY = 0.1
_APPLIED_PX = 262_144


def fit_staintools_macenko(image: NDArray[np.uint8]) -> StainFit | None:
    """Fit stains as ``staintools.MacenkoStainExtractor`` does, with maxima of sparse concentrations.

    Args:
        image: Array ``(H, W, 3)``, RGB.

    Returns:
        None under the conditions of :func:`~mitouts.functional.stain.fit_macenko`, or where fewer than 64 pixels are
        darker than staintools' luminosity threshold.
    """
    from staintools.stain_extraction.macenko_stain_extractor import MacenkoStainExtractor

    image = _limited(image)
    if _dark_pixels(image) is None:
        return None
    # staintools writes into the image that it is given.
    return _with_maxima(image, MacenkoStainExtractor.get_stain_matrix(image.copy()))


def fit_vahadane(image: NDArray[np.uint8]) -> StainFit | None:
    """Fit stains by non-negative dictionary learning (Vahadane et al., IEEE Transactions on Medical Imaging 2016).

    This follows ``staintools.VahadaneStainExtractor``, except that staintools learns for one second of wall-clock time,
    so that its result depends on the machine; here the number of iterations is fixed, on one thread, so that results
    are reproducible.

    Args:
        image: Array ``(H, W, 3)``, RGB.

    Returns:
        None as in :func:`fit_staintools_macenko`.
    """
    import spams
    from staintools.miscellaneous.optical_density_conversion import convert_RGB_to_OD

    image = _limited(image)
    mask = _dark_pixels(image)
    if mask is None:
        return None
    density = convert_RGB_to_OD(image.copy()).reshape(-1, 3)[mask.ravel()]
    stains = spams.trainDL(
        X=np.asfortranarray(density.T),
        K=2,
        lambda1=_SPARSITY,
        mode=2,
        modeD=0,
        posAlpha=True,
        posD=True,
        verbose=False,
        iter=DICTIONARY_ITERATIONS,
        numThreads=1,
    ).T
    lengths = np.linalg.norm(stains, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        return None
    stains = stains / lengths
    return _with_maxima(image, stains if stains[0, 0] >= stains[1, 0] else stains[::-1])


def apply_staintools(image: NDArray[np.uint8], source: StainFit, reference: StainFit) -> NDArray[np.uint8]:
    """Unmix an image ``(H, W, 3)`` into sparse concentrations, scale them and mix the reference's stains."""
    out = np.empty_like(image)
    # Pixels are independent, and a block at a time bounds the memory of their float64 densities.
    rows = max(1, _APPLIED_PX // image.shape[1])
    for top in range(0, len(image), rows):
        strip = image[top : top + rows]
        concentrations = _concentrations(strip, source.stains) * (reference.maxima / source.maxima)
        out[top : top + rows] = (255 * np.exp(-concentrations @ reference.stains)).reshape(strip.shape)
    return out


def _limited(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image, or a regular sample of a million pixels: sparse coding of a whole slide takes gigabytes."""
    return image if image.shape[0] * image.shape[1] <= FIT_PX else np.ascontiguousarray(sample_pixels(image, FIT_PX))


def _dark_pixels(image: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    from staintools.miscellaneous.exceptions import TissueMaskException
    from staintools.tissue_masks.luminosity_threshold_tissue_locator import LuminosityThresholdTissueLocator

    if not has_tissue(image) or (image == image[0, 0]).all():
        return None
    try:
        mask = LuminosityThresholdTissueLocator.get_tissue_mask(image)
    except TissueMaskException:
        return None
    return mask if mask.sum() >= MIN_TISSUE_PX else None


def _with_maxima(image: NDArray[np.uint8], stains: NDArray) -> StainFit | None:
    candidate = StainFit(np.asarray(stains, dtype=np.float64), np.ones(2))
    if not is_usable(candidate):
        return None
    maxima = np.percentile(_concentrations(image, candidate.stains), 99, axis=0)
    fit = StainFit(candidate.stains, maxima)
    return fit if is_usable(fit) else None


def _concentrations(image: NDArray[np.uint8], stains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute concentrations as staintools' ``get_concentrations`` does, but on one thread.

    More threads would compete with those of other workers.
    """
    import spams
    from staintools.miscellaneous.optical_density_conversion import convert_RGB_to_OD

    density = convert_RGB_to_OD(image.copy()).reshape(-1, 3)
    matrix = np.asfortranarray(stains.T)
    return spams.lasso(X=density.T, D=matrix, mode=2, lambda1=0.01, pos=True, numThreads=1).toarray().T
