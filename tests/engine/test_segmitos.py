"""SegMitos from its training to its points: an ordinary localizer that has learned from centroids."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from tiny_experiment import SIZE_PX, tiny_config

from mitouts.checkpoint import read_checkpoint
from mitouts.engine import runs
from mitouts.engine.distill import distill
from mitouts.errors import AnnotationError
from mitouts.formats.coco import read_coco, write_json
from mitouts.inference import Localizer

MODEL = dict(
    type='WSSLocalizer',
    backbone=dict(
        type='SkipDecoder',
        encoder=dict(type='EfficientNetLite', stride=8, num_blocks=4, weights=None, out_strides=(4, 8)),
        channels=16,
    ),
    head=dict(
        type='SegmentationHead', extra_losses=[dict(type='ConcentricLoss', inner_px=4, outer_px=10, outer_weight=5)]
    ),
)


def _config(folder: Path, epochs: int) -> Config:
    config = tiny_config(folder, train_cfg__max_epochs=epochs, train_cfg__val_interval=epochs)
    config.model = MODEL
    config.train_dataloader.dataset.need_points = True
    return config


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    folder = tmp_path_factory.mktemp('segmitos')
    config = _config(folder, epochs=12)
    return config, runs.train(config, folder / 'run').checkpoint


def test_loss_falls_and_is_not_of_the_image_score(trained: tuple[Config, Path]) -> None:
    lines = next(trained[1].parent.glob('2*/vis_data/scalars.json')).read_text().splitlines()
    steps = [entry for entry in map(json.loads, lines) if 'loss' in entry]
    assert all(entry['loss'] == entry['loss_concentric'] and 'loss_image' not in entry for entry in steps)
    losses = [entry['loss'] for entry in steps]
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:4])


def test_points_of_the_test_images_lie_on_their_figures(trained: tuple[Config, Path], tmp_path: Path) -> None:
    config, checkpoint = trained
    tested = runs.evaluate(config, checkpoint, tmp_path / 'test', out=tmp_path / 'points.json')
    assert tested.results['one_to_one']['f1'] >= 0.75
    assert tested.results['image']['f1'] >= 0.75
    predicted = json.loads((tmp_path / 'points.json').read_text())['images']
    assert len(predicted) == 8
    assert all(0 <= x < SIZE_PX and 0 <= y < SIZE_PX for image in predicted for x, y, _ in image['points'])


def test_checkpoint_carries_what_a_localizer_needs(trained: tuple[Config, Path]) -> None:
    config, checkpoint = trained
    calibration = read_checkpoint(checkpoint)['meta']['mitouts']
    assert {'image_threshold', 'map_threshold', 'drift_px', 'geometry'} <= set(calibration)
    assert (calibration['geometry']['stride'], calibration['geometry']['center_offset_px']) == (4, 3.0)
    localizer = Localizer.from_checkpoint(checkpoint)
    file = Path(config.test_dataloader.dataset.ann_file)
    document = read_coco(file)
    annotation = document['annotations'][0]
    image = next(each for each in document['images'] if each['id'] == annotation['image_id'])
    pixels = cv2.imread(str(file.parent / image['file_name']), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    found = localizer.predict(pixels.astype(np.uint8), mpp=0.25)
    assert found.is_positive
    assert np.hypot(*(found.figures[0, :2] - annotation['point'])) <= 12


def test_it_judges_its_training_images(trained: tuple[Config, Path], tmp_path: Path) -> None:
    config, checkpoint = trained
    samples = json.loads(distill(config, checkpoint, tmp_path).hard_samples.read_text())['images']
    noise = {
        image['id'] for image in read_coco(config.train_dataloader.dataset.ann_file)['images'] if image.get('is_noise')
    }
    positive = [sample for sample in samples if sample['label'] == 1]
    kept = {sample['image_id'] for sample in positive if sample['verdict'] == 'keep'}
    assert len(kept - noise) >= 5
    assert len(kept & noise) < len(noise)


def test_positive_images_without_points_stop_before_the_training(tmp_path: Path) -> None:
    config = _config(tmp_path, epochs=1)
    file = Path(config.train_dataloader.dataset.ann_file)
    document = read_coco(file)
    for image in document['images']:
        image['label'] = 1
    write_json(file, document)
    with pytest.raises(AnnotationError, match='labelled positive without an annotated point'):
        runs.train(config, tmp_path / 'run')
