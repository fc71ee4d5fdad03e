from __future__ import annotations

import json

import numpy as np
import pytest
from image_records import changed, evaluated

from mitouts.errors import AnnotationError, ConfigError
from mitouts.evaluation.coco_boxes import CocoBoxMetric
from mitouts.evaluation.metrics import CentroidMetric, ImageMetric
from mitouts.functional.localization import froc_curve, score_localization
from mitouts.registry import METRICS, THRESHOLD_SELECTORS

RECORDS = [
    evaluated(0, [[20, 20]], [[24, 23, 0.9], [20, 40, 0.8]]),
    evaluated(1, [[50, 50], [200, 60]], [[50, 75, 0.7]]),
    evaluated(2, [], [[10, 10, 0.4]]),
    evaluated(3, [[120, 120]], [[130, 120, 0.6], [10, 200, 0.55]]),
]
THRESHOLDS = {'image_threshold': 0.5, 'map_threshold': 0.5}


def test_figures_counted_in_another_patch_are_neither_true_nor_false():
    shown = evaluated(
        4,
        [[20, 20], [200, 200]],
        [[21, 20, 0.9], [200, 195, 0.8], [0, 100, 0.7], [100, 100, 0.6]],
        counted=np.array([True, False]),
        cut=np.array([[0.0, 110.0]]),
    )
    blocks = CentroidMetric(radius_px=30)([shown], **THRESHOLDS)
    for protocol in ('one_to_one', 'presence'):
        assert (blocks[protocol]['tp'], blocks[protocol]['fp'], blocks[protocol]['fn']) == (1, 1, 0)
    # One false positive an image at full sensitivity.
    assert blocks['froc']['sensitivity'] == [1.0] * 6


def test_second_prediction_on_a_counted_figure_stays_false():
    twice = evaluated(5, [[20, 20]], [[21, 20, 0.9], [24, 20, 0.8]], cut=np.array([[100.0, 0.0]]))
    block = CentroidMetric(radius_px=30)([twice], **THRESHOLDS)['one_to_one']
    assert (block['tp'], block['fp'], block['fn']) == (1, 1, 0)


def test_image_metric_by_hand():
    records = [changed(RECORDS[0], score=0.4), *RECORDS[1:]]
    block = ImageMetric()(records, **THRESHOLDS)['image']
    assert (block['tp'], block['fp'], block['fn'], block['tn']) == (2, 0, 1, 1)
    assert block['auc'] == pytest.approx(2.5 / 3)
    assert (block['f1'], block['accuracy']) == pytest.approx((0.8, 0.75))


def test_centroid_metric_by_hand():
    results = CentroidMetric(num_bootstrap=50)(RECORDS, **THRESHOLDS)
    assert list(results) == ['one_to_one', 'presence', 'froc']
    one_to_one, presence = results['one_to_one'], results['presence']
    assert [one_to_one[key] for key in ('tp', 'fp', 'fn')] == [3, 2, 1]
    assert [presence[key] for key in ('tp', 'fp', 'fn')] == [4, 1, 1]
    assert one_to_one['f1'] == pytest.approx(6 / 9)
    assert presence['f1'] == pytest.approx(0.8)
    assert one_to_one['radius'] == '30 px'
    low, high = one_to_one['f1_ci95']
    assert low <= one_to_one['f1'] <= high


def test_centroid_metric_uses_the_map_threshold():
    strict = CentroidMetric()(RECORDS, image_threshold=0.1, map_threshold=0.7)['one_to_one']
    assert [strict[key] for key in ('tp', 'fp', 'fn')] == [1, 1, 3]


def test_further_radii_name_themselves():
    results = CentroidMetric(radius_px=[30, 15], num_bootstrap=0)(RECORDS, **THRESHOLDS)
    assert list(results) == ['one_to_one', 'presence', 'froc', 'one_to_one@15px', 'presence@15px', 'froc@15px']
    assert results['one_to_one']['tp'] == 3
    assert results['one_to_one@15px']['tp'] == 2
    assert results['one_to_one@15px']['radius'] == '15 px'
    assert results['one_to_one']['f1_ci95'] is None


def test_radius_in_micrometres_follows_each_image():
    # 5 um are 20 px at 0.25 um/px and 40 px at 0.125: the detection 25 px away counts on the latter only.
    coarse = CentroidMetric(radius_um=5.0)(RECORDS, **THRESHOLDS)['one_to_one']
    fine = CentroidMetric(radius_um=5.0)([changed(each, mpp=0.125) for each in RECORDS], **THRESHOLDS)['one_to_one']
    assert (coarse['tp'], fine['tp']) == (2, 3)
    assert coarse['radius'] == '5 um'


def test_radius_in_micrometres_needs_the_resolution():
    records = [*RECORDS[:2], changed(RECORDS[2], mpp=None)]
    with pytest.raises(AnnotationError, match=r'image 2 \(case case 1\) has no mpp'):
        CentroidMetric(radius_um=7.5)(records, **THRESHOLDS)


def test_one_protocol_only():
    assert list(CentroidMetric(protocols=['presence'])(RECORDS, **THRESHOLDS)) == ['presence', 'froc']


