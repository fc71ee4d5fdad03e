"""Defines the interface of stain normalizers, and finds a normalizer by its name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mitouts.registry import STAIN_NORMALIZERS

Numbers = Any
"""Measurements of a normalizer: a frozen dataclass of float64 arrays, the class :attr:`StainNormalizer.numbers`."""


class StainNormalizer(ABC):
    """A method of giving an image the colours of a reference.

    It is registered in :data:`mitouts.registry.STAIN_NORMALIZERS`, without arguments, under the name that configs,
    ``--stain``, references and checkpoints use, such as ``macenko``. The image is measured, the reference was measured
    before, and the two measurements determine how the image's colours change.

    Attributes:
        numbers: Class of the measurements.
        shapes: Field of ``numbers`` -> shape of its array; the content of files is checked against it.
    """

    numbers: ClassVar[type]
    shapes: ClassVar[Mapping[str, tuple[int, ...]]]

    @abstractmethod
    def measure(self, image: NDArray[np.uint8]) -> Numbers | None:
        """Measure an image.

        Args:
            image: Array ``(H, W, 3)``, RGB; ``(N, 1, 3)`` for pooled pixels. It must not be changed.

        Returns:
            None if the image cannot be normalized, for example because it shows no tissue.
        """

    @abstractmethod
    def recolour(self, image: NDArray[np.uint8], measured: Numbers, reference: Numbers) -> NDArray[np.uint8]:
        """Give an image ``(H, W, 3)`` the colours of the reference.

        Args:
            image: The image that was measured, or a tile of the slide that was measured.
            measured: Measurements of the image or its slide.
            reference: Measurements of the reference.

        Returns:
            A new array of the same shape.
        """

    def flaw(self, numbers: Numbers) -> str | None:
        """Describe why numbers of the right shape, read from a file, are not a valid measurement; None if they are."""
        return None

    def rounded(self, numbers: Numbers) -> Numbers:
        """Round a reference's numbers to the precision stored in files and checkpoints."""
        return numbers


def known_methods() -> tuple[str, ...]:
    """Return the names of all registered normalizers."""
    return tuple(STAIN_NORMALIZERS.own_components())


def find_normalizer(method: str) -> StainNormalizer:
    """Build the normalizer with a given name.

    Args:
        method: One of :func:`known_methods`.
    """
    normalizer: StainNormalizer = STAIN_NORMALIZERS.build_kind({'type': method}, StainNormalizer)
    return normalizer
