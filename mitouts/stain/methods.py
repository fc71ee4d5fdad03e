"""The methods by name: how each one measures an image, and how it applies two measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.functional import stain
from mitouts.functional.stain import ChannelQuantiles, LabMoments, StainFit
from mitouts.stain import staintools_backend

Numbers = StainFit | LabMoments | ChannelQuantiles


@dataclass(frozen=True)
class Method:
    """One way to normalize.

    Attributes:
        numbers: Class of its measurements.
        fit: From an image to its measurements; None where it has none.
        apply: From an image, its measurements and the reference's to the normalized image.
    """

    numbers: type[Numbers]
    fit: Callable[[NDArray[np.uint8]], Numbers | None]
    apply: Callable[[NDArray[np.uint8], Any, Any], NDArray[np.uint8]]


METHODS = {
    'macenko': Method(StainFit, stain.fit_macenko, stain.apply_stain_fit),
    'reinhard': Method(LabMoments, stain.fit_reinhard, stain.apply_reinhard),
    'histogram': Method(ChannelQuantiles, stain.fit_histogram, stain.apply_histogram),
    'vahadane': Method(StainFit, staintools_backend.fit_vahadane, staintools_backend.apply_staintools),
    'staintools_macenko': Method(
        StainFit, staintools_backend.fit_staintools_macenko, staintools_backend.apply_staintools
    ),
}