def test_froc_block_covers_all_thresholds():
    block = CentroidMetric()(RECORDS, image_threshold=0.5, map_threshold=2.0)['froc']
    curve = froc_curve(
        [each.prediction.points for each in RECORDS], [each.truth.points for each in RECORDS], radius_px=30
    )
    assert block['fp_per_image'] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    assert block['sensitivity'][-1] == curve.sensitivity[-1] == 0.75
    assert block['average_sensitivity'] == pytest.approx(np.mean(block['sensitivity']))


def test_results_are_plain_json():
    results = {**ImageMetric()(RECORDS, **THRESHOLDS), **CentroidMetric()(RECORDS, **THRESHOLDS)}
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_one_case_has_no_interval():
    records = [changed(each, case_id='only') for each in RECORDS]
    assert CentroidMetric()(records, **THRESHOLDS)['one_to_one']['f1_ci95'] is None


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'radius_px': 30, 'radius_um': 7.5}, 'radius_px or radius_um, not both'),
        ({'radius_px': 0}, 'distinct positive radii, found 0'),
        ({'num_bootstrap': -1}, 'num_bootstrap must be at least 0, found -1'),
        ({'radius_px': [30, 30]}, r'distinct positive radii, found \[30, 30\]'),
        ({'protocols': ['hungarian']}, "unknown protocol 'hungarian'; known are one_to_one, presence"),
    ],
)
def test_centroid_metric_refuses(arguments, message):
    with pytest.raises(ConfigError, match=message):
        CentroidMetric(**arguments)


def test_configs_build_them_by_name():
    metric = METRICS.build({'type': 'CentroidMetric', 'radius_px': [30, 15], 'seed': 3})
    assert metric.radii == (30.0, 15.0)
    built = metric(RECORDS, **THRESHOLDS)['one_to_one']
    direct = score_localization(
        [each.prediction.points for each in RECORDS],
        [each.truth.points for each in RECORDS],
        radius_px=30,
        threshold=0.5,
        cases=[each.truth.case_id for each in RECORDS],
        seed=3,
    )
    assert built == {**direct.to_dict(), 'radius': '30 px'}
    assert METRICS.build({'type': 'ImageMetric'})(RECORDS, **THRESHOLDS)['image']['tp'] == 3


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        ({'type': 'MaxF1Threshold'}, 0.5),
        ({'type': 'MaxF1Threshold', 'prevalence': 0.05}, 20.5),
        ({'type': 'YoudenThreshold'}, 20.5),
        ({'type': 'ClosestCornerThreshold'}, 13.5),
        ({'type': 'FixedThreshold', 'value': 8.0}, 8.0),
    ],
)
def test_threshold_selectors(config, expected):
    # Descending: half the positives first, so (FPR, TPR) is (0, 0.5) there, (0.3, 0.7) below 14, and (1, 1) below 1.
    labels = [1] * 10 + [0] * 3 + [1] * 4 + [0] * 7 + [1] * 6
    assert THRESHOLD_SELECTORS.build(config)(np.arange(30, 0, -1), labels) == expected


def test_threshold_selectors_refuse():
    with pytest.raises(ValueError, match='needs both classes'):
        THRESHOLD_SELECTORS.build({'type': 'MaxF1Threshold'})([0.1, 0.2], [0, 0])
    with pytest.raises(ConfigError, match='prevalence must lie between 0 and 1'):
        THRESHOLD_SELECTORS.build({'type': 'MaxF1Threshold', 'prevalence': 0})
    with pytest.raises(ConfigError, match='value must be finite'):
        THRESHOLD_SELECTORS.build({'type': 'FixedThreshold', 'value': float('nan')})


def test_positive_images_without_points_are_not_scored():
    unlocated = evaluated(9, [], [[30, 30, 0.9]], label=1)
    assert CentroidMetric()([*RECORDS, unlocated], **THRESHOLDS) == CentroidMetric()(RECORDS, **THRESHOLDS)


UNLOCATED = [evaluated(20 + number, [], [[30, 30, 0.9]], label=1) for number in range(3)]
NEGATIVE = [evaluated(30 + number, [], [[30, 30, 0.8], [90, 90, 0.2]]) for number in range(2)]


def test_where_positive_images_have_labels_alone_no_number_of_points_is_given():
    for records in (UNLOCATED, [*UNLOCATED, *NEGATIVE]):
        results = CentroidMetric(radius_px=[30, 15])(records, **THRESHOLDS)
        assert len(results) == 6
        for key, block in results.items():
            given = {'protocol', 'radius', 'fp_per_image'} & block.keys()
            assert {name for name, value in block.items() if value is not None} == given, key
        assert CocoBoxMetric()(records, **THRESHOLDS)['coco'] == {'ap': None, 'ap50': None, 'box_px': 50.0}


def test_on_negative_images_false_positives_are_counted_and_no_ratio_is_given():
    block = CentroidMetric()(NEGATIVE, **THRESHOLDS)
    assert [block['one_to_one'][key] for key in ('tp', 'fp', 'fn')] == [0, 2, 0]
    assert [block['one_to_one'][key] for key in ('precision', 'recall', 'f1', 'f1_ci95')] == [None] * 4
    assert (block['froc']['average_sensitivity'], block['froc']['sensitivity']) == (None, None)
