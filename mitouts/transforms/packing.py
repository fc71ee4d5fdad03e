"""Packs the image and its points for the model, as the last step of a pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mitouts.registry import TRANSFORMS
from mitouts.structures import PointSample
from mitouts.transforms.base import Transform


@TRANSFORMS.register_module()
class PackPointSample(Transform):
    """Pack a pipeline's dict into ``inputs`` (uint8 tensor ``(3, H, W)``, RGB) and ``data_samples``."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        sample = PointSample()
        sample.gt_label = int(results['gt_label'])
        sample.gt_weight = float(results.get('gt_weight', 1.0))
        sample.gt_points = torch.from_numpy(np.array(results['gt_points'], dtype=np.float32).reshape(-1, 2))
        counted = results.get('gt_counted', np.ones(len(sample.gt_points), dtype=bool))
        sample.gt_counted = torch.from_numpy(np.array(counted, dtype=bool))
        sample.gt_cut = torch.from_numpy(np.array(results.get('gt_cut', ()), dtype=np.float32).reshape(-1, 2))
        return pack(results, sample)


def pack(results: dict[str, Any], sample: BaseDataElement) -> dict[str, Any]:
    """Return a pipeline's result: the image as a tensor, and the sample with the image's metainfo."""
    meta = {key: results.get(key) for key in ('img_id', 'img_path', 'case_id', 'mpp')}
    sample.set_metainfo({**meta, 'ori_shape': results['img'].shape[:2]})
    image = np.ascontiguousarray(results['img'].transpose(2, 0, 1))
    return {'inputs': torch.from_numpy(image), 'data_samples': sample}
