"""Crops around figures and hard negatives: which there are, where they are cut, and what augmentation does to them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mitouts.datasets import ClassBalancedSampler, FigureCropDataset, figure_crops
from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, make_annotation, read_coco, write_json
from mitouts.imaging.image import read_rgb
from mitouts.registry import DATASETS

DatasetWriter = Callable[..., Path]
PACKED = [dict(type='PackPointSample')]
AUGMENTED = [dict(type='Augment', recipe='alpha'), dict(type='StainJitter'), *PACKED]


def crops(path: Path, **arguments: Any) -> FigureCropDataset:
    return DATASETS.build(dict(type='FigureCropDataset', ann_file=str(path), crop_px=16, **arguments))


def places(dataset: FigureCropDataset) -> list[tuple[int, tuple[float, float], int]]:
    infos = map(dataset.get_data_info, range(len(dataset)))
    return [(info['image_id'], info['center_xy'], info['gt_label']) for info in infos]


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    document = read_coco(path)
    change(document)
    write_json(path, document)
    return path


def propose(document: dict[str, Any], image_id: int, x: float, y: float, **extra: Any) -> None:
    number = max(each['id'] for each in document['annotations']) + 1
    document['annotations'].append(make_annotation(number, image_id, HARD_NEGATIVE, x, y, **extra))


FIGURES = [(1, (20.0, 30.0), 1), (2, (40.5, 10.25), 1), (2, (12.0, 40.0), 1), (3, (50.0, 20.0), 1)]
LOOK_ALIKES = [(3, (15.0, 15.0), 0), (4, (33.0, 24.0), 0), (5, (10.0, 30.0), 0)]


def test_a_crop_for_each_figure_and_each_hard_negative(tiny_dataset: Path) -> None:
    dataset = crops(tiny_dataset)
    assert sorted(places(dataset)) == sorted(FIGURES + LOOK_ALIKES)
    assert dataset.labels().tolist() == [label for _, _, label in places(dataset)]
    assert dataset.metainfo['classes'] == ('mitotic figure',)
    ids = [dataset.get_data_info(index)['img_id'] for index in range(len(dataset))]
    assert len(set(ids)) == len(ids)


def test_proposals_are_negatives_even_where_look_alikes_are_figures(tiny_dataset: Path) -> None:
    edit(tiny_dataset, lambda document: propose(document, 8, 9.5, 21.0, score=0.7, proposed=True))
    assert (8, (9.5, 21.0), 0) in places(crops(tiny_dataset))
    both = places(crops(tiny_dataset, positive_categories=[1, 2]))
    assert [place for place in both if place[2] == 0] == [(8, (9.5, 21.0), 0)]
    assert len(both) == len(FIGURES) + len(LOOK_ALIKES) + 1


def test_figures_of_other_images_and_cut_ones_are_neither(tiny_dataset: Path) -> None:
    def hide(document: dict[str, Any]) -> None:
        document['annotations'][0]['iscrowd'] = 1
        document['annotations'][1] |= {'iscrowd': 1, 'cut': True}
        look_alike = next(each for each in document['annotations'] if each['category_id'] == HARD_NEGATIVE)
        look_alike['iscrowd'] = 1

    dataset = crops(edit(tiny_dataset, hide), background=3)
    found = places(dataset)
    assert [place for place in found if place[2] == 1] == FIGURES[2:]
    assert (3, (15.0, 15.0), 0) not in found
    for image_id, (x, y), label in found:
        if image_id == 1 and label == 0:
            assert np.hypot(x - 20, y - 30) >= 16


def test_a_given_label_goes_before_the_points(write_dataset: DatasetWriter) -> None:
    path = write_dataset([{'label': 0, 'points': [(20, 20)]}, {'label': 1}, {'label': 1, 'points': [(30, 20)]}])
    found = places(crops(path, background=2))
    assert [place for place in found if place[2] == 1] == [(3, (30.0, 20.0), 1)]
    # Nobody knows where the second image's figure is.
    assert {image_id for image_id, _, label in found if label == 0} == {1, 3}


def test_background_is_away_from_figures_and_the_same_every_time(tiny_dataset: Path) -> None:
    dataset = crops(tiny_dataset, background=4)
    found = places(dataset)
    assert found == places(crops(tiny_dataset, background=4, seed=9))
    assert found != places(crops(tiny_dataset, background=4, background_seed=1))
    random = [place for place in found if place not in FIGURES + LOOK_ALIKES]
    assert len(random) == 8 * 4
    for image_id, point, label in random:
        assert label == 0
        assert 0 <= point[0] <= 63
        assert 0 <= point[1] <= 47
        figures = [xy for number, xy, _ in FIGURES if number == image_id]
        assert all(np.hypot(*np.subtract(point, xy)) >= 16 for xy in figures)


def test_an_image_full_of_figures_has_fewer_background_crops(write_dataset: DatasetWriter) -> None:
    grid = [(float(x), float(y)) for x in range(4, 64, 8) for y in range(4, 48, 8)]
    path = write_dataset([{'points': grid}, {}])
    assert [image_id for image_id, _, label in places(crops(path, background=2)) if label == 0] == [2, 2]


def test_a_crop_is_cut_from_the_reflected_image(tiny_dataset: Path) -> None:
    dataset = crops(tiny_dataset, background=3, pipeline=PACKED)
    names = {image['id']: image['file_name'] for image in read_coco(tiny_dataset)['images']}
    reached_over = 0
    for index, (image_id, (x, y), label) in enumerate(places(dataset)):
        image = read_rgb(tiny_dataset.parent / names[image_id])
        padded = np.pad(image, [(16, 16), (16, 16), (0, 0)], mode='reflect')
        left, top = (int(np.floor(value - 7.5 + 0.5)) for value in (x, y))
        reached_over += left < 0 or top < 0 or left + 16 > 64 or top + 16 > 48
        item = dataset[index]
        np.testing.assert_array_equal(
            item['inputs'].numpy().transpose(1, 2, 0), padded[top + 16 : top + 32, left + 16 : left + 32]
        )
        sample = item['data_samples']
        assert sample.gt_label == label
        assert (sample.ori_shape, sample.mpp, sample.case_id) == ((16, 16), 0.25, f'case_{image_id}')
        assert sample.gt_points.tolist() == ([[x - left, y - top]] if label else [])
    assert reached_over > 2


def test_jitter_moves_the_crop_and_its_point_with_it(tiny_dataset: Path) -> None:
    dataset = crops(tiny_dataset, jitter_px=4, pipeline=PACKED)
    seen = set()
    for epoch in range(12):
        dataset.set_epoch(epoch)
        item = dataset[0]
        x, y = item['data_samples'].gt_points[0].tolist()
        assert abs(x - 7.5) <= 4.5
        assert abs(y - 7.5) <= 4.5
        seen.add((x, y))
        # The figures of this data set are dark blobs: the point lies on the darkest pixel.
        darkness = -item['inputs'].sum(dim=0).float()
        row, column = divmod(int(darkness.argmax()), 16)
        assert abs(column - x) <= 0.5
        assert abs(row - y) <= 0.5
    assert len(seen) > 6


def test_augmentation_keeps_the_label_and_repeats_itself_in_no_epoch(tiny_dataset: Path) -> None:
    dataset = crops(tiny_dataset, jitter_px=6, background=1, pipeline=AUGMENTED)
    drawn = []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        loader = DataLoader(dataset, batch_size=len(dataset), collate_fn=pseudo_collate)
        (batch,) = loader
        assert [sample.gt_label for sample in batch['data_samples']] == dataset.labels().tolist()
        drawn.append(np.stack([each.numpy() for each in batch['inputs']]))
        dataset._generator_key = ()
    assert drawn[0].shape[1:] == (3, 16, 16)
    assert not np.array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


def test_both_labels_are_drawn_alike_and_weightless_images_not_at_all(tiny_dataset: Path) -> None:
    def weigh(document: dict[str, Any]) -> None:
        document['images'][1]['weight'] = 0.0
        document['images'][2]['weight'] = 0.5

    dataset = crops(edit(tiny_dataset, weigh), background=2, pipeline=PACKED)
    found = places(dataset)
    assert dataset.weights().tolist() == [{2: 0.0, 3: 0.5}.get(image_id, 1.0) for image_id, _, _ in found]
    drawn = list(ClassBalancedSampler(dataset, seed=0))
    assert np.mean([found[index][2] for index in drawn]) == 0.5
    assert all(found[index][0] != 2 for index in drawn)
    half = next(index for index, place in enumerate(found) if place[0] == 3)
    assert dataset[half]['data_samples'].gt_weight == 0.5


def test_images_are_read_once_as_long_as_they_fit(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: str, **arguments: Any) -> Any:
        read.append(Path(path).name)
        return read_rgb(path, **arguments)

    monkeypatch.setattr(figure_crops, 'read_rgb', counted)
    dataset = crops(tiny_dataset, pipeline=PACKED)
    for _ in range(2):
        for index in range(len(dataset)):
            dataset[index]
    assert sorted(read) == sorted({f'train_{number}.png' for number in (1, 2, 3, 4, 5)})
    images = figure_crops.DecodedImages(max_bytes=2 * 64 * 48 * 3)
    read.clear()
    folder = tiny_dataset.parent / 'images'
    for number in (1, 2, 1, 3, 1, 2):
        images.read(str(folder / f'train_{number}.png'), (64, 48))
    assert read == [f'train_{number}.png' for number in (1, 2, 3, 2)]


def test_a_copy_in_another_process_takes_no_images_with_it(tiny_dataset: Path) -> None:
    dataset = crops(tiny_dataset, pipeline=PACKED)
    before = len(pickle.dumps(dataset))
    for index in range(len(dataset)):
        dataset[index]
    assert len(pickle.dumps(dataset)) <= before + 200
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset))[0]['inputs'], dataset[0]['inputs'])


def test_what_nothing_can_be_learnt_from_is_refused(write_dataset: DatasetWriter, tiny_dataset: Path) -> None:
    only_figures = write_dataset([{'points': [(20, 20)]}], 'figures')
    with pytest.raises(AnnotationError, match='there is no hard negative: let a localizer propose some'):
        crops(only_figures)
    assert len(crops(only_figures, background=1)) == 2
    with pytest.raises(AnnotationError, match=r'no figure of the categories \[1\] is annotated'):
        crops(write_dataset([{'hard_negatives': [(20, 20)]}], 'look_alikes'))
    with pytest.raises(ConfigError, match=r'positive_categories holds \[7\], but .* 1 \(mitotic figure\)'):
        crops(tiny_dataset, positive_categories=[MITOTIC_FIGURE, 7])
    (tiny_dataset.parent / 'images' / 'train_3.png').unlink()
    with pytest.raises(AnnotationError, match=r'1 of 5 images do not exist, the first is .*train_3\.png'):
        crops(tiny_dataset)


@pytest.mark.parametrize('argument', ['jitter_px', 'background', 'cache_mib'])
def test_negative_numbers_are_refused(argument: str, tiny_dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r'must be at least 0, found .*-1'):
        crops(tiny_dataset, **{argument: -1})
    with pytest.raises(ConfigError, match='crop_px must be at least 1, found 0'):
        DATASETS.build(dict(type='FigureCropDataset', ann_file=str(tiny_dataset), crop_px=0))
