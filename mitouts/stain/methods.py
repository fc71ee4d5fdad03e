"""Registers the package's stain normalizers, thin classes over :mod:`mitouts.functional.stain` and staintools."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mitouts.functional import stain
from mitouts.functional.stain import ChannelQuantiles, LabMoments, StainFit
from mitouts.functional.stain.reinhard import MIN_STD
from mitouts.registry import STAIN_NORMALIZERS
from mitouts.stain import staintools_backend
from mitouts.stain.base import StainNormalizer


@STAIN_NORMALIZERS.register_module(name='macenko')
class Macenko(StainNormalizer):
    """Stains and maxima by Macenko et al. 2009, one 3 x 3 matrix in optical density: the default, and the fastest."""

    numbers = StainFit
    shapes = {'stains': (2, 3), 'maxima': (2,)}

    def measure(self, image: NDArray[np.uint8]) -> StainFit | None:
        return stain.fit_macenko(image)

    def recolour(self, image: NDArray[np.uint8], measured: StainFit, reference: StainFit) -> NDArray[np.uint8]:
        return stain.apply_stain_fit(image, measured, reference)

    def flaw(self, numbers: StainFit) -> str | None:
        lengths = np.linalg.norm(numbers.stains, axis=1)
        if not np.allclose(lengths, 1, atol=1e-3):
            return f'the rows of stains must have length 1, found {lengths.round(4).tolist()}'
        if not stain.is_usable(numbers):
            return 'two stains at least 5 degrees apart with maxima of at least 0.1 are expected'
        return None


@STAIN_NORMALIZERS.register_module(name='reinhard')
class Reinhard(StainNormalizer):
    """Mean and standard deviation in Lab over the whole image (Reinhard et al. 2001)."""

    numbers = LabMoments
    shapes = {'mean': (3,), 'std': (3,)}

    def measure(self, image: NDArray[np.uint8]) -> LabMoments | None:
        return stain.fit_reinhard(image)

    def recolour(self, image: NDArray[np.uint8], measured: LabMoments, reference: LabMoments) -> NDArray[np.uint8]:
        return stain.apply_reinhard(image, measured, reference)

    def flaw(self, numbers: LabMoments) -> str | None:
        if (numbers.std < MIN_STD).any():
            return f'each std must be at least {MIN_STD}, found {numbers.std.tolist()}'
        return None


@STAIN_NORMALIZERS.register_module(name='histogram')
class Histogram(StainNormalizer):
    """Distributions of the levels of R, G and B."""

    numbers = ChannelQuantiles
    shapes = {'quantiles': (3, 256)}

    def measure(self, image: NDArray[np.uint8]) -> ChannelQuantiles | None:
        return stain.fit_histogram(image)

    def recolour(
        self, image: NDArray[np.uint8], measured: ChannelQuantiles, reference: ChannelQuantiles
    ) -> NDArray[np.uint8]:
        return stain.apply_histogram(image, measured, reference)

    def flaw(self, numbers: ChannelQuantiles) -> str | None:
        if (np.diff(numbers.quantiles, prepend=0.0) < 0).any() or not np.allclose(numbers.quantiles[:, -1], 1):
            return 'quantiles must rise from at least 0 to 1 in each of the three rows'
        return None

    def rounded(self, numbers: ChannelQuantiles) -> ChannelQuantiles:
        """Quantiles with 7 digits: 768 numbers travel with every data set and checkpoint."""
        return ChannelQuantiles(numbers.quantiles.round(7))


@STAIN_NORMALIZERS.register_module(name='vahadane')
class Vahadane(Macenko):
    """Stains by dictionary learning (Vahadane et al. 2016), sparse, non-negative concentrations; slow."""

    def measure(self, image: NDArray[np.uint8]) -> StainFit | None:
        return staintools_backend.fit_vahadane(image)

    def recolour(self, image: NDArray[np.uint8], measured: StainFit, reference: StainFit) -> NDArray[np.uint8]:
        return staintools_backend.apply_staintools(image, measured, reference)


@STAIN_NORMALIZERS.register_module(name='staintools_macenko')
class StaintoolsMacenko(Vahadane):
    """Macenko's stains with staintools' sparse, non-negative concentrations; slow."""

    def measure(self, image: NDArray[np.uint8]) -> StainFit | None:
        return staintools_backend.fit_staintools_macenko(image)
