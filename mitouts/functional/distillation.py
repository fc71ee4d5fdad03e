"""Judges a training image for Uninformed Teacher-Student by comparing the teacher's points with the annotated ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from scipy.special import expit

from mitouts.functional.point_arrays import as_points

Policy = Literal['any_true', 'no_false', 'perfect']
POLICIES: tuple[str, ...] = get_args(Policy)


@dataclass(frozen=True)
class Verdict:
    """Whether and how the student trains on one image.

    Attributes:
        keep: Whether the student trains on it.
        reason: Why, in a word or a few joined by underscores, in the criterion's own words. Files, tables and pages
            show it as it is.
        distance_px: The least distance between any prediction and any annotation in pixels; the image's diagonal if
            there is no prediction or no annotation.
        new_label: The label that replaces the image's own; None leaves it as it is.
        weight: Weight of the image in the student's loss.
    """

    keep: bool
    reason: str
    distance_px: float
    new_label: int | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str) or not self.reason.strip():
            raise ValueError(f'a verdict needs a reason in words, found {self.reason!r}')


def judge_sample(
    predicted_xy: ArrayLike,
    annotated_xy: ArrayLike,
    *,
    label: int,
    predicted_label: int,
    radius_px: float = 30.0,
    policy: Policy = 'any_true',
    drop_image_errors: bool = False,
    diagonal_px: float,
) -> Verdict:
    """Judge one image by the points that the teacher predicts (Section 3.3 of Fernandez-Martin et al. 2024).

    A negative is kept. A positive is kept, depending on the policy,

    - ``any_true``: iff some prediction lies at most ``radius_px`` from some annotation. This is Eq. (5) of the paper
      with the radius inclusive, as in the metric; the equation itself is strict (<).
    - ``no_false``: unless some prediction lies farther than that from all annotations. Without any prediction it
      stays.
    - ``perfect``: iff every prediction lies within the radius of an annotation and every annotation within the radius
      of a prediction. Several predictions may lie on one figure.

    A positive without annotated points (known by its image label alone) cannot be judged and is kept.
    ``drop_image_errors`` first drops every image, positive or negative, whose predicted label is wrong: the authors'
    public code does, the paper's text does not.

    Args:
        predicted_xy: ``(P, 2)`` points of the teacher in pixels.
        annotated_xy: ``(G, 2)`` annotated points in pixels.
        label: The image's label, 0 or 1.
        predicted_label: The label that the teacher predicts, 0 or 1.
        radius_px: Tau of Eq. (5) in pixels, inclusive.
        policy: See above.
        drop_image_errors: See above.
        diagonal_px: The image's diagonal in pixels.

    Raises:
        ValueError: The policy is unknown, a label is neither 0 nor 1, or an array has another shape.
    """
    if policy not in POLICIES:
        raise ValueError(f'unknown policy {policy!r}; known are {", ".join(POLICIES)}')
    for name, given in (('label', label), ('predicted_label', predicted_label)):
        if given not in (0, 1):
            raise ValueError(f'{name} must be 0 or 1, found {given!r}')
    predicted, annotated = (as_points(predicted_xy, name='predicted_xy'), as_points(annotated_xy, name='annotated_xy'))
    distance_px = least_distance_px(predicted, annotated, diagonal_px=diagonal_px)
    keep, reason = _decide(
        predicted, annotated, label, predicted_label, radius_px=radius_px, policy=policy, strict=drop_image_errors
    )
    return Verdict(keep, reason, distance_px)


def least_distance_px(predicted_xy: ArrayLike, annotated_xy: ArrayLike, *, diagonal_px: float) -> float:
    """Measure the least distance between any prediction and any annotation, Eq. (4) of Fernandez-Martin et al. 2024.

    Args:
        predicted_xy: ``(P, 2)`` points in pixels.
        annotated_xy: ``(G, 2)`` points in pixels.
        diagonal_px: The image's diagonal, returned if either is empty.
    """
    predicted, annotated = (as_points(predicted_xy, name='predicted_xy'), as_points(annotated_xy, name='annotated_xy'))
    if not len(predicted) or not len(annotated):
        return float(diagonal_px)
    return float(_nearest_px(predicted, annotated).min())


def soft_weight(distance_px: float, *, radius_px: float, softness_px: float) -> float:
    """Compute the weight ``1 / (1 + exp((d - tau) / s))`` of a sample whose prediction is ``d`` off.

    Args:
        distance_px: d in pixels.
        radius_px: Tau in pixels; the weight there is 1/2.
        softness_px: s in pixels.
    """
    return float(expit((radius_px - distance_px) / softness_px))


def _decide(
    predicted: NDArray[np.float64],
    annotated: NDArray[np.float64],
    label: int,
    predicted_label: int,
    *,
    radius_px: float,
    policy: Policy,
    strict: bool,
) -> tuple[bool, str]:
    if strict and predicted_label != label:
        return False, 'image_error'
    if label == 0:
        return True, 'negative'
    if not len(annotated):
        return True, 'no_annotation'
    if not len(predicted):
        return policy == 'no_false', 'no_prediction'
    is_true = _nearest_px(predicted, annotated) <= radius_px
    if policy == 'any_true':
        return (True, 'agreement') if is_true.any() else (False, 'no_true_prediction')
    if not is_true.all():
        return False, 'false_prediction'
    if policy == 'perfect' and (_nearest_px(annotated, predicted) > radius_px).any():
        return False, 'missed_annotation'
    return True, 'agreement'


def _nearest_px(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    _, nearest = cKDTree(others).query(points)
    x, y = (points - others[nearest]).T
    return np.sqrt(x * x + y * y)
