from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from tiny_experiment import tiny_config

from mitouts.datasets import PointDataset
from mitouts.engine import runs
from mitouts.engine.distill import clean_document, distill, mark_look_alikes, summarize
from mitouts.errors import AnnotationWarning, ConfigError
from mitouts.formats.coco import read_coco
from mitouts.functional.distillation import Verdict


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('teacher')
    config = tiny_config(folder, train_cfg__max_epochs=2)
    return config, runs.train(config, folder / 'run').checkpoint


@pytest.fixture
def teacher(trained):
    """A config that a test may change, and a checkpoint."""
    config, checkpoint = trained
    return Config(config._cfg_dict.to_dict(), filename=config.filename), checkpoint


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


def test_soft_weights_are_summed_up() -> None:
    document = {'images': [{'id': 1}, {'id': 2, 'is_noise': True}, {'id': 3}, {'id': 4}], 'annotations': []}
    weights = {1: 1.0, 2: 0.25, 3: 0.875, 4: 0.5}
    verdicts = {key: Verdict(key != 4, 'agreement', 0.0, weight=weight) for key, weight in weights.items()}
    assert summarize(document, verdicts, {1: 0, 2: 1, 3: 1, 4: 1}) == {
        'kept': 3,
        'dropped': 1,
        'weighted': 2,
        'weight_sum': 2.125,
        'noise_dropped': 0,
        'noise_total': 1,
        'clean_kept': 1,
        'clean_total': 2,
        'noise_weight_sum': 0.25,
        'clean_weight_sum': 0.875,
    }


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
    scored = clean_document(document, verdicts, {}, {1: 0.25, 2: 0.5, 3: 0.75})
    assert [image.get('teacher_score') for image in scored['images']] == [0.25, 0.75, None]


def test_images_that_are_positive_by_look_alikes_alone_are_noise() -> None:
    document = {
        'images': [*({'id': number} for number in range(1, 7)), {'id': 7, 'label': 1}],
        'annotations': [
            *({'image_id': number, 'category_id': 2} for number in (1, 2, 3, 7)),
            {'image_id': 2, 'category_id': 1},
            # A piece of a figure that is counted in another patch.
            {'image_id': 3, 'category_id': 1, 'cut': True, 'iscrowd': 1},
            {'image_id': 4, 'category_id': 1},
            {'image_id': 5, 'category_id': 3},
        ],
    }
    marked = mark_look_alikes(document, [1, 2])
    assert [image['id'] for image in marked['images'] if image.get('is_noise')] == [1]
    assert [image['id'] for image in mark_look_alikes(document, [1, 2, 3])['images'] if 'is_noise' in image] == [1, 5]
    # Without look-alikes as positives nothing is known of noise, nor where the file says itself what is.
    assert mark_look_alikes(document, [1]) is document
    assert mark_look_alikes(document, [2]) is document
    known = {**document, 'images': [{'id': 1}, {'id': 2, 'is_noise': False}]}
    assert mark_look_alikes(known, [1, 2]) is known


