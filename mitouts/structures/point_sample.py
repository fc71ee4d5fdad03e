"""Holds one image's annotation and prediction as tensors, in training."""

from __future__ import annotations

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from mitouts.structures.image_record import ImageTruth


class PointSample(BaseDataElement):
    """One image's label, annotated points, and prediction.

    Metainfo: ``img_id``, ``img_path``, ``case_id``, ``ori_shape`` ``(H, W)``, ``mpp``.

    Data fields:
        gt_label: 0 or 1, the image label.
        gt_weight: Weight of the sample in the loss, 0 to 1.
        gt_points: Tensor ``(G, 2)``, float32, annotated points ``(x, y)`` of the positive categories, in pixels of the
            (augmented) input.
        gt_counted: Tensor ``(G,)``, bool; False where a figure is shown but counted in another patch.
        gt_cut: Tensor ``(K, 2)``, float32, where the image's border cuts a figure whose centre is outside. Not moved by
            augmentation.
        pred_score: Image-level probability.
        pred_map: Tensor ``(h, w)``, float32, probabilities at network resolution; of models that score a map.
        pred_points: Tensor ``(P, 3)``, float32, ``(x, y, score)`` in pixels of the input, descending by score; of
            models that find points without a map (detectors, a cascade).
    """

    gt_label: int
    gt_weight: float
    gt_points: Tensor
    gt_counted: Tensor
    gt_cut: Tensor
    pred_score: float
    pred_map: Tensor
    pred_points: Tensor

    def truth(self) -> ImageTruth:
        """Copy the annotation into new arrays, because the tensors of a data loader's worker keep a file open."""
        height, width = self.ori_shape
        return ImageTruth(
            image_id=self.img_id,
            case_id=self.case_id,
            label=self.gt_label,
            points=self.gt_points.numpy().astype(np.float64),
            counted=self.gt_counted.numpy().copy(),
            cut=self.gt_cut.numpy().astype(np.float64),
            width=width,
            height=height,
            mpp=self.mpp,
            path=self.get('img_path') or '',
        )

    def prediction(self) -> PointSample:
        """Return a sample with only the metainfo and the prediction."""
        predicted = {key: value for key, value in self.items() if key.startswith('pred_')}
        return PointSample(metainfo=self.metainfo, **predicted)
