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


def test_truth_and_prediction_are_taken_apart() -> None:
    meta = {'img_id': 7, 'img_path': 'a.png', 'case_id': 'A', 'mpp': 0.25, 'ori_shape': (48, 64)}
    sample = PointSample(metainfo=meta, gt_label=1, gt_points=torch.tensor([[3.5, 4.0], [1.0, 2.0]]))
    sample.gt_counted, sample.gt_cut = torch.tensor([True, False]), torch.zeros(0, 2)
    sample.pred_score, sample.pred_map = 0.75, torch.rand(3, 4)
    truth = sample.truth()
    assert (truth.image_id, truth.path, truth.case_id, truth.label, truth.mpp) == (7, 'a.png', 'A', 1, 0.25)
    assert (truth.height, truth.width) == (48, 64)
    # Arrays of its own: what comes next in the batch's memory does not reach them.
    sample.gt_points.zero_()
    sample.gt_counted.zero_()
    assert truth.points.tolist() == [[3.5, 4.0], [1.0, 2.0]]
    assert truth.counted.tolist() == [True, False]
    prediction = sample.prediction()
    assert set(prediction.keys()) == {'pred_score', 'pred_map'}
    assert prediction.metainfo == meta
