"""Chooses the threshold for counting on slides, where figures are far rarer than among validation images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mitouts.functional.thresholds import select_threshold
from mitouts.structures import EvaluatedImage
from mitouts.utils.defaults import FIGURES_PER_MM2


class SlideThreshold(NamedTuple):
    """The threshold for slides, and the reason for its value."""

    value: float
    reason: str

    def to_dict(self) -> dict[str, float | str]:
        """Return the entries that a checkpoint's calibration stores."""
        return {'slide_threshold': self.value, 'slide_threshold_reason': self.reason}


def positive_share(figures_per_mm2: float, area_mm2: float) -> float:
    """Return the share of images with a figure if figures lie independently of each other: ``1 - exp(-rate * area)``.

    Args:
        figures_per_mm2: Rate, above 0.
        area_mm2: Area of an image, above 0.
    """
    return -math.expm1(-figures_per_mm2 * area_mm2)


def choose_slide_threshold(
    records: Sequence[EvaluatedImage], figures_per_mm2: float = FIGURES_PER_MM2
) -> SlideThreshold | None:
    """Choose the map threshold with the largest F1 over images that are weighted as if they came from a slide.

    Positive and negative images are weighted as if a mm2 held ``figures_per_mm2`` figures. Half of the validation
    images are often positive, but only one in dozens on a slide, where a threshold for the former accepts too many
    false positives.

    Args:
        records: Images of a validation or a calibration, with ``map_max``, ``label``, size and ``mpp``.
        figures_per_mm2: Number of figures per mm2 that a slide is assumed to hold.

    Returns:
        None where the images have no known resolution, are of one class only, or so large that almost all of a slide's
        would be positive.
    """
    truths = [record.truth for record in records]
    if not truths or any(truth.mpp is None for truth in truths):
        return None
    labels = np.array([truth.label for truth in truths])
    if len(np.unique(labels)) < 2:
        return None
    areas = [truth.width * truth.height * (truth.mpp or 0.0) ** 2 * 1e-6 for truth in truths]
    share = positive_share(figures_per_mm2, float(np.mean(areas)))
    if not 0.0 < share < 1.0:
        return None
    maxima = np.array([record.prediction.map_max for record in records])
    value = select_threshold(maxima, labels, 'max_f1', prevalence=share)
    return SlideThreshold(
        value,
        f'largest F1 over {len(records)} images ({int(labels.sum())} positive), weighted as if '
        f'{figures_per_mm2:g} figures lay in a mm2 of a slide ({share:.1%} of such images positive)',
    )


def slide_threshold_of(calibration: Mapping[str, Any]) -> SlideThreshold:
    """Return the threshold a model counts slides with, and why: the one for images if there is none for slides."""
    value = calibration.get('slide_threshold')
    if value is None:
        return SlideThreshold(
            float(calibration['map_threshold']), 'the one for images: the checkpoint carries none for slides'
        )
    return SlideThreshold(float(value), str(calibration.get('slide_threshold_reason', 'unknown')))
