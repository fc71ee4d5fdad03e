"""Pulls the map's centroid to the annotated figure: the location constraint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.centroid_constraint import CONSTRAINT_KINDS, ConstraintKind, centroid_penalty, soft_centroid
from mitouts.functional.weighting import weighted_mean
from mitouts.models.losses.base import CellLoss
from mitouts.registry import MODELS
from mitouts.structures import PointSample


@MODELS.register_module()
class CentroidConstraintLoss(CellLoss):
    """Penalizes the distance between the map's soft centroid and the annotated point, Eq. (3).

    Only positive images in which exactly one annotated point is left after augmentation take part; the loss is the
    mean over them, and 0 where there are none. Unlike the image-level loss it uses the points, so a model that is
    trained with it is no longer uninformed.

    Args:
        kind: ``l2`` (the paper's text) or ``log_barrier``; see
            :func:`mitouts.functional.centroid_constraint.centroid_penalty`.
        weight: Factor of the loss, ``beta_loc`` of Eq. (3).
        sharpness: The centroid is taken of ``sigmoid(sharpness * logit)``.
        margin_px: For ``log_barrier``, the distance that is allowed, in input pixels.
        t: For ``log_barrier``, the steepness beyond the margin.

    Raises:
        ConfigError: An unknown kind, or a number that is out of range.
    """

    name: ClassVar[str] = 'loss_centroid'

    def __init__(
        self,
        kind: ConstraintKind = 'l2',
        weight: float = 0.01,
        sharpness: float = 10.0,
        margin_px: float = 40.0,
        t: float = 50.0,
    ) -> None:
        super().__init__()
        if kind not in CONSTRAINT_KINDS:
            raise ConfigError(f'CentroidConstraintLoss.kind must be one of {CONSTRAINT_KINDS}, found {kind!r}')
        if not weight >= 0 or not margin_px >= 0:
            raise ConfigError(
                f'CentroidConstraintLoss: weight and margin_px must not be negative, found {weight} and {margin_px}'
            )
        if not sharpness > 0 or not t > 0:
            raise ConfigError(f'CentroidConstraintLoss: sharpness and t must be above 0, found {sharpness} and {t}')
        self.kind = kind
        self.weight = weight
        self.sharpness = sharpness
        self.margin_px = margin_px
        self.t = t

    def takes_part(self, sample: PointSample) -> bool:
        return sample.gt_label == 1 and len(sample.gt_points) == 1

    def compare(
        self, logits: Tensor, places: tuple[Tensor, Tensor], data_samples: Sequence[PointSample], weights: Tensor
    ) -> Tensor:
        centroids = soft_centroid(logits, *places, self.sharpness)
        annotated = [sample.gt_points[0] if self.takes_part(sample) else torch.zeros(2) for sample in data_samples]
        offsets = centroids - torch.stack(annotated).to(centroids)
        penalties = centroid_penalty(
            torch.linalg.vector_norm(offsets, dim=1), self.kind, margin_px=self.margin_px, t=self.t
        )
        return self.weight * weighted_mean(penalties, weights)
