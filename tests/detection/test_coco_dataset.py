"""mmdetection's own data set reads what this project's tools write, unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_files import NAMES, write_annotations
from mmdet.datasets import CocoDataset

from mitouts.formats.coco import read_coco


@pytest.fixture(params=NAMES, scope='module')
def ann_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_annotations(request.param, tmp_path_factory.mktemp(request.param))


def _read(ann_file: Path, *classes: str, **more: Any) -> CocoDataset:
    return CocoDataset(
        ann_file=ann_file.name,
        data_root=str(ann_file.parent),
        data_prefix=dict(img=''),
        metainfo=dict(classes=classes),
        pipeline=[],
        serialize_data=False,
        **more,
    )


def test_every_annotation_is_a_box_around_its_point(ann_file: Path) -> None:
    document = read_coco(ann_file)
    names = {category['id']: category['name'] for category in document['categories']}
    classes = tuple(names.values())
    dataset = _read(ann_file, *classes)
    assert [dataset.get_data_info(index)['img_id'] for index in range(len(dataset))] == [
        image['id'] for image in document['images']
    ]
    for index, image in enumerate(document['images']):
        info = dataset.get_data_info(index)
        assert (info['width'], info['height']) == (image['width'], image['height'])
        assert Path(info['img_path']) == ann_file.parent / image['file_name']
        expected = [entry for entry in document['annotations'] if entry['image_id'] == image['id']]
        boxes = np.array([instance['bbox'] for instance in info['instances']]).reshape(-1, 2, 2)
        points = np.array([entry['point'] for entry in expected]).reshape(-1, 2)
        np.testing.assert_allclose(boxes.mean(axis=1), points, atol=1e-9)
        assert [classes[i['bbox_label']] for i in info['instances']] == [names[e['category_id']] for e in expected]
        # What is counted in another patch is an ignored region there, too.
        assert [i['ignore_flag'] for i in info['instances']] == [e['iscrowd'] for e in expected]


def test_one_class_is_read_by_its_name(ann_file: Path) -> None:
    document = read_coco(ann_file)
    dataset = _read(ann_file, 'mitotic figure')
    boxes = sum(len(dataset.get_data_info(index)['instances']) for index in range(len(dataset)))
    assert boxes == sum(entry['category_id'] == 1 for entry in document['annotations']) > 0


def test_only_images_with_a_figure_are_left_where_empty_ones_are_filtered(ann_file: Path) -> None:
    document = read_coco(ann_file)
    dataset = _read(ann_file, 'mitotic figure', filter_cfg=dict(filter_empty_gt=True, min_size=32))
    assert {dataset.get_data_info(index)['img_id'] for index in range(len(dataset))} == {
        entry['image_id'] for entry in document['annotations'] if entry['category_id'] == 1
    }
