import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.errors import ReviewError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, make_annotation, make_document, make_image
from mitouts.review.items import build_items

RADIUS_PX = 30.0
DIAGONAL_PX = math.hypot(240, 240)


def sample(image_id, *, annotated=(), predicted=(), label=1, verdict='drop', **further):
    return {
        'image_id': image_id,
        'file_name': f'{image_id}.png',
        'case_id': 'a',
        'label': label,
        'verdict': verdict,
        'reason': 'no_prediction',
        'score': 0.4,
        'annotated_points': [list(point) for point in annotated],
        'predicted_points': [list(point) for point in predicted],
        **further,
    }


def files(*samples, category_id=MITOTIC_FIGURE):
    images = [
        make_image(each['image_id'], each['file_name'], 240, 240, case_id=each['case_id'], mpp=0.25, scanner='S')
        for each in samples
    ]
    annotations = [
        make_annotation(10 * each['image_id'] + number, each['image_id'], category_id, x, y)
        for each in samples
        for number, (x, y) in enumerate(each['annotated_points'])
    ]
    hard = {'info': {'criterion': {'radius_px': RADIUS_PX}}, 'images': list(samples)}
    return hard, make_document(images, annotations, name='t', tool='t')


def places(items):
    return sorted((item.image_id, item.x_px, item.y_px) for item in items)


def test_a_point_that_both_see_is_one_item_and_others_are_their_own():
    hard, document = files(sample(1, annotated=[(50.5, 60.5), (200, 200)], predicted=[(60, 60, 0.9), (120, 30, 0.8)]))
    items = build_items(hard, document)
    assert places(items) == [(1, 50.5, 60.5), (1, 120, 30), (1, 200, 200)]
    both, predicted, annotated = sorted(items, key=lambda item: item.x_px)
    assert (both.annotation_id, both.predicted_xy_px, both.predicted_score) == (10, (60, 60), 0.9)
    assert both.distance_px == pytest.approx(math.hypot(9.5, 0.5))
    assert (predicted.annotation_id, predicted.old_label, predicted.predicted_xy_px) == (None, None, (120, 30))
    assert predicted.distance_px == pytest.approx(math.hypot(69.5, 30.5))
    assert (annotated.annotation_id, annotated.old_label, annotated.predicted_xy_px) == (11, 'mitotic', None)
    assert annotated.distance_px == pytest.approx(math.hypot(80, 170))


def test_the_radius_is_inclusive_and_the_stronger_prediction_stands_for_its_neighbours():
    hard, document = files(
        sample(1, annotated=[(100, 100)], predicted=[(130, 100, 0.9), (30, 30, 0.6), (30, 50, 0.7), (30, 80.1, 0.65)])
    )
    items = build_items(hard, document)
    assert places(items) == [(1, 30, 50), (1, 30, 80.1), (1, 100, 100)]
    assert next(item for item in items if item.x_px == 100).predicted_xy_px == (130, 100)


def test_what_nobody_points_at_is_judged_as_a_whole_image():
    hard, document = files(
        sample(1, label=1),
        sample(2, label=1, predicted=[(10, 10, 0.9)]),
        sample(3, label=0, reason='image_error'),
        sample(4, label=0, predicted=[(20, 20, 0.9)], reason='image_error'),
        sample(5, label=0, verdict='keep'),
    )
    items = build_items(hard, document, include='all')
    assert {(item.image_id, item.kind, item.old_label) for item in items} == {
        (1, 'image', 'mitotic'),
        (2, 'image', 'mitotic'),
        (2, 'point', None),
        (3, 'image', 'look_alike'),
        (4, 'point', None),
    }
    assert next(item for item in items if item.image_id == 1).anchor_px == (120, 120)


def test_only_hard_samples_are_taken_unless_all_are_asked_for():
    samples = [
        sample(1, annotated=[(50, 50)]),
        sample(2, annotated=[(50, 50)], verdict='keep', weight=0.49),
        sample(3, annotated=[(50, 50)], verdict='keep', weight=0.5),
        sample(4, annotated=[(50, 50)], verdict='keep'),
    ]
    hard, document = files(*samples)
    assert {item.image_id for item in build_items(hard, document)} == {1, 2}
    assert {item.image_id for item in build_items(hard, document, include='all')} == {1, 2, 3, 4}


def test_controls_are_drawn_among_the_others():
    samples = [sample(n, annotated=[(50, 50)], verdict='drop' if n < 4 else 'keep') for n in range(1, 30)]
    hard, document = files(*samples)
    drawn = {
        seed: {item.image_id for item in build_items(hard, document, num_controls=5, seed=seed)} - {1, 2, 3}
        for seed in range(8)
    }
    assert all(len(each) == 5 and min(each) > 3 for each in drawn.values())
    assert len({frozenset(each) for each in drawn.values()}) > 1
    with pytest.raises(ReviewError, match='only 26 other samples'):
        build_items(hard, document, num_controls=27)


def test_a_look_alike_that_counts_as_a_figure_keeps_its_label():
    hard, document = files(sample(1, annotated=[(50, 50)]), category_id=HARD_NEGATIVE)
    assert [item.old_label for item in build_items(hard, document)] == ['look_alike']


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 5), st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_numbers_are_a_permutation_and_ranks_follow_the_distance(spare, seed, random):
    samples = [
        sample(n, annotated=[(random.uniform(0, 239), 20)], predicted=[(random.uniform(0, 239), 20, 0.9)])
        for n in range(1, 8 + spare)
    ]
    hard, document = files(*samples)
    items = build_items(hard, document, seed=seed)
    assert [item.item_id for item in items] == list(range(1, len(items) + 1))
    ranked = sorted(items, key=lambda item: item.rank)
    assert [item.rank for item in ranked] == list(range(len(items)))
    assert all(a.distance_px >= b.distance_px for a, b in pairwise(ranked))


def test_numbers_do_not_tell_the_rank():
    samples = [sample(n, annotated=[(100, 100)], predicted=[(100 + n / 2, 100, 0.9)]) for n in range(1, 201)]
    hard, document = files(*samples)
    items = build_items(hard, document, seed=3)
    correlation = np.corrcoef([item.item_id for item in items], [item.rank for item in items])[0, 1]
    # Twice the standard error of no correlation at all would be 0.14.
    assert abs(correlation) < 0.2
    assert items == build_items(hard, document, seed=3)


def test_anchors_round_halves_up():
    hard, document = files(sample(1, annotated=[(50.5, 60.49)]))
    assert build_items(hard, document)[0].anchor_px == (51, 60)


@pytest.mark.parametrize(
    ('hard', 'match'),
    [
        ({'images': []}, 'holds? no image'),
        ({'images': [{**sample(1), 'file_name': 'other.png'}]}, 'calls it 1.png'),
        ({'images': [sample(7)]}, 'has no such image'),
        ({'images': [{k: v for k, v in sample(1).items() if k != 'predicted_points'}]}, 'no predicted_points'),
        ({'images': [sample(1, annotated=[(1, 2)])]}, 'no point there'),
        ({'images': [sample(1, verdict='keep')]}, 'nothing to review'),
    ],
)
def test_files_that_do_not_fit_are_refused(hard, match):
    document = files(sample(1))[1]
    with pytest.raises(ReviewError, match=match):
        build_items(hard, document)
