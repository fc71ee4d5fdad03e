"""Learns a segmentation from centroids: the concentric loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.concentric import concentric_loss, concentric_target
from mitouts.models.losses.base import CellLoss
from mitouts.registry import MODELS
from mitouts.structures import PointSample


@MODELS.register_module()
class ConcentricLoss(CellLoss):
    """Cross entropy inside an inner and outside an outer circle around every centroid (SegMitos).

    Of Li et al. 2019 ("Weakly supervised mitosis detection in breast histopathology images using concentric loss",
    Medical Image Analysis 53) it follows the labels: the disc within the inner radius is mitosis, the ring up to the
    outer radius is left out of the loss because it may hold both kinds of pixels, the rest is background. It departs
    from it where that suits the maps here: labels are those of the map's cells and not of upsampled pixels; both
    regions are averaged by themselves and weighted, because background cells are some hundred times as many; the radii
    are given for the resolution at hand (the defaults are 3 and 6 um at 0.25 um/px: a figure is about 10 um across, so
    the inner disc lies within it and the outer circle around it).

    All positive points of an image are figures. A negative image has none, whatever is annotated in it (labels may be
    corrected without the points); a positive one without points takes no part, since nobody knows where its figures
    are.

    Args:
        inner_px: Radius within which cells are mitosis, in input pixels.
        outer_px: Radius beyond which cells are background, in input pixels.
        inner_weight: Factor of the mean over the inner cells.
        outer_weight: Factor of the mean over the outer cells. Where it is below the number of outer cells per inner
            cell, a cell of a figure counts for more than one of a look-alike.

    Raises:
        ConfigError: A radius or a weight that is out of range.
    """

    name: ClassVar[str] = 'loss_concentric'

    def __init__(
        self, inner_px: float = 12.0, outer_px: float = 24.0, inner_weight: float = 1.0, outer_weight: float = 1.0
    ) -> None:
        super().__init__()
        if not 0 < inner_px <= outer_px < math.inf:
            raise ConfigError(
                f'ConcentricLoss: radii must be 0 < inner_px <= outer_px, found {inner_px} and {outer_px}'
            )
        if not (0 < inner_weight < math.inf and 0 < outer_weight < math.inf):
            raise ConfigError(f'ConcentricLoss: weights must be above 0, found {inner_weight} and {outer_weight}')
        self.inner_px = inner_px
        self.outer_px = outer_px
        self.inner_weight = inner_weight
        self.outer_weight = outer_weight

    def takes_part(self, sample: PointSample) -> bool:
        return sample.gt_label != 1 or len(sample.gt_points) > 0

    def compare(
        self, logits: Tensor, places: tuple[Tensor, Tensor], data_samples: Sequence[PointSample], weights: Tensor
    ) -> Tensor:
        figures = [sample.gt_points if sample.gt_label == 1 else sample.gt_points[:0] for sample in data_samples]
        radii = {'inner_px': self.inner_px, 'outer_px': self.outer_px}
        x_px, y_px = places
        target = torch.stack([concentric_target(points, x_px, y_px, **radii) for points in figures])
        return concentric_loss(logits, target, weights, inner_weight=self.inner_weight, outer_weight=self.outer_weight)
