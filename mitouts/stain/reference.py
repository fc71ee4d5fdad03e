"""Reads and measures the colours that images are normalized to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ConfigError, ImageError
from mitouts.functional.stain import sample_pixels
from mitouts.imaging.image import read_rgb
from mitouts.stain.base import Numbers, find_normalizer, known_methods
from mitouts.stain.fit import Fit, read_object

DEFAULT_REFERENCE = Path(__file__).with_name('default_reference.json')
MAX_PX = 4_194_304

ReferenceLike = str | os.PathLike[str] | Mapping[str, Any] | None


@dataclass(frozen=True)
class Reference:
    """Measurements of a reference, and their origin.

    Attributes:
        fit: One part for each method that was fitted.
        source: Note on the images they were computed from; text, or an object with the text under ``note``.
    """

    fit: Fit
    source: Any

    def part(self, method: str) -> Numbers:
        """Return the measurements of one method.

        Raises:
            ConfigError: The reference lacks it.
        """
        if method not in self.fit.parts:
            raise ConfigError(
                f'the stain reference ({_note(self.source)}) has no numbers for {method}, only for '
                f'{", ".join(self.fit.parts)}; make one with mitouts stain-reference'
            )
        return self.fit.parts[method]

    def to_dict(self, methods: Sequence[str] | None = None) -> dict[str, Any]:
        """Return plain numbers, for all methods or some: ``{"source": ..., "macenko": {...}, ...}``."""
        kept = self.fit.parts if methods is None else {method: self.part(method) for method in methods}
        return {'source': self.source, **Fit(kept).to_dict()}


def load_reference(reference: ReferenceLike, methods: Sequence[str]) -> Reference:
    """Load the reference of a normalizer.

    Args:
        reference: A JSON file made by ``mitouts stain-reference`` or by :meth:`Fit.save`, an image file, the
            content of such a JSON file, or None for the reference that comes with the package.
        methods: Methods that are needed; an image is fitted by these alone.

    Raises:
        ConfigError: No such file, or one that lacks a method or cannot be fitted.
    """
    if reference is None:
        reference = DEFAULT_REFERENCE
    if isinstance(reference, Mapping):
        loaded = Reference(Fit.from_dict(reference, 'stain reference'), reference.get('source', 'given as numbers'))
    elif not isinstance(reference, (str, os.PathLike)):
        raise ConfigError(f'a stain reference is a file, a dict or None, found {reference!r:.80}')
    elif Path(reference).suffix.lower() == '.json':
        data = read_object(reference)
        loaded = Reference(Fit.from_dict(data, str(reference)), data.get('source', Path(reference).name))
    else:
        try:
            image = read_rgb(Path(reference))
        except ImageError as error:
            raise ConfigError(
                f'stain reference: {error} (mitouts stain-reference makes a reference of a slide)'
            ) from error
        loaded = fit_reference(image, Path(reference).name, methods)
    for method in methods:
        loaded.part(method)
    return loaded


def fit_reference(image: NDArray[np.uint8], source: Any, methods: Sequence[str] | None = None) -> Reference:
    """Measure a reference image, or a regular sample of 4 million of its pixels.

    Args:
        image: Array ``(H, W, 3)``, RGB; ``(N, 1, 3)`` for pooled pixels.
        source: Note on the origin of the image.
        methods: Names of stain normalizers; None for all that are registered.

    Raises:
        ConfigError: A method cannot be fitted to it.
    """
    parts: dict[str, Numbers] = {}
    if image.shape[0] * image.shape[1] > MAX_PX:
        image = sample_pixels(image, MAX_PX)
    for method in known_methods() if methods is None else methods:
        normalizer = find_normalizer(method)
        numbers = normalizer.measure(image)
        if numbers is None:
            raise ConfigError(
                f'{_note(source)}: {method} cannot be fitted, so it cannot be a reference: expected at least 64 '
                'pixels and 2% of stained tissue in two stains; choose a well-stained field'
            )
        parts[method] = normalizer.rounded(numbers)
    return Reference(Fit(parts), source)


def _note(source: Any) -> str:
    return str(source.get('note', source) if isinstance(source, Mapping) else source)
