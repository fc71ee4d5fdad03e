"""Defines what a stain normalizer does, and finds one by its name."""

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
    """One way to give an image the colours of a reference.

    Registered in :data:`mitouts.registry.STAIN_NORMALIZERS`, without arguments, under the name by which configs,
    ``--stain``, references and checkpoints call it, such as ``macenko``. An image is measured, a reference was measured
    before, and the two measurements say how the image's colours change.

    Attributes:
        numbers: Class of the measurements.
        shapes: Field of ``numbers`` -> shape of its array; what a file holds is checked against it.
    """

    numbers: ClassVar[type]
    shapes: ClassVar[Mapping[str, tuple[int, ...]]]

    @abstractmethod
    def measure(self, image: NDArray[np.uint8]) -> Numbers | None:
        """Measure an image.

        Args:
            image: Array ``(H, W, 3)``, RGB; ``(N, 1, 3)`` for pooled pixels. It must not be changed.

        Returns:
            None where the image cannot be normalized, such as one without tissue.
        """

    @abstractmethod
    def recolour(self, image: NDArray[np.uint8], measured: Numbers, reference: Numbers) -> NDArray[np.uint8]:
        """Give an image ``(H, W, 3)`` the colours of the reference.

        Args:
            image: It need not be the one that was measured: it may be a tile of that slide.
            measured: Of the image or its slide.
            reference: Of the reference.

        Returns:
            A new array of the same shape.
        """

    def flaw(self, numbers: Numbers) -> str | None:
        """Say why numbers read from a file, of the right shape, are no measurement; None where they are one."""
        return None

    def rounded(self, numbers: Numbers) -> Numbers:
        """Round a reference's numbers as files and checkpoints keep them."""
        return numbers


def known_methods() -> tuple[str, ...]:
    """The names of all registered normalizers."""
    return tuple(STAIN_NORMALIZERS.own_components())


def find_normalizer(method: str) -> StainNormalizer:
    """Build the normalizer of a name.

    Args:
        method: One of :func:`known_methods`.
    """
    normalizer: StainNormalizer = STAIN_NORMALIZERS.build_kind({'type': method}, StainNormalizer)
    return normalizer
