"""Normalizers: they measure an image or a slide once and give it the colours of a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ConfigError, ImageError
from mitouts.functional.stain import sample_pixels
from mitouts.registry import STAIN_NORMALIZERS
from mitouts.stain.fit import Fit
from mitouts.stain.methods import METHODS, Numbers
from mitouts.stain.reference import ReferenceLike, load_reference

POOLED_PX_PER_TILE = 16_384
MAX_POOLED_PX = 4_194_304


class Normalizer:
    """Methods applied one after the other, each to what the one before has made.

    Args:
        methods: Keys of :data:`~mitouts.stain.methods.METHODS`.
        reference: A JSON file of ``tools/fit_stain_reference.py``, an image file, such numbers as a dict, or None for
            the reference that comes with the package.

    Raises:
        ConfigError: An unknown method, or a reference that cannot be used for it.
    """

    def __init__(self, methods: Sequence[str], reference: ReferenceLike = None) -> None:
        unknown = [method for method in methods if method not in METHODS]
        if unknown or not methods:
            found = ', '.join(map(repr, unknown)) or 'none'
            raise ConfigError(f'stain methods must be one or more of {", ".join(METHODS)}, found {found}')
        self.methods = tuple(methods)
        self.reference = load_reference(reference, self.methods)

    @property
    def name(self) -> str:
        """Its methods joined by ``+``; :func:`~mitouts.stain.build_normalizer` knows it by this."""
        return '+'.join(self.methods)

    def fit(self, image: NDArray[np.uint8]) -> Fit | None:
        """Measure an image, a slide's thumbnail or pooled pixels.

        Args:
            image: Array ``(H, W, 3)``, RGB uint8; ``(N, 1, 3)`` for pooled pixels.

        Returns:
            None where it cannot be normalized: the conditions are those of the methods in
            :mod:`mitouts.functional.stain`.

        Raises:
            ImageError: The array is no RGB uint8 image.
        """
        _check_image(image)
        return self._fit_and_apply(image)[0]

    def fit_tiles(self, tiles: Iterable[NDArray[np.uint8]]) -> Fit | None:
        """Measure a slide on tiles of it.

        A regular sample of at most 16,384 pixels of each is pooled; it is thinned out whenever it passes 4 million, so
        memory does not grow with the slide.

        Args:
            tiles: Arrays ``(H, W, 3)``; they are taken one at a time.

        Returns:
            As :meth:`fit`; None also where there is no tile.
        """
        pooled: list[NDArray[np.uint8]] = []
        px_per_tile = POOLED_PX_PER_TILE
        for tile in tiles:
            _check_image(tile)
            # A copy, because a view would keep the whole tile.
            pooled.append(sample_pixels(tile, px_per_tile).reshape(-1, 3).copy())
            if sum(map(len, pooled)) > MAX_POOLED_PX:
                pooled = [pixels[::2].copy() for pixels in pooled]
                px_per_tile = max(1, px_per_tile // 2)
        return self.fit(np.concatenate(pooled)[:, None]) if pooled else None

    def apply(self, image: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
        """Normalize an image ``(H, W, 3)`` with what was measured on it or on its slide.

        Raises:
            ImageError: The array is no RGB uint8 image.
            ConfigError: The fit is one of another method.
        """
        _check_image(image)
        self.check_fit(fit)
        for method in self.methods:
            image = METHODS[method].apply(image, fit.parts[method], self.reference.part(method))
        return image

    def check_fit(self, fit: Fit) -> None:
        """Check that a fit is one of this normalizer's.

        Raises:
            ConfigError: It is one of another method.
        """
        missing = [method for method in self.methods if method not in fit.parts]
        if missing:
            raise ConfigError(f'{self.name}: the fit lacks {", ".join(missing)}; it has {", ".join(fit.parts)}')

    def normalize(self, image: NDArray[np.uint8], fit: Fit | None = None) -> tuple[NDArray[np.uint8], bool]:
        """Normalize an image with a given fit, or with its own.

        Returns:
            The normalized image and True; the image itself, unchanged, and False where it has no fit.
        """
        if fit is not None:
            return self.apply(image, fit), True
        _check_image(image)
        own, normalized = self._fit_and_apply(image)
        return (image, False) if own is None else (normalized, True)

    def describe(self) -> dict[str, Any]:
        """All that it takes to build it again: ``{"method": name, "reference": {"source": ..., method: {...}}}``."""
        return {'method': self.name, 'reference': self.reference.to_dict(self.methods)}

    def _fit_and_apply(self, image: NDArray[np.uint8]) -> tuple[Fit | None, NDArray[np.uint8]]:
        parts: dict[str, Numbers] = {}
        for method in self.methods:
            numbers = METHODS[method].fit(image)
            if numbers is None:
                return None, image
            parts[method] = numbers
            image = METHODS[method].apply(image, numbers, self.reference.part(method))
        return Fit(parts), image


@STAIN_NORMALIZERS.register_module()
class MacenkoNormalizer(Normalizer):
    """Stains and maxima by Macenko et al. 2009, one 3 x 3 matrix in optical density: the default, and the fastest."""

    def __init__(self, reference: ReferenceLike = None) -> None:
        super().__init__(['macenko'], reference)


@STAIN_NORMALIZERS.register_module()
class ReinhardNormalizer(Normalizer):
    """Mean and standard deviation in Lab over the whole image (Reinhard et al. 2001)."""

    def __init__(self, reference: ReferenceLike = None) -> None:
        super().__init__(['reinhard'], reference)


@STAIN_NORMALIZERS.register_module()
class HistogramNormalizer(Normalizer):
    """Grey-level distributions of R, G and B."""

    def __init__(self, reference: ReferenceLike = None) -> None:
        super().__init__(['histogram'], reference)


@STAIN_NORMALIZERS.register_module()
class StaintoolsNormalizer(Normalizer):
    """Macenko's or Vahadane's stains with staintools' sparse, non-negative concentrations; slow.

    Args:
        method: ``macenko`` or ``vahadane``.
        reference: As in :class:`Normalizer`.

    Raises:
        ConfigError: Another method.
    """

    def __init__(self, method: str = 'vahadane', reference: ReferenceLike = None) -> None:
        names = {'macenko': 'staintools_macenko', 'vahadane': 'vahadane'}
        if method not in names:
            raise ConfigError(f'StaintoolsNormalizer.method must be one of {", ".join(names)}, found {method!r}')
        super().__init__([names[method]], reference)


@STAIN_NORMALIZERS.register_module()
class NormalizerChain(Normalizer):
    """One method after the other; the default is what the authors' code of the UTS paper does.

    An image that one of them cannot fit stays as it was before the first.
    """

    def __init__(self, methods: Sequence[str] = ('histogram', 'macenko'), reference: ReferenceLike = None) -> None:
        super().__init__(methods, reference)


def build_normalizer(name: str, reference: ReferenceLike = None) -> Normalizer | None:
    """Build a normalizer from its name.

    Args:
        name: ``none``, a key of :data:`~mitouts.stain.methods.METHODS` or several joined by ``+``, such as
            ``histogram+macenko``.
        reference: As in :class:`Normalizer`.

    Returns:
        None for ``none``.

    Raises:
        ConfigError: An unknown name, or a reference that cannot be used.
    """
    if name == 'none':
        return None
    methods = str(name).split('+')
    if not all(method in METHODS for method in methods):
        raise ConfigError(
            f'the stain normalizer must be one of none, {", ".join(METHODS)}, or a chain of them such as '
            f'histogram+macenko; found {name!r}'
        )
    return Normalizer(methods, reference)


def from_description(description: Mapping[str, Any] | None) -> Normalizer | None:
    """Build the normalizer that :meth:`Normalizer.describe` described; None for None.

    Keys other than ``method`` and ``reference`` are passed over.

    Raises:
        ConfigError: It is no such description.
    """
    if description is None:
        return None
    if not isinstance(description, Mapping) or not isinstance(description.get('reference'), Mapping):
        raise ConfigError(
            f'a stain description needs "method" and "reference" (the numbers), found {description!r:.120}'
        )
    return build_normalizer(str(description.get('method')), description['reference'])


def _check_image(image: Any) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(f'stain normalization expects an RGB uint8 array (H, W, 3), found {found}')
    if not image.size:
        raise ImageError(f'stain normalization expects at least one pixel, found an array of shape {image.shape}')
