"""A localizer without a map that needs no training, to stand for detectors."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mitouts.registry import MODELS
from mitouts.structures import PointSample

POINT_MODEL = dict(type='FakePointModel')


@MODELS.register_module()
class FakePointModel(BaseModel):
    """Proposes the brightest pixels of the first channel, and is as certain of them as they are bright."""

    geometry = None

    def __init__(self, count: int = 12, mean: float = 120.0) -> None:
        preprocessor = dict(type='PointDataPreprocessor', mean=[mean] * 3, channels_last=False)
        super().__init__(data_preprocessor=MODELS.build(preprocessor))
        self.count = count
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.calibration: dict[str, Any] = {}

    def forward(self, inputs: Tensor, data_samples: list[PointSample], mode: str) -> list[PointSample]:
        assert mode == 'predict'
        for image, sample in zip(inputs, data_samples):
            values, places = torch.sigmoid(image[0] * self.scale).flatten().topk(self.count)
            rows, columns = places // image.shape[2], places % image.shape[2]
            sample.pred_points = torch.stack([columns.float(), rows.float(), values], dim=1)
            sample.pred_score = float(values[0])
        return data_samples
