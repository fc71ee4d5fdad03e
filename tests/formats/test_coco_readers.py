"""pycocotools reads what this project's tools write, and scores boxes against it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from coco_files import NAMES, write_annotations
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mitouts.formats.coco import BOX_PX, MITOTIC_FIGURE, read_coco


@pytest.fixture(params=NAMES, scope='module')
def ann_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_annotations(request.param, tmp_path_factory.mktemp(request.param))


def _found(document: dict[str, Any], shift_px: float) -> list[dict[str, Any]]:
    """A box beside every annotation, as a detector would write it."""
    return [
        {
            'image_id': entry['image_id'],
            'category_id': entry['category_id'],
            'bbox': [entry['point'][0] + shift_px - BOX_PX / 2, entry['point'][1] - BOX_PX / 2, BOX_PX, BOX_PX],
            'score': 1 - entry['id'] / 1000,
        }
        for entry in document['annotations']
    ]


def _average_precision(coco: COCO, boxes: list[dict[str, Any]]) -> tuple[float, float]:
    evaluation = COCOeval(coco, coco.loadRes(boxes), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def test_images_boxes_and_categories_are_all_there(ann_file: Path) -> None:
    document, coco = read_coco(ann_file), COCO(str(ann_file))
    assert coco.getImgIds() == [image['id'] for image in document['images']]
    assert {c['name'] for c in coco.loadCats(coco.getCatIds())} == {c['name'] for c in document['categories']}
    for key, ids in (('category_id', 'catIds'), ('image_id', 'imgIds')):
        for value, count in Counter(entry[key] for entry in document['annotations']).items():
            assert len(coco.getAnnIds(**{ids: [value]})) == count
    crowd = [entry['id'] for entry in document['annotations'] if entry['iscrowd']]
    assert coco.getAnnIds(iscrowd=True) == crowd
    assert bool(crowd) == (document['info']['mitouts']['tool'] == 'prepare_patches')
    for entry in coco.loadAnns(coco.getAnnIds()):
        x, y, width, height = entry['bbox']
        assert [x + width / 2, y + height / 2] == entry['point']
        assert entry['area'] == width * height == BOX_PX**2


def test_boxes_on_the_points_have_an_average_precision_of_one(ann_file: Path) -> None:
    document, coco = read_coco(ann_file), COCO(str(ann_file))
    assert any(entry['category_id'] == MITOTIC_FIGURE for entry in document['annotations'])
    assert _average_precision(coco, _found(document, 0.0)) == pytest.approx((1.0, 1.0))
    # 10 px aside the intersection over union is 2/3, which is enough at four of the ten thresholds.
    beside, beside_at_half = _average_precision(coco, _found(document, 10.0))
    assert beside_at_half == pytest.approx(1.0)
    assert 0.4 <= beside < 1
