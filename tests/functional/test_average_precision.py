"""The average precision of boxes around points: by hand, and as pycocotools reads it from an annotation file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mitouts.functional.average_precision import box_average_precision

Arrays = list[NDArray[np.float64]]


def _box(x: float, y: float, side: float) -> dict[str, Any]:
    return {'bbox': [x - side / 2, y - side / 2, side, side], 'category_id': 1, 'area': side * side}


def _coco_eval(points: Arrays, truths: Arrays, ignored: Arrays, box_px: float) -> dict[str, float]:
    annotations: list[dict[str, Any]] = []
    for image_id, (true, crowd) in enumerate(zip(truths, ignored, strict=True), start=1):
        for is_crowd, xy in ((0, true), (1, crowd)):
            for x, y in xy.tolist():
                entry = {'id': len(annotations) + 1, 'image_id': image_id, 'iscrowd': is_crowd}
                annotations.append(entry | _box(x, y, box_px))
    document = COCO()
    document.dataset = {
        'images': [{'id': number} for number in range(1, len(truths) + 1)],
        'annotations': annotations,
        'categories': [{'id': 1, 'name': 'mitotic figure'}],
    }
    document.createIndex()
    found = [
        {'image_id': image_id, 'score': score} | _box(x, y, box_px)
        for image_id, rows in enumerate(points, start=1)
        for x, y, score in rows.tolist()
    ]
    evaluation = COCOeval(document, document.loadRes(found), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {'ap': evaluation.stats[0], 'ap50': evaluation.stats[1]}


def _random_case(seed: int) -> tuple[Arrays, Arrays, Arrays]:
    """Fields of 120 px, where boxes of 50 px overlap: near misses, duplicates, equal scores, noise, crowds."""
    generator = np.random.default_rng(seed)
    points, truths, ignored = [], [], []
    for _ in range(generator.integers(2, 9)):
        true = np.rint(generator.uniform(0, 120, (generator.integers(0, 6), 2)))
        crowd = np.rint(generator.uniform(0, 120, (generator.integers(0, 3), 2)))
        near = np.concatenate([true, true, crowd])
        near = near + generator.normal(0, 6, near.shape).round(generator.integers(0, 3))
        xy = np.concatenate([near, generator.uniform(0, 120, (generator.integers(0, 8), 2))])
        xy = xy[generator.random(len(xy)) < 0.8]
        score = generator.random(len(xy)).round(1 if seed % 2 else 6)
        points.append(np.column_stack([xy, score]))
        truths.append(true)
        ignored.append(crowd)
    points[0] = np.concatenate([points[0], [[300.0, 300.0, 0.5]]])
    truths[0] = np.concatenate([truths[0], [[60.0, 60.0]]])
    return points, truths, ignored


@pytest.mark.parametrize('seed', range(8))
def test_equals_pycocotools(seed: int) -> None:
    points, truths, ignored = _random_case(seed)
    box_px = (50.0, 33.5)[seed % 2]
    ours = box_average_precision(points, truths, ignored, box_px=box_px)
    assert ours == pytest.approx(_coco_eval(points, truths, ignored, box_px), abs=1e-6)
    assert 0 < ours['ap50'] < 1


def test_the_hundred_best_detections_of_an_image_count() -> None:
    beside = [[1000.0, 1000.0, 0.9]] * 99
    truths = [np.array([[100.0, 100.0], [400.0, 100.0]])]
    points = [np.array([*beside, [100.0, 100.0, 0.8], [400.0, 100.0, 0.7]])]
    ours = box_average_precision(points, truths)
    assert ours == pytest.approx(_coco_eval(points, truths, [np.zeros((0, 2))], 50.0), abs=1e-6)
    assert ours['ap50'] == pytest.approx(51 / 101 / 100)


def test_by_hand() -> None:
    # Beside a 50 px box at 10 px the IoU is 40/60: a hit at .50, .55, .60 and .65, not at the other six thresholds.
    truths = [[[100.0, 100.0]], [[40.0, 40.0]]]
    points = [[[110.0, 100.0, 0.9]], [[40.0, 40.0, 0.8], [200.0, 40.0, 0.7]]]
    found = box_average_precision(points, truths)
    assert found['ap50'] == pytest.approx(1.0)
    # There the first detection is false, the second true: precision 1/2 up to the recall 1/2, 51 of the 101 recalls.
    assert found['ap'] == pytest.approx((4 + 6 * 51 / 101 / 2) / 10)


def test_ignored_figures_excuse_what_lies_on_them() -> None:
    truths = [[[100.0, 100.0]]]
    points = [[[300.0, 100.0, 0.9], [301.0, 100.0, 0.8], [100.0, 100.0, 0.7]]]
    assert box_average_precision(points, truths)['ap50'] == pytest.approx(1 / 3)
    assert box_average_precision(points, truths, [[[300.0, 100.0]]])['ap50'] == pytest.approx(1.0)


def test_without_detections_and_without_figures() -> None:
    assert box_average_precision([[]], [[[5.0, 5.0]]]) == {'ap': 0.0, 'ap50': 0.0}
    assert box_average_precision([[[1.0, 1.0, 0.5]]], [[]], [[[1.0, 1.0]]]) == {'ap': None, 'ap50': None}
    assert box_average_precision([], []) == {'ap': None, 'ap50': None}


@pytest.mark.parametrize(
    ('points', 'truths', 'ignored', 'box_px', 'message'),
    [
        ([[]], [[], []], None, 50, 'as many arrays'),
        ([[]], [[]], [[], []], 50, 'as many arrays'),
        ([[[1.0, 2.0]]], [[]], None, 50, r'shape \(N, 3\)'),
        ([[[1.0, 2.0, float('nan')]]], [[]], None, 50, 'finite'),
        ([[]], [[]], None, 0, 'must be positive'),
    ],
)
def test_refuses_what_makes_no_sense(points: Any, truths: Any, ignored: Any, box_px: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        box_average_precision(points, truths, ignored, box_px=box_px)