def test_the_oracle_drops_look_alikes_that_train_as_positives(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    path = Path(config.train_dataloader.dataset.ann_file)
    document = json.loads(path.read_text())
    for image in document['images']:
        if image.pop('is_noise', False):
            for annotation in document['annotations']:
                if annotation['image_id'] == image['id']:
                    annotation['category_id'] = 2
    other = tmp_path / 'look_alikes.json'
    other.write_text(json.dumps(document))
    changed = with_criterion(config, type='OracleNoise')
    changed.train_dataloader.dataset |= dict(
        ann_file=str(other), data_root=str(path.parent), positive_categories=[1, 2]
    )
    summary = distill(changed, None, tmp_path / 'out').summary
    assert (summary['noise_dropped'], summary['noise_total'], summary['clean_kept']) == (2, 2, 6)
    changed.distillation = config.distillation
    judged = samples_of(distill(changed, checkpoint, tmp_path / 'judged'))
    assert [key for key, sample in judged.items() if sample.get('is_noise')] == [8, 16]


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


def with_criterion(config, **criterion):
    changed = config.copy()
    changed.distillation = dict(criterion=criterion)
    return changed


def samples_of(result) -> dict[int, dict]:
    return {sample['image_id']: sample for sample in json.loads(result.hard_samples.read_text())['images']}


def test_the_oracle_needs_no_teacher_and_drops_the_noise(teacher, tmp_path) -> None:
    config, _ = teacher
    result = distill(with_criterion(config, type='OracleNoise'), None, tmp_path)
    noise = {
        image['id'] for image in read_coco(config.train_dataloader.dataset.ann_file)['images'] if 'is_noise' in image
    }
    assert len(noise) == 2
    assert {key for key, sample in samples_of(result).items() if sample['verdict'] == 'drop'} == noise
    assert result.summary == {
        'kept': 14,
        'dropped': 2,
        'noise_dropped': 2,
        'noise_total': 2,
        'clean_kept': 6,
        'clean_total': 6,
    }
    assert len(PointDataset(str(result.distilled))) == 14
    info = read_coco(result.distilled)['info']['mitouts']
    assert (info['criterion'], info['teacher_sha256']) == ({'type': 'OracleNoise'}, None)
    dropped = samples_of(result)[min(noise)]
    assert (dropped['is_noise'], dropped['weight'], 'score' in dropped) == (True, 0.0, False)


def test_a_criterion_without_a_teacher_judges_the_chosen_images_alone(teacher, tmp_path) -> None:
    config, _ = teacher
    part = with_criterion(config, type='RandomDrop', number=2)
    part.train_dataloader.dataset.case_subset = ['train_1']
    result = distill(part, None, tmp_path)
    assert {sample['case_id'] for sample in samples_of(result).values()} == {'train_1'}
    assert (result.summary['kept'], result.summary['dropped']) == (2, 2)


def test_a_criterion_that_judges_by_predictions_needs_a_teacher(teacher, tmp_path) -> None:
    with pytest.raises(ConfigError, match='CentroidDisagreement judges by predictions: give the checkpoint'):
        distill(teacher[0], None, tmp_path)


def test_validation_images_can_be_judged_instead(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    result = distill(config, checkpoint, tmp_path, split='val')
    samples = samples_of(result)
    assert {sample['case_id'][:4] for sample in samples.values()} == {'val_'}
    assert list(samples) == [image['id'] for image in read_coco(config.val_dataloader.dataset.ann_file)['images']]
    # They are judged as they are tested: by the same points.
    tested = config.copy()
    tested.test_dataloader.dataset.ann_file = config.val_dataloader.dataset.ann_file
    run = runs.evaluate(tested, checkpoint, tmp_path / 'test')
    threshold = run.results['map_threshold']
    for record in run.records:
        expected = record.prediction.above(threshold)
        np.testing.assert_allclose(
            np.reshape(samples[record.truth.image_id]['predicted_points'], (-1, 3)), expected, atol=1e-4
        )
    images = PointDataset(str(result.distilled))
    assert all(Path(images.get_data_info(index)['img_path']).is_file() for index in range(len(images)))


def test_soft_weights_reach_the_students_file(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    soft = with_criterion(config, type='SoftDisagreement', radius_px=12, softness_px=4)
    source = json.loads(Path(config.train_dataloader.dataset.ann_file).read_text())
    for image in source['images']:
        image['weight'] = 0.5
    source['info']['mitouts']['image_root'] = str(Path(config.train_dataloader.dataset.ann_file).parent)
    (tmp_path / 'weighted.json').write_text(json.dumps(source))
    soft.train_dataloader.dataset.ann_file = str(tmp_path / 'weighted.json')
    result = distill(soft, checkpoint, tmp_path / 'out')
    samples, dataset = samples_of(result), PointDataset(str(result.distilled))
    assert (result.summary['kept'], result.summary['dropped'], len(dataset)) == (16, 0, 16)
    weights = dict(zip((dataset.get_data_info(index)['img_id'] for index in range(16)), dataset.weights().tolist()))
    for image_id, sample in samples.items():
        expected = 1 / (1 + np.exp((sample['distance_px'] - 12) / 4)) if sample['label'] else 1.0
        assert sample['weight'] == pytest.approx(expected)
        # What the image weighed before counts as well.
        assert weights[image_id] == pytest.approx(0.5 * expected)
    assert len(set(weights.values())) > 2


def test_a_teacher_that_drops_every_positive_image_is_warned_of(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    strict = with_criterion(config, type='CentroidDisagreement', radius_px=0.001)
    with pytest.warns(AnnotationWarning, match='all 8 positive images were dropped, so no Student can be trained'):
        distill(strict, checkpoint, tmp_path)


def test_data_and_arguments_that_are_not_there_are_named(teacher, tmp_path) -> None:
    config, checkpoint = teacher
    blind = config.copy()
    blind.pop('val_dataloader')
    with pytest.raises(ConfigError, match='has no val_dataloader, whose images are to be judged'):
        distill(blind, checkpoint, tmp_path, split='val')
    with pytest.raises(ConfigError, match=r"distillation\.criterion cannot be built: .*unexpected .* 'radius'"):
        distill(with_criterion(config, type='CentroidDisagreement', radius=3), checkpoint, tmp_path)
