from __future__ import annotations

import json

import numpy as np
import pytest
from image_records import evaluated

from mitouts.errors import ConfigError
from mitouts.evaluation.coco_boxes import CocoBoxMetric
from mitouts.evaluation.evaluator import scalars
from mitouts.registry import METRICS

THRESHOLDS = {'image_threshold': 0.5, 'map_threshold': 0.5}


def test_weak_points_count_whatever_the_threshold() -> None:
    found = METRICS.build(dict(type='CocoBoxMetric'))([evaluated(1, [[50, 50]], [[50, 50, 0.02]])], **THRESHOLDS)
    assert found['coco'] == pytest.approx({'ap': 1.0, 'ap50': 1.0, 'box_px': 50.0}, rel=1e-15)


def test_the_size_of_the_boxes_decides_what_is_a_hit() -> None:
    records = [evaluated(1, [[50, 50]], [[60, 50, 0.9]])]
    # 10 px beside the figure, the IoU is 2/3 of boxes of 50 px and 1/3 of boxes of 20 px.
    assert CocoBoxMetric()(records, **THRESHOLDS)['coco']['ap'] == pytest.approx(0.4)
    assert CocoBoxMetric(box_px=20)(records, **THRESHOLDS)['coco']['ap50'] == 0


def test_images_without_points_are_left_out_and_figures_of_other_patches_excused() -> None:
    records = [
        evaluated(1, [[50, 50], [200, 200]], [[200, 200, 0.9], [50, 50, 0.8]], counted=np.array([True, False])),
        evaluated(2, [], [[10, 10, 0.99]], label=1),
    ]
    assert CocoBoxMetric()(records, **THRESHOLDS)['coco']['ap50'] == pytest.approx(1.0, rel=1e-15)
    negative = evaluated(3, [], [[10, 10, 0.99]], label=0)
    assert CocoBoxMetric()([*records, negative], **THRESHOLDS)['coco']['ap50'] == pytest.approx(0.5)


def test_nothing_annotated_is_null_and_breaks_neither_log_nor_json() -> None:
    block = CocoBoxMetric()([evaluated(1, [], [], label=0)], **THRESHOLDS)
    assert json.loads(json.dumps(block)) == {'coco': {'ap': None, 'ap50': None, 'box_px': 50.0}}
    assert scalars({**THRESHOLDS, **block}) == THRESHOLDS


def test_refuses_boxes_without_an_area() -> None:
    with pytest.raises(ConfigError, match='box_px must be positive, found 0'):
        CocoBoxMetric(box_px=0)
