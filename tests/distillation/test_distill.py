from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_experiment import tiny_config

from mitouts.datasets import PointDataset
from mitouts.distillation.distill import clean_document, distill, summarize
from mitouts.engine import runs
from mitouts.errors import ConfigError
from mitouts.exchange.coco import read_coco
from mitouts.functional.distillation import Verdict


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp('teacher')
    config = tiny_config(folder, train_cfg__max_epochs=2)
    return config, runs.train(config, folder / 'run').checkpoint


def test_every_image_gets_a_verdict_that_follows_from_its_points(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    result = distill(config, checkpoint, tmp_path)
    samples = json.loads(result.hard_samples.read_text())
    source = read_coco(config.train_dataloader.dataset.ann_file)
    assert [sample['image_id'] for sample in samples['images']] == [image['id'] for image in source['images']]
    for sample in samples['images']:
        predicted, annotated = np.array(sample['predicted_points']), np.array(sample['annotated_points'])
        near = False
        if len(predicted) and len(annotated):
            distances = np.linalg.norm(predicted[:, None, :2] - annotated[None], axis=2)
            near = bool((distances <= 12).any())
            assert sample['distance_px'] == pytest.approx(distances.min(), abs=0.01)
        else:
            assert sample['distance_px'] == pytest.approx(np.hypot(48, 48))
        assert (sample['verdict'] == 'keep') == (sample['label'] == 0 or near)
    kept = {sample['image_id'] for sample in samples['images'] if sample['verdict'] == 'keep'}
    assert {image['id'] for image in read_coco(result.distilled)['images']} == kept


def test_the_clean_set_trains_from_where_it_lies(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    result = distill(config, checkpoint, tmp_path / 'deep' / 'down')
    dataset = PointDataset(str(result.distilled))
    assert len(dataset) == result.summary['kept']
    assert all(Path(dataset.get_data_info(index)['img_path']).is_file() for index in range(len(dataset)))


def test_pseudo_labels_replace_labels_and_drop_nothing(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    changed = config.copy()
    changed.distillation = dict(criterion=dict(type='PseudoLabel'))
    result = distill(changed, checkpoint, tmp_path)
    samples = json.loads(result.hard_samples.read_text())
    threshold = samples['info']['image_threshold']
    labels = {image['id']: image['label'] for image in read_coco(result.distilled)['images']}
    assert result.summary['dropped'] == 0
    assert labels == {sample['image_id']: int(sample['score'] > threshold) for sample in samples['images']}
    dataset = PointDataset(str(result.distilled))
    assert dataset.labels().tolist() == [labels[dataset.get_data_info(i)['img_id']] for i in range(len(dataset))]


def test_the_hook_is_the_same_step(teacher, tmp_path) -> None:
    config, _ = teacher
    hooked = config.copy()
    hooked.custom_hooks = [*config.custom_hooks, dict(type='DistillationHook')]
    checkpoint = runs.train(hooked, tmp_path / 'run').checkpoint
    by_hook = json.loads((tmp_path / 'run' / 'distillation' / 'hard_samples.json').read_text())
    by_hand = json.loads(distill(config, checkpoint, tmp_path / 'hand').hard_samples.read_text())
    assert by_hook['images'] == by_hand['images']


def test_a_config_without_a_criterion(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    changed = config.copy()
    changed.pop('distillation')
    with pytest.raises(ConfigError, match=r'no distillation\.criterion'):
        distill(changed, checkpoint, tmp_path)


def test_counts_and_clean_document_by_hand() -> None:
    document = {
        'images': [{'id': 1}, {'id': 2, 'is_noise': True}, {'id': 3}, {'id': 4, 'is_noise': True}],
        'annotations': [{'image_id': 2}, {'image_id': 3}, {'image_id': 4}],
        'info': {'mitouts': {'name': 'x'}},
    }
    verdicts = {key: Verdict(keep, 'agreement', 0.0) for key, keep in {1: True, 2: False, 3: True, 4: True}.items()}
    counts = summarize(document, verdicts, {1: 0, 2: 1, 3: 1, 4: 1})
    assert counts == {
        'kept': 3,
        'dropped': 1,
        'noise_dropped': 1,
        'noise_total': 2,
        'clean_kept': 1,
        'clean_total': 1,
    }
    clean = clean_document(document, verdicts, {'criterion': 'c'})
    assert [image['id'] for image in clean['images']] == [1, 3, 4]
    assert [item['image_id'] for item in clean['annotations']] == [3, 4]
    assert clean['info']['mitouts'] == {'name': 'x', 'criterion': 'c'}
    assert document['info'] == {'mitouts': {'name': 'x'}}


def test_a_distilled_file_can_be_distilled_again(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    first = distill(config, checkpoint, tmp_path / 'one')
    again = config.copy()
    again.train_dataloader.dataset.ann_file = str(first.distilled)
    second = distill(again, checkpoint, tmp_path / 'two' / 'deeper')
    assert len(PointDataset(str(second.distilled))) == second.summary['kept'] == first.summary['kept']


def test_noise_outside_of_the_subset_is_not_counted(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    part = config.copy()
    part.train_dataloader.dataset.case_subset = ['train_0', 'train_1']
    summary = distill(part, checkpoint, tmp_path).summary
    assert summary['kept'] + summary['dropped'] == 8
    assert 'noise_total' not in summary
