"""What is found while a model is trained is what a test of it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_points import POINT_MODEL
from mmengine.config import Config
from tiny_experiment import tiny_config

from mitouts.engine import runs
from mitouts.evaluation import predicting
from mitouts.evaluation.predicting import predict_dataset, predict_figures, training_images
from mitouts.formats.coco import read_coco
from mitouts.registry import MODELS
from mitouts.structures import PointSample
from mitouts.transforms import Augment

CALIBRATION: dict[str, Any] = {'map_threshold': 0.5, 'drift_px': [1.5, -0.5]}


@pytest.fixture(scope='module')
def at_hand(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Any]:
    config = tiny_config(tmp_path_factory.mktemp('located'))
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    # Scores on both sides of the threshold.
    torch.nn.init.normal_(model.head.classifier.weight, std=3.0)
    return config, model


def test_training_images_are_those_of_the_file_without_augmentation(at_hand: tuple[Config, Any]) -> None:
    config, _ = at_hand
    assert any(step['type'] == 'Augment' for step in config.train_dataloader.dataset.pipeline)
    dataset = training_images(config)
    assert not any(isinstance(step, Augment) for step in dataset.pipeline.transforms)
    assert torch.equal(dataset[3]['inputs'], dataset[3]['inputs'])
    ids = [dataset.get_data_info(index)['img_id'] for index in range(len(dataset))]
    assert ids == [image['id'] for image in read_coco(config.train_dataloader.dataset.ann_file)['images']]


@pytest.mark.parametrize('batch_size', [32, 5])
def test_points_and_scores_are_those_of_a_test(
    batch_size: int, at_hand: tuple[Config, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, model = at_hand
    monkeypatch.setattr(predicting, 'BATCH_SIZE', batch_size)
    indices = [15, *range(0, 14)]
    calibration = {**CALIBRATION, 'image_threshold': 0.5, 'min_area_px': 2, 'centroid': 'score_weighted'}
    model.train()
    found = predict_figures(model, training_images(config), indices, calibration)
    assert model.training
    model.eval()
    torch.save({'state_dict': model.state_dict(), 'meta': {'mitouts': calibration}}, tmp_path / 'model.pth')
    tested = Config(config._cfg_dict.to_dict(), filename=config.filename)
    tested.test_dataloader.dataset.ann_file = config.train_dataloader.dataset.ann_file
    records = runs.evaluate(tested, tmp_path / 'model.pth', tmp_path / 'test').records
    counts = []
    for each, index in zip(found, indices, strict=True):
        record = records[index]
        assert each.truth.image_id == each.prediction.image_id == record.truth.image_id == index + 1
        np.testing.assert_equal(vars(each.truth), vars(record.truth))
        expected = record.prediction.above(0.5)
        assert each.prediction.score == pytest.approx(record.prediction.score, abs=1e-5)
        np.testing.assert_allclose(each.prediction.points, expected, atol=1e-3)
        counts.append(len(expected))
    assert len(set(counts)) > 1


def test_workers_find_the_same_and_no_random_number_is_drawn(at_hand: tuple[Config, Any]) -> None:
    config, model = at_hand
    dataset, indices = training_images(config), [7, 2, 11, 5]
    state = torch.get_rng_state()
    alone, helped = (
        [record.prediction for record in predict_figures(model, dataset, indices, CALIBRATION, num_workers=workers)]
        for workers in (0, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    for one, other, index in zip(alone, helped, indices, strict=True):
        assert one.image_id == other.image_id == index + 1
        assert one.score == other.score
        np.testing.assert_array_equal(one.points, other.points)


def test_points_of_a_model_without_a_map_are_those_above_the_threshold(at_hand: tuple[Config, Any]) -> None:
    config, _ = at_hand
    model = MODELS.build(POINT_MODEL)
    dataset = training_images(config)
    found = predict_figures(model, dataset, [3, 0], {'map_threshold': 0.7, 'drift_px': (9.0, 9.0)})
    for each, index in zip((record.prediction for record in found), (3, 0), strict=True):
        inputs = model.data_preprocessor({'inputs': [dataset[index]['inputs']]})['inputs']
        with torch.no_grad():
            (sample,) = model(inputs, [PointSample()], mode='predict')
        expected = [point for point in sample.pred_points.tolist() if point[2] > 0.7]
        assert len(expected) > 0
        np.testing.assert_allclose(each.points, expected, rtol=1e-6)
        assert each.score == pytest.approx(sample.pred_score)


def test_no_index_is_no_prediction(at_hand: tuple[Config, Any]) -> None:
    config, model = at_hand
    model.eval()
    assert predict_figures(model, training_images(config), [], CALIBRATION) == []
    assert not model.training


class _Listed(list):
    """A data set of one's own: nothing but items."""


def test_a_list_of_items_is_predicted_like_the_data_set_that_they_are_from(at_hand: tuple[Config, Any]) -> None:
    config, model = at_hand
    dataset = training_images(config)
    expected = predict_figures(model, dataset, [0, 1, 2, 3], CALIBRATION)
    found = predict_figures(model, _Listed(dataset[index] for index in range(4)), [0, 1, 2, 3], CALIBRATION)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_equal(vars(one.truth), vars(other.truth))
        np.testing.assert_equal(vars(one.prediction), vars(other.prediction))


@pytest.mark.parametrize('batch_size', [1, 2, 32])
def test_images_of_any_size_are_predicted_and_the_mode_comes_back(batch_size: int, at_hand: tuple[Config, Any]) -> None:
    config, model = at_hand
    items = [training_images(config)[index] for index in range(2)]
    items[1]['inputs'] = items[1]['inputs'][:, :32, :40]
    model.train()
    first, second = predict_dataset(model, items, batch_size=batch_size)
    assert model.training
    model.eval()
    assert (first.pred_map.shape, second.pred_map.shape) == ((12, 12), (8, 10))
    with torch.no_grad():
        for sample, item in zip((first, second), items):
            output = model(model.data_preprocessor({'inputs': [item['inputs']]})['inputs'])
            np.testing.assert_array_equal(sample.pred_map, output.score_map[0])


def test_the_mode_comes_back_after_an_error(at_hand: tuple[Config, Any]) -> None:
    _, model = at_hand
    with pytest.raises(KeyError, match='inputs'):
        list(predict_dataset(model.train(), [{'data_samples': None}]))
    assert model.training
    model.eval()
