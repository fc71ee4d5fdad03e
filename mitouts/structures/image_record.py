"""Holds an image's annotation and a model's prediction: the records that evaluations, tables and files share."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ImageTruth:
    """An image's annotation.

    Attributes:
        image_id: Unique; results are keyed by it.
        case_id: The patient or slide.
        label: The image's label, 0 or 1.
        points: ``(G, 2)`` float64, annotated figures ``(x, y)`` whose centre is in the image, in pixels.
        counted: ``(G,)`` bool; False where a figure is shown but counted in another patch.
        cut: ``(K, 2)`` float64, where the image's border cuts a figure whose centre is outside.
        width: Width in pixels.
        height: Height in pixels.
        mpp: Micrometres per pixel, or None where unknown.
        path: Its file; empty where unknown.
    """

    image_id: int
    case_id: str
    label: int
    points: FloatArray
    counted: NDArray[np.bool_]
    cut: FloatArray
    width: int
    height: int
    mpp: float | None
    path: str = ''

    @property
    def is_located(self) -> bool:
        """Whether the positions of the image's figures are known: it has no figures, or annotated points.

        In a positive image with only a label, true and false points cannot be told apart.
        """
        return self.label == 0 or len(self.points) > 0

    @property
    def is_ambiguous(self) -> bool:
        """Whether the image shows nothing but parts of figures: neither a positive nor a negative sample."""
        return len(self.points) == 0 and len(self.cut) > 0

    @property
    def counted_points(self) -> FloatArray:
        """``(C, 2)`` float64, the figures that are counted in this image."""
        return self.points[self.counted]

    @property
    def ignored(self) -> FloatArray:
        """``(I, 2)`` float64, where a prediction is neither true nor false: counted elsewhere, or cut."""
        return np.concatenate([self.points[~self.counted], self.cut])

    @property
    def diagonal_px(self) -> float:
        """Length of the image's diagonal in pixels."""
        return math.hypot(self.width, self.height)

    @property
    def area_mm2(self) -> float | None:
        """Area of the image, or None where its resolution is unknown."""
        return None if self.mpp is None else self.width * self.height * (self.mpp / 1000) ** 2

    def in_float32(self) -> ImageTruth:
        """Return a copy with positions rounded to float32, as data sets hold them.

        A distance exactly equal to the radius is then decided in the same way everywhere.
        """
        points, cut = (places.astype(np.float32).astype(np.float64) for places in (self.points, self.cut))
        return replace(self, points=points, cut=cut)


@dataclass(frozen=True)
class ImagePrediction:
    """A model's prediction for one image.

    Attributes:
        image_id: The image.
        score: Image-level probability.
        points: ``(P, 3)`` float64, ``(x, y, score)`` in pixels, kept down to a low score. Those above the map threshold
            are the predicted figures.
        peaks: ``(Q, 3)`` float64, local maxima of the score map, which depend on no threshold; None for a model
            without a map, or if they were not read.
        map_max: The highest value of the score map, or without a map the highest score of a point; None if it was not
            stored.
        file_name: The image's file, for images that are in no annotation file.
    """

    image_id: int
    score: float
    points: FloatArray
    peaks: FloatArray | None = None
    map_max: float | None = None
    file_name: str | None = None

    @property
    def curve_points(self) -> FloatArray:
        """``(Q, 3)`` float64, points that curves over all thresholds are drawn from: the peaks, else the points."""
        return self.points if self.peaks is None else self.peaks

    def above(self, threshold: float) -> FloatArray:
        """Return the points ``(F, 3)`` whose score is above a threshold."""
        return self.points[self.points[:, 2] > threshold]


@dataclass(frozen=True)
class EvaluatedImage:
    """The ground truth of an image and a model's prediction for it."""

    truth: ImageTruth
    prediction: ImagePrediction


@dataclass(frozen=True)
class EvaluatedImages:
    """The images that a model was tested on, and the thresholds of its scores.

    Attributes:
        images: In any order.
        image_threshold: An image is called positive when its score is above it.
        map_threshold: A point counts when its score is above it.
    """

    images: tuple[EvaluatedImage, ...]
    image_threshold: float
    map_threshold: float

    def located(self) -> EvaluatedImages:
        """Return only the images that localization can be scored on."""
        return replace(self, images=tuple(image for image in self.images if image.truth.is_located))

    @property
    def cases(self) -> NDArray[np.str_]:
        """``(N,)`` case of each image."""
        return np.array([image.truth.case_id for image in self.images])

    @property
    def labels(self) -> NDArray[np.int64]:
        """``(N,)`` image labels, 0 or 1."""
        return np.array([image.truth.label for image in self.images], dtype=np.int64)

    @property
    def scores(self) -> FloatArray:
        """``(N,)`` image scores."""
        return np.array([image.prediction.score for image in self.images], dtype=np.float64)

    @property
    def areas_mm2(self) -> list[float] | None:
        """Area of each image, or None where the resolution of one is unknown."""
        areas = [image.truth.area_mm2 for image in self.images]
        known = [area for area in areas if area is not None]
        return known if len(known) == len(areas) else None

    @property
    def points(self) -> list[FloatArray]:
        """``(P, 3)`` predicted points of each image."""
        return [image.prediction.points for image in self.images]

    @property
    def curve_points(self) -> list[FloatArray]:
        """``(Q, 3)`` points of each image that curves are drawn from."""
        return [image.prediction.curve_points for image in self.images]

    @property
    def truths(self) -> list[FloatArray]:
        """``(C, 2)`` figures that are counted in each image."""
        return [image.truth.counted_points for image in self.images]

    @property
    def ignored(self) -> list[FloatArray]:
        """``(I, 2)`` places of each image where a prediction is neither true nor false."""
        return [image.truth.ignored for image in self.images]
