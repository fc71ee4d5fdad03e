"""The sample that travels from the data set to the metrics."""

from __future__ import annotations

import pickle

import torch

from mitouts.structures import PointSample


def test_sample_keeps_metainfo_labels_and_predictions_apart() -> None:
    sample = PointSample(metainfo={'img_id': 7, 'case_id': 'A', 'ori_shape': (48, 64)})
    sample.gt_label = 1
    sample.gt_points = torch.tensor([[3.5, 4.0]])
    sample.pred_score = 0.75
    assert sample.metainfo == {'img_id': 7, 'case_id': 'A', 'ori_shape': (48, 64)}
    assert set(sample.keys()) == {'gt_label', 'gt_points', 'pred_score'}
    assert (sample.img_id, sample.gt_label, sample.pred_score) == (7, 1, 0.75)


def test_sample_survives_the_way_between_processes() -> None:
    sample = PointSample(metainfo={'img_id': 7})
    sample.pred_map = torch.rand(3, 4)
    copy = pickle.loads(pickle.dumps(sample))
    assert copy.img_id == 7
    torch.testing.assert_close(copy.pred_map, sample.pred_map)
