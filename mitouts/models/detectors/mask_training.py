"""Trains a mask head that is not run in predictions, which need points only."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import nn

from mitouts.registry import MODELS


@MODELS.register_module()
def MaskTrainedRoIHead(**settings: Any) -> nn.Module:
    """The ``StandardRoIHead`` of mmdetection, with a mask head that is trained but left out of predictions.

    A predicted mask would not move its box's centre, and to compute the masks of a hundred boxes takes longer than the
    boxes themselves. (mmdetection also fails to paint the mask of a box that is not clipped to the image, and lies
    beside it.)

    Args:
        **settings: Those of ``StandardRoIHead``.
    """
    return _head_class()(**settings)


@cache
def _head_class() -> type[nn.Module]:
    # Not at import: the package works without mmdetection.
    from mmdet.models.roi_heads import StandardRoIHead

    class TrainedRoIHead(StandardRoIHead):
        @property
        def with_mask(self) -> bool:
            return self.training and super().with_mask

    return TrainedRoIHead
