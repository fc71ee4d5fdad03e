"""Holds one image's label maps as tensors, in training."""

from __future__ import annotations

from mmengine.structures import BaseDataElement
from torch import Tensor


class TissueSample(BaseDataElement):
    """One image's tissue classes, annotated and predicted.

    Metainfo: ``img_id``, ``img_path``, ``case_id``, ``ori_shape`` ``(H, W)``, ``mpp``; the last two after resampling
    and cropping.

    Data fields:
        gt_labels: Tensor ``(H, W)``, uint8, class of each pixel;
            :data:`~mitouts.functional.segmentation.IGNORE_INDEX` where nobody judged.
        pred_labels: Tensor ``(H, W)``, uint8, the most probable class.
    """

    gt_labels: Tensor
    pred_labels: Tensor
