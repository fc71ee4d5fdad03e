from __future__ import annotations

import torch

from mitouts.structures import TissueSample


def test_labels_and_predictions_move_together() -> None:
    sample = TissueSample(metainfo={'img_id': 3}, gt_labels=torch.zeros(2, 3), pred_labels=torch.ones(2, 3))
    moved = sample.to(torch.float64)
    assert moved.gt_labels.dtype == moved.pred_labels.dtype == torch.float64
    assert moved.img_id == 3
    assert set(sample.keys()) == {'gt_labels', 'pred_labels'}
