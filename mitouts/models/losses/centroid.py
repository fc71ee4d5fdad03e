"""The location constraint: the map's centroid shall lie on the annotated figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.centroid_constraint import CONSTRAINT_KINDS, ConstraintKind, centroid_penalty, soft_centroid
from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.weighting import weighted_mean
from mitouts.models.heads.base import HeadOutput
from mitouts.models.losses.base import MapLoss, cell_places
from mitouts.registry import MODELS
from mitouts.structures import PointSample


@MODELS.register_module()
class CentroidConstraintLoss(MapLoss):
    """Weighted penalty of the distance between the map's soft centroid and the annotated point, Eq. (3).

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

    def forward(
        self,
        output: HeadOutput,
        data_samples: Sequence[PointSample],
        *,
        weights: Tensor,
        geometry: FeatureGeometry,
        size_px: tuple[int, int],
    ) -> Tensor:
        assert output.map_logit is not None, 'the head refuses to be built with a map that has no logits'
        logits = output.map_logit
        centroids = soft_centroid(logits, *cell_places(geometry, logits, size_px), self.sharpness)
        alone = [sample.gt_label == 1 and len(sample.gt_points) == 1 for sample in data_samples]
        annotated = [sample.gt_points[0] if one else torch.zeros(2) for sample, one in zip(data_samples, alone)]
        offsets = centroids - torch.stack(annotated).to(centroids)
        penalties = centroid_penalty(
            torch.linalg.vector_norm(offsets, dim=1), self.kind, margin_px=self.margin_px, t=self.t
        )
        return self.weight * weighted_mean(penalties, weights * torch.tensor(alone, device=weights.device))
