"""What the evaluator knows of one image once all ranks' results are gathered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageRecord:
    """The truth and the prediction of one image.

    Attributes:
        image_id: Unique; results are keyed by it.
        case_id: The patient or slide.
        label: The image's label, 0 or 1.
        score: The predicted image score.
        map_max: The highest value of the score map.
        truth: ``(G, 2)`` float64, annotated points ``(x, y)`` in pixels.
        counted: ``(G,)`` bool; False where a figure is shown but counted in another patch.
        cut: ``(K, 2)`` float64, where the image's border cuts a figure whose centre is outside.
        points: ``(P, 3)`` float64, predicted points ``(x, y, score)`` in pixels, kept down to a low score. Those
            above the map threshold are the predicted figures.
        width: Width in pixels.
        height: Height in pixels.
        mpp: Micrometres per pixel, or None where unknown.
        peaks: ``(Q, 3)`` float64, local maxima of the score map, which depend on no threshold; None of a model without
            a map.
    """

    image_id: int
    case_id: str
    label: int
    score: float
    map_max: float
    truth: NDArray[np.float64]
    counted: NDArray[np.bool_]
    cut: NDArray[np.float64]
    points: NDArray[np.float64]
    width: int
    height: int
    mpp: float | None
    peaks: NDArray[np.float64] | None = None

    @property
    def curve_points(self) -> NDArray[np.float64]:
        """``(Q, 3)`` float64, what curves over all thresholds are drawn from: the peaks, without a map the points."""
        return self.points if self.peaks is None else self.peaks

    @property
    def is_located(self) -> bool:
        """Whether it is known where the image's figures are: it has none, or annotated points.

        Of a positive image that is known by its label alone nobody can tell true points from false ones.
        """
        return self.label == 0 or len(self.truth) > 0

    @property
    def counted_truth(self) -> NDArray[np.float64]:
        """``(C, 2)`` float64, the figures that are counted in this image."""
        return self.truth[self.counted]

    @property
    def ignored(self) -> NDArray[np.float64]:
        """``(I, 2)`` float64, where a prediction is neither true nor false: counted elsewhere, or cut."""
        return np.concatenate([self.truth[~self.counted], self.cut])
