"""Joins a backbone and a head to a localizer: trained on image labels, it predicts a score map."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mitouts.functional.geometry import FeatureGeometry
from mitouts.models.heads.base import HeadOutput
from mitouts.models.initialization import init_children
from mitouts.models.rotations import averaged_output, rotations_of
from mitouts.registry import MODELS
from mitouts.structures import PointSample


@MODELS.register_module()
class WSSLocalizer(BaseModel):
    """Localizes figures by weakly supervised segmentation: trained on image labels, read as points.

    Args:
        backbone: Config; the built module declares ``out_channels`` and ``geometry``.
        head: Config of the head; its ``in_channels`` is filled in.
        data_preprocessor: Config.

    Attributes:
        calibration: Values that a count needs beside the weights (thresholds, mpp, class names, ...); kept in the
            checkpoint's meta by ``CalibrationHook`` and empty for a model that was never validated. Where it has
            ``rotations`` above 1, predictions are averaged (:mod:`mitouts.models.rotations`).
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        head: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=MODELS.build(data_preprocessor or dict(type='PointDataPreprocessor')))
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build({**head, 'in_channels': self.backbone.out_channels})
        if self.data_preprocessor.memory_format == torch.channels_last:
            self.to(memory_format=torch.channels_last)
        self.calibration: dict[str, Any] = {}

    def init_weights(self) -> None:
        """Initialize the parts; mmengine's own would log every single parameter."""
        init_children(self)

    @property
    def geometry(self) -> FeatureGeometry:
        """Where the cells of the score map lie in the image."""
        return self.head.map_geometry(self.backbone.geometry)

    def forward(
        self, inputs: Tensor, data_samples: list[PointSample] | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[PointSample] | HeadOutput:
        """Run the network.

        Args:
            inputs: Tensor ``(N, 3, H, W)``, normalized.
            data_samples: One sample an image; needed for ``loss`` and ``predict``.
            mode: ``loss`` gives a dict of losses, ``predict`` the samples with ``pred_score`` and ``pred_map``,
                ``tensor`` the head's output.
        """
        if mode not in ('loss', 'predict', 'tensor'):
            raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', found {mode!r}")
        size_px = (inputs.shape[-2], inputs.shape[-1])
        if mode == 'tensor':
            return self.head(self.backbone(inputs), size_px)
        assert data_samples is not None, f'mode {mode!r} needs data_samples'
        if mode == 'loss':
            return self.head.loss(self.backbone(inputs), data_samples, self.geometry, size_px)
        if rotations_of(self.calibration) > 1:
            output = averaged_output(self, inputs)
        else:
            output = self.head(self.backbone(inputs), size_px)
        scores = torch.sigmoid(output.image_logit).tolist()
        maps = output.score_map.float().cpu()
        for sample, score, score_map in zip(data_samples, scores, maps):
            sample.pred_score = score
            sample.pred_map = score_map
        return data_samples
