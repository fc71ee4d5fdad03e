"""The data set: labels, points, and augmentation that repeats where it must and differs where it must."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mitouts.datasets import PointDataset, seeded
from mitouts.errors import AnnotationError, ConfigError, ImageError
from mitouts.formats.coco import read_coco, write_json
from mitouts.registry import DATASETS, UnknownComponentError

DatasetWriter = Callable[..., Path]

PLAIN = [{'type': 'LoadImage'}, {'type': 'PackPointSample'}]
AUGMENTED = [
    {'type': 'LoadImage'},
    {'type': 'Augment', 'recipe': 'beta'},
    {'type': 'StainJitter'},
    {'type': 'PackPointSample'},
]


def _drawn_seed(results: dict[str, Any]) -> int:
    return results['augmentation_seed']


def _as_list(batch: list[int]) -> list[int]:
    return batch


@pytest.fixture(autouse=True)
def no_default_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that was built in the same process leaves its scope behind."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())


def test_label_is_derived_from_the_points_of_positive_categories(tiny_dataset: Path) -> None:
    assert PointDataset(str(tiny_dataset)).labels().tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert PointDataset(str(tiny_dataset), positive_categories=[2]).labels().tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    both = PointDataset(str(tiny_dataset), positive_categories=[1, 2])
    assert both.labels().tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_points_are_those_of_positive_categories(tiny_dataset: Path) -> None:
    clean, both = PointDataset(str(tiny_dataset)), PointDataset(str(tiny_dataset), positive_categories=[1, 2])
    np.testing.assert_array_equal(clean[1]['gt_points'], [[40.5, 10.25], [12, 40]])
    np.testing.assert_array_equal(clean[2]['gt_points'], [[50, 20]])
    np.testing.assert_array_equal(both[2]['gt_points'], [[50, 20], [15, 15]])
    assert clean[1]['gt_points'].dtype == np.float32
    assert clean[7]['gt_points'].shape == (0, 2)


def test_classes_are_named_after_the_positive_categories(tiny_dataset: Path) -> None:
    assert PointDataset(str(tiny_dataset)).metainfo['classes'] == ('mitotic figure',)
    both = PointDataset(str(tiny_dataset), positive_categories=(1, 2))
    assert both.metainfo['classes'] == ('mitotic figure', 'hard negative')


def test_given_label_goes_before_the_points(write_dataset: DatasetWriter) -> None:
    path = write_dataset([{'label': 0, 'points': [(20, 20)]}, {'label': 1}, {'points': [(9, 9)]}, {}])
    dataset = PointDataset(str(path))
    assert dataset.labels().tolist() == [0, 1, 1, 0]
    assert [dataset[index]['label_given'] for index in range(4)] == [True, True, False, False]


def test_teacher_scores_are_those_of_the_file(write_dataset: DatasetWriter) -> None:
    path = write_dataset([{'label': 0, 'teacher_score': 0.25}, {'label': 1}])
    np.testing.assert_array_equal(PointDataset(str(path)).teacher_scores(), [0.25, np.nan])


@pytest.mark.parametrize('pipeline', [PLAIN, AUGMENTED], ids=['plain', 'augmented'])
def test_positive_image_without_points_stays_positive_through_the_pipeline(
    pipeline: list[dict[str, Any]], write_dataset: DatasetWriter
) -> None:
    dataset = PointDataset(str(write_dataset([{'label': 1}, {'label': 0}])), pipeline=pipeline)
    for epoch in range(4):
        dataset.set_epoch(epoch)
        (batch,) = DataLoader(dataset, batch_size=2, collate_fn=pseudo_collate)
        assert [sample.gt_label for sample in batch['data_samples']] == [1, 0]
        assert [sample.gt_points.shape for sample in batch['data_samples']] == [(0, 2), (0, 2)]


def test_item_carries_what_a_prediction_is_reported_with(write_dataset: DatasetWriter) -> None:
    item = PointDataset(str(write_dataset([{'case_id': 'A7', 'points': [(5, 6)]}])), pipeline=PLAIN)[0]
    sample = item['data_samples']
    assert item['inputs'].shape == (3, 48, 64)
    assert (sample.img_id, sample.case_id, sample.mpp, sample.ori_shape) == (1, 'A7', 0.25, (48, 64))
    assert sample.gt_points.tolist() == [[5, 6]]


def test_pipeline_does_not_change_what_is_kept(tiny_dataset: Path) -> None:
    dataset = PointDataset(str(tiny_dataset), pipeline=AUGMENTED)
    for _ in range(3):
        dataset[1]
    np.testing.assert_array_equal(dataset.get_data_info(1)['gt_points'], [[40.5, 10.25], [12, 40]])
    assert dataset.labels().tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_cases_can_be_chosen(write_dataset: DatasetWriter) -> None:
    path = write_dataset([{'case_id': '1'}, {'case_id': '2'}, {'case_id': '1'}])
    assert [PointDataset(str(path), case_subset=['1'])[index]['img_id'] for index in range(2)] == [1, 3]
    numbers: list[Any] = [1]
    assert len(PointDataset(str(path), case_subset=numbers)) == 2
    with pytest.raises(AnnotationError, match=r"train\.json: no image is left after case_subset=\['9'\]"):
        PointDataset(str(path), case_subset=['9'])


def test_images_are_found_from_the_file_its_own_root_or_a_given_one(write_dataset: DatasetWriter) -> None:
    beside = write_dataset([{}], name='beside', image_folder='pixels')
    rooted = write_dataset([{}], name='rooted', image_folder='pixels', image_root='pixels')
    folder = beside.parent / 'pixels'
    assert Path(PointDataset(str(beside))[0]['img_path']) == folder / 'beside_1.png'
    assert Path(PointDataset(str(rooted))[0]['img_path']) == folder / 'rooted_1.png'
    (folder / 'rooted_1.png').rename(beside.parent / 'rooted_1.png')
    given = PointDataset(str(rooted), data_root=str(beside.parent))
    assert Path(given[0]['img_path']) == beside.parent / 'rooted_1.png'


def test_missing_images_are_counted_and_the_first_is_named(tiny_dataset: Path) -> None:
    for number in (3, 5):
        (tiny_dataset.parent / 'images' / f'train_{number}.png').unlink()
    with pytest.raises(
        AnnotationError, match=r'2 of 8 images do not exist, the first is .*train_3\.png\. Set data_root'
    ):
        PointDataset(str(tiny_dataset))


def test_broken_image_is_reported_and_not_replaced_by_another(tiny_dataset: Path) -> None:
    (tiny_dataset.parent / 'images' / 'train_3.png').write_bytes(b'')
    dataset = PointDataset(str(tiny_dataset), pipeline=PLAIN)
    with pytest.raises(ImageError, match=r'train_3\.png is empty \(0 bytes\)'):
        dataset[2]


def test_positive_category_that_the_file_lacks_is_refused(tiny_dataset: Path) -> None:
    expected = r'positive_categories holds \[3\], but .* has 1 \(mitotic figure\), 2 \(hard negative\)'
    with pytest.raises(ConfigError, match=expected):
        PointDataset(str(tiny_dataset), positive_categories=[1, 3])


def test_file_without_images_is_refused(tiny_dataset: Path) -> None:
    write_json(tiny_dataset, {**read_coco(tiny_dataset), 'images': [], 'annotations': []})
    with pytest.raises(AnnotationError, match='holds no image'):
        PointDataset(str(tiny_dataset))


def test_unknown_step_is_located_in_the_config(tiny_dataset: Path) -> None:
    config = {'type': 'PointDataset', 'ann_file': str(tiny_dataset), 'pipeline': [PLAIN[0], {'type': 'PackSample'}]}
    with pytest.raises(UnknownComponentError, match=r"config key 'pipeline\.1\.type'.*'PackPointSample'"):
        DATASETS.build(config)


def _items(path: Path, *, seed: int, epoch: int) -> list[dict[str, Any]]:
    dataset = PointDataset(str(path), pipeline=AUGMENTED, seed=seed)
    dataset.set_epoch(epoch)
    return [dataset[index] for index in range(len(dataset))]


def test_augmentation_is_a_function_of_seed_and_epoch(tiny_dataset: Path) -> None:
    first, again = _items(tiny_dataset, seed=3, epoch=2), _items(tiny_dataset, seed=3, epoch=2)
    for one, other in zip(first, again):
        assert torch.equal(one['inputs'], other['inputs'])
        assert torch.equal(one['data_samples'].gt_points, other['data_samples'].gt_points)
        assert one['data_samples'].gt_label == other['data_samples'].gt_label


@pytest.mark.parametrize('other', [{'seed': 3, 'epoch': 3}, {'seed': 4, 'epoch': 2}], ids=['epoch', 'seed'])
def test_another_epoch_or_seed_augments_every_image_otherwise(other: dict[str, int], tiny_dataset: Path) -> None:
    first, changed = _items(tiny_dataset, seed=3, epoch=2), _items(tiny_dataset, **other)
    assert not any(torch.equal(a['inputs'], b['inputs']) for a, b in zip(first, changed))


def test_an_epoch_draws_the_same_whatever_was_drawn_before_it(tiny_dataset: Path) -> None:
    """A resumed run starts at its epoch; one never stopped comes from the epoch before."""
    resumed, continued = (PointDataset(str(tiny_dataset), pipeline=[_drawn_seed]) for _ in range(2))
    continued.set_epoch(0)
    assert len({continued[index] for index in range(8)}) == 8
    for dataset in (resumed, continued):
        dataset.set_epoch(1)
    assert [resumed[index] for index in range(8)] == [continued[index] for index in range(8)]


def test_ranks_draw_differently(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for rank in range(2):
        monkeypatch.setattr(seeded, '_rank', lambda rank=rank: rank)
        dataset = PointDataset(str(tiny_dataset), pipeline=[_drawn_seed])
        drawn.append({dataset[index] for index in range(8)})
    assert not drawn[0] & drawn[1]


def _drawn_by_workers(path: Path, epochs: range, *, persistent: bool) -> list[list[int]]:
    """Seeds per epoch; batches go to the workers in turn, so even and odd places are two workers."""
    dataset = PointDataset(str(path), pipeline=[_drawn_seed], seed=5)
    loader: DataLoader[Any] = DataLoader(dataset, 1, num_workers=2, persistent_workers=persistent, collate_fn=_as_list)
    drawn = []
    for epoch in epochs:
        dataset.set_epoch(epoch)
        drawn.append([seed for batch in loader for seed in batch])
    return drawn


@pytest.mark.parametrize('persistent', [False, True], ids=['fresh workers', 'persistent workers'])
def test_workers_and_epochs_draw_differently_and_a_resumed_run_the_same(persistent: bool, tiny_dataset: Path) -> None:
    drawn = _drawn_by_workers(tiny_dataset, range(3), persistent=persistent)
    assert len({seed for epoch in drawn for seed in epoch}) == 3 * 8
    assert _drawn_by_workers(tiny_dataset, range(1, 3), persistent=persistent) == drawn[1:]


def test_two_workers_turn_the_same_image_differently(write_dataset: DatasetWriter) -> None:
    path = write_dataset([{'points': [(20, 20)]}] * 2)
    dataset = PointDataset(str(path), pipeline=AUGMENTED)
    loader: DataLoader[Any] = DataLoader(dataset, 1, num_workers=2, persistent_workers=True, collate_fn=pseudo_collate)
    images = []
    for epoch in range(2):
        dataset.set_epoch(epoch)
        images += [batch['inputs'][0] for batch in loader]
    assert len({image.numpy().tobytes() for image in images}) == 4


@pytest.fixture
def patches(write_dataset: DatasetWriter) -> Path:
    """Image 1 counts its figure, 2 shows one that is counted elsewhere, 3 and 4 only parts, 5 nothing."""
    path = write_dataset([{'points': [(20, 20)]}] * 4 + [{}])
    document = read_coco(path)
    document['annotations'][1]['iscrowd'] = 1
    for index in (2, 3):
        document['annotations'][index] |= {'iscrowd': 1, 'cut': True, 'point': [0, 20]}
    document['images'][3]['label'] = 0
    write_json(path, document)
    return path


def test_image_with_parts_of_figures_only_is_neither_positive_nor_negative(patches: Path) -> None:
    dataset = PointDataset(str(patches))
    assert [dataset[index]['img_id'] for index in range(len(dataset))] == [1, 2, 4, 5]
    assert dataset.labels().tolist() == [1, 1, 0, 0]
    assert dataset.metainfo['num_left_out'] == 1


def test_sample_knows_which_figures_are_counted_elsewhere(patches: Path) -> None:
    dataset = PointDataset(str(patches), pipeline=PLAIN)
    samples = [dataset[index]['data_samples'] for index in range(3)]
    assert [sample.gt_counted.tolist() for sample in samples] == [[True], [False], []]
    assert [sample.gt_points.tolist() for sample in samples] == [[[20, 20]], [[20, 20]], []]
    assert [sample.gt_cut.tolist() for sample in samples] == [[], [], [[0, 20]]]


def test_split_of_a_file_that_holds_several(write_dataset: DatasetWriter) -> None:
    path = write_dataset([{'points': [(20, 20)]}, {}, {}])
    document = read_coco(path)
    for image, split in zip(document['images'], ('train', 'test', 'train')):
        image['split'] = split
    write_json(path, document)
    assert PointDataset(str(path), split='train').labels().tolist() == [1, 0]
    with pytest.raises(AnnotationError, match=r'no image is left after .* split=val'):
        PointDataset(str(path), split='val')


def _with_weights(path: Path, *weights: Any) -> Path:
    document = read_coco(path)
    for image, weight in zip(document['images'], weights):
        if weight is not None:
            image['weight'] = weight
    write_json(path, document)
    return path


def test_weight_of_an_image_is_1_unless_the_file_says_otherwise(write_dataset: DatasetWriter) -> None:
    path = _with_weights(write_dataset([{'points': [(9, 9)]}, {}, {}, {}]), None, 0.25, 0, 1)
    dataset = PointDataset(str(path), pipeline=PLAIN)
    np.testing.assert_array_equal(dataset.weights(), np.array([1, 0.25, 0, 1], dtype=np.float32))
    assert [dataset[index]['data_samples'].gt_weight for index in range(4)] == [1.0, 0.25, 0.0, 1.0]


@pytest.mark.parametrize('weight', [-0.1, 1.5, 'much', [1]])
def test_weight_that_makes_no_sense_is_refused(weight: Any, write_dataset: DatasetWriter) -> None:
    path = _with_weights(write_dataset([{}, {}]), 1, weight)
    with pytest.raises(AnnotationError, match=r'train\.json: the weight of image 2 must be a number from 0 to 1'):
        PointDataset(str(path))


def test_weights_can_be_changed_and_belong_to_what_is_left_of_the_file(write_dataset: DatasetWriter) -> None:
    path = _with_weights(write_dataset([{'case_id': '1'}, {'case_id': '2'}, {'case_id': '2'}]), 0.1, 0.2, 0.3)
    dataset = PointDataset(str(path), case_subset=['2'], pipeline=PLAIN)
    assert dataset.weights() == pytest.approx([0.2, 0.3])
    read = dataset.weights()
    read[:] = 9
    assert dataset.weights() == pytest.approx([0.2, 0.3])
    dataset.set_weights([0.5, 0])
    assert [dataset[index]['data_samples'].gt_weight for index in range(2)] == [0.5, 0.0]
    assert dataset.get_data_info(1)['gt_weight'] == 0.0
    for refused in ([0.5], [0.5, 1.1], [0.5, -0.1], [0.5, np.nan], [[0.5, 1]]):
        with pytest.raises(ValueError, match='expected 2 weights from 0 to 1, found shape'):
            dataset.set_weights(refused)
    assert dataset.weights() == pytest.approx([0.5, 0.0])


def _weight(results: dict[str, Any]) -> float:
    return results['gt_weight']


def test_persistent_workers_see_new_weights(tiny_dataset: Path) -> None:
    dataset = PointDataset(str(tiny_dataset), pipeline=[_weight])
    loader: DataLoader[Any] = DataLoader(dataset, 2, num_workers=1, persistent_workers=True, collate_fn=_as_list)
    epochs = []
    for share in (1, 2):
        dataset.set_weights(np.linspace(0, 1, 8) / share)
        epochs.append([weight for batch in loader for weight in batch])
    assert epochs[0] == pytest.approx(np.linspace(0, 1, 8))
    assert epochs[1] == pytest.approx(np.linspace(0, 1, 8) / 2)


def test_images_with_many_figures_can_be_left_out(write_dataset: DatasetWriter) -> None:
    path = write_dataset([{}, {'points': [(9, 9)]}, {'points': [(9, 9), (30, 30)]}, {'hard_negatives': [(9, 9)] * 3}])

    def left(**arguments: Any) -> list[int]:
        dataset = PointDataset(str(path), **arguments)
        return [dataset.get_data_info(index)['img_id'] for index in range(len(dataset))]

    assert left() == left(max_points=2) == [1, 2, 3, 4]
    assert left(max_points=1) == [1, 2, 4]
    assert left(max_points=1, positive_categories=[1, 2]) == [1, 2]
    assert left(max_points=0) == [1, 4]
    assert PointDataset(str(path), max_points=1).metainfo['num_left_out'] == 1
    with pytest.raises(ConfigError, match=r'dataset\.max_points must be at least 0, or None, found -1'):
        PointDataset(str(path), max_points=-1)
    with pytest.raises(AnnotationError, match=r'no image is left after .* max_points=0'):
        PointDataset(str(path), max_points=0, case_subset=['case_3'])


def test_positive_images_without_points_are_refused_where_points_are_needed(write_dataset: DatasetWriter) -> None:
    path = str(write_dataset([{'points': [(9, 9)]}, {'label': 1}, {}, {'label': 0, 'points': [(9, 9)]}]))
    assert len(PointDataset(path)) == 4
    with pytest.raises(
        AnnotationError, match=r'1 of 4 images are labelled positive without an annotated point.*train_2'
    ):
        PointDataset(path, need_points=True)
    whole = str(write_dataset([{'points': [(9, 9)]}, {}], name='whole'))
    assert len(PointDataset(whole, need_points=True)) == 2


@pytest.mark.parametrize('steps', [['PackPointSample', 'LoadImage'], ['PackPointSample'], ['StainJitter']])
def test_a_pipeline_in_a_wrong_order_is_told(steps: list[str], tiny_dataset: Path) -> None:
    dataset = PointDataset(str(tiny_dataset), pipeline=[{'type': step} for step in steps])
    with pytest.raises(ConfigError, match=f"needs 'img', which no step before it has made: {steps[0]}"):
        dataset[0]
