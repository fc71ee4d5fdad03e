"""The last step of a pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mitouts.registry import TRANSFORMS
from mitouts.structures import PointSample
from mitouts.transforms.base import Transform

META_KEYS = ('img_id', 'img_path', 'case_id', 'mpp')


@TRANSFORMS.register_module()
class PackPointSample(Transform):
    """Pack a pipeline's dict into ``inputs`` (uint8 tensor ``(3, H, W)``, RGB) and ``data_samples``."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        image = np.ascontiguousarray(results['img'].transpose(2, 0, 1))
        meta = {key: results.get(key) for key in META_KEYS}
        sample = PointSample(metainfo={**meta, 'ori_shape': results['img'].shape[:2]})
        sample.gt_label = int(results['gt_label'])
        sample.gt_weight = float(results.get('gt_weight', 1.0))
        sample.gt_points = torch.from_numpy(np.array(results['gt_points'], dtype=np.float32).reshape(-1, 2))
        counted = results.get('gt_counted', np.ones(len(sample.gt_points), dtype=bool))
        sample.gt_counted = torch.from_numpy(np.array(counted, dtype=bool))
        sample.gt_cut = torch.from_numpy(np.array(results.get('gt_cut', ()), dtype=np.float32).reshape(-1, 2))
        return {'inputs': torch.from_numpy(image), 'data_samples': sample}
