"""Measures an image or a slide once and gives it the colours of a reference, by one or several stain normalizers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ConfigError, ImageError
from mitouts.functional.stain import sample_pixels
from mitouts.stain.base import Numbers, find_normalizer, known_methods
from mitouts.stain.fit import Fit
from mitouts.stain.reference import ReferenceLike, load_reference

POOLED_PX_PER_TILE = 16_384
MAX_POOLED_PX = 4_194_304


class NormalizerChain:
    """Stain normalizers that are applied one after the other, each to the result of the one before; usually just one.

    An image that any of them cannot measure stays unchanged.

    Args:
        methods: Names of registered :class:`~mitouts.stain.base.StainNormalizer`.
        reference: A JSON file of ``mitouts stain-reference``, an image file, such numbers as a dict, or None for
            the reference that comes with the package.

    Raises:
        ConfigError: An unknown method, or a reference that cannot be used for it.
    """

    def __init__(self, methods: Sequence[str], reference: ReferenceLike = None) -> None:
        if not methods or not all(method in known_methods() for method in methods):
            raise ConfigError(
                f'the stain normalizer must be one of none, {", ".join(known_methods())}, or a chain of them such as '
                f'histogram+macenko; found {"+".join(map(str, methods))!r}'
            )
        self.methods = tuple(methods)
        self._steps = [(method, find_normalizer(method)) for method in methods]
        self.reference = load_reference(reference, self.methods)

    @property
    def name(self) -> str:
        """Names of the methods joined by ``+``, as :func:`~mitouts.stain.build_normalizer` takes them."""
        return '+'.join(self.methods)

    def fit(self, image: NDArray[np.uint8]) -> Fit | None:
        """Measure an image, a slide's thumbnail or pooled pixels.

        Args:
            image: Array ``(H, W, 3)``, RGB uint8; ``(N, 1, 3)`` for pooled pixels.

        Returns:
            None if it cannot be normalized: the conditions are those of the methods in
            :mod:`mitouts.functional.stain`.

        Raises:
            ImageError: The array is no RGB uint8 image.
        """
        _check_image(image)
        return self._fit_and_apply(image)[0]

    def fit_tiles(self, tiles: Iterable[NDArray[np.uint8]]) -> Fit | None:
        """Measure a slide by its tiles.

        A regular sample of at most 16,384 pixels of each is pooled; it is thinned out whenever it exceeds 4 million
        pixels, so that memory does not grow with the slide.

        Args:
            tiles: Arrays ``(H, W, 3)``; they are taken one at a time.

        Returns:
            As for :meth:`fit`; None also if there is no tile.
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
        """Normalize an image ``(H, W, 3)`` with the measurements of the image or of its slide.

        Raises:
            ImageError: The array is no RGB uint8 image.
            ConfigError: The fit is one of another method.
        """
        _check_image(image)
        self.check_fit(fit)
        for method, step in self._steps:
            image = step.recolour(image, fit.parts[method], self.reference.part(method))
        return image

    def check_fit(self, fit: Fit) -> None:
        """Check that a fit belongs to this normalizer.

        Raises:
            ConfigError: It is one of another method.
        """
        missing = [method for method in self.methods if method not in fit.parts]
        if missing:
            raise ConfigError(f'{self.name}: the fit lacks {", ".join(missing)}; it has {", ".join(fit.parts)}')

    def normalize(self, image: NDArray[np.uint8], fit: Fit | None = None) -> tuple[NDArray[np.uint8], bool]:
        """Normalize an image with a given fit, or with its own.

        Returns:
            The normalized image and True; or the unchanged image and False if it has no fit.
        """
        if fit is not None:
            return self.apply(image, fit), True
        _check_image(image)
        own, normalized = self._fit_and_apply(image)
        return (image, False) if own is None else (normalized, True)

    def describe(self) -> dict[str, Any]:
        """Return the description from which the normalizer can be rebuilt.

        It is ``{"method": name, "reference": {"source": ..., method: {...}}}``.
        """
        return {'method': self.name, 'reference': self.reference.to_dict(self.methods)}

    def _fit_and_apply(self, image: NDArray[np.uint8]) -> tuple[Fit | None, NDArray[np.uint8]]:
        parts: dict[str, Numbers] = {}
        for method, step in self._steps:
            numbers = step.measure(image)
            if numbers is None:
                return None, image
            parts[method] = numbers
            image = step.recolour(image, numbers, self.reference.part(method))
        return Fit(parts), image


def build_normalizer(name: str, reference: ReferenceLike = None) -> NormalizerChain | None:
    """Build a normalizer from its name.

    Args:
        name: ``none``, the name of a registered :class:`~mitouts.stain.base.StainNormalizer`, or several joined by
            ``+``, such as ``histogram+macenko`` (the authors' code of the UTS paper).
        reference: As in :class:`NormalizerChain`.

    Returns:
        None for ``none``.

    Raises:
        ConfigError: An unknown name, or a reference that cannot be used.
    """
    return None if name == 'none' else NormalizerChain(str(name).split('+'), reference)


def from_description(description: Mapping[str, Any] | None) -> NormalizerChain | None:
    """Build a normalizer from the result of :meth:`NormalizerChain.describe`; None for None.

    Keys other than ``method`` and ``reference`` are ignored.

    Raises:
        ConfigError: It is not such a description.
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
