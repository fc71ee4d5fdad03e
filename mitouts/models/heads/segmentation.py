"""Learns the map itself and reads the image score from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mitouts.errors import ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.models.heads.base import sample_weights
from mitouts.models.heads.instance import InstanceHead
from mitouts.registry import MODELS
from mitouts.structures import PointSample


@MODELS.register_module()
class SegmentationHead(InstanceHead):
    """Classifies every position by a 1 x 1 convolution that is trained by losses on the map alone.

    The aggregator gives the image score of a prediction, by default the map's maximum; it takes no part in training.

    Args:
        in_channels: Feature channels; the localizer fills it in from the backbone.
        extra_losses: Configs of the losses on the map, such as ``dict(type='ConcentricLoss')``.
        aggregator: Config of the aggregator; default ``MaxAggregator``.
        dropout: Channel dropout before the classifier.
        prior: Probability that an untrained classifier gives every cell. Figures are rare; with 0.5 the background's
            loss would drown theirs in the first steps (Lin et al. 2017, Sec. 3.3).
        upsample: See :class:`~mitouts.models.heads.base.LocalizationHead`.

    Raises:
        ConfigError: No loss, a prior that is not a probability, or parts that do not go together.
    """

    def __init__(
        self,
        in_channels: int,
        extra_losses: Sequence[dict[str, Any]],
        aggregator: dict[str, Any] | None = None,
        dropout: float = 0.0,
        prior: float = 0.01,
        upsample: Literal['align_corners'] | None = None,
    ) -> None:
        if not extra_losses:
            raise ConfigError("head.extra_losses is empty: nothing would be learned; give dict(type='ConcentricLoss')")
        if not 0 < prior < 1:
            raise ConfigError(f'head.prior must lie between 0 and 1, found {prior}')
        super().__init__(
            aggregator or dict(type='MaxAggregator', domain='logit'),
            in_channels,
            dropout=dropout,
            extra_losses=extra_losses,
            upsample=upsample,
        )
        self.prior = prior

    def init_weights(self) -> None:
        super().init_weights()
        assert self.classifier.bias is not None
        nn.init.constant_(self.classifier.bias, math.log(self.prior / (1 - self.prior)))

    def loss(
        self,
        features: Tensor,
        data_samples: Sequence[PointSample],
        geometry: FeatureGeometry,
        size_px: tuple[int, int],
    ) -> dict[str, Tensor]:
        """Compute the losses on the map of a batch; arguments as in the base class."""
        output = self(features, size_px)
        weights = torch.tensor(sample_weights(data_samples), device=features.device)
        return self.losses_on_map(output, data_samples, weights=weights, geometry=geometry, size_px=size_px)
