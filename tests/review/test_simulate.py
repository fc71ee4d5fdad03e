"""The simulated rater: right as often as asked for, the same whenever it is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from review_samples import RADIUS_PX, make_store, sample_document, write_review_files

from mitouts.errors import ReviewError
from mitouts.formats.coco import MITOTIC_FIGURE, make_annotation, make_document, make_image, read_coco
from mitouts.review.items import Item
from mitouts.review.simulate import simulate
from mitouts.review.store import ReviewStore
from mitouts.review.truth import known_truth

NUM_ITEMS = 120


@pytest.fixture
def store(tmp_path: Path):
    files = write_review_files(tmp_path)
    with make_store(files, include='all') as made:
        yield made


@pytest.fixture
def many(tmp_path: Path):
    """A review of 120 annotations, every fourth of them noise."""
    images = [make_image(number, f'{number}.png', 64, 64, case_id='x') for number in range(1, NUM_ITEMS + 1)]
    annotations = [
        make_annotation(number, number, MITOTIC_FIGURE, 30, 30, is_noise=number % 4 == 0)
        for number in range(1, NUM_ITEMS + 1)
    ]
    base = Item(1, 'point', 1, '1.png', 'x', '', None, 64, 64, 30, 30, annotated_xy_px=(30, 30), old_label='mitotic')
    items = [
        replace(base, item_id=number, image_id=number, file_name=f'{number}.png', annotation_id=number)
        for number in range(1, NUM_ITEMS + 1)
    ]
    with ReviewStore.create(tmp_path / 'review.sqlite', items, {'radius_px': 30.0}) as made:
        yield made, make_document(images, annotations, name='many', tool='tests')


def test_who_is_always_right_says_what_is_there(store):
    summary = simulate(store, sample_document(), accuracy=1.0)
    states = store.states('simulated')
    said = {(item.image_id, item.annotation_id): states[item.item_id].label for item in store.items}
    assert said == {
        (1, 1): 'mitotic',
        (2, 2): 'look_alike',
        (3, 3): 'mitotic',
        (3, None): 'look_alike',
        (4, 4): 'mitotic',
        (4, 5): 'mitotic',
        (4, None): 'look_alike',
        (6, None): 'look_alike',
        (7, 6): 'look_alike',
    }
    assert summary == {'items': 9, 'right': 9, 'wrong': 0, 'written': 9}
    assert all(each.blinded and each.role == 'rater' and each.seconds is None for each in states.values())


def test_who_is_always_wrong_says_the_opposite(store):
    simulate(store, sample_document(), rater='right', accuracy=1.0)
    simulate(store, sample_document(), rater='wrong', accuracy=0.0)
    right, wrong = store.states('right'), store.states('wrong')
    assert right.keys() == wrong.keys() == {item.item_id for item in store.items}
    assert all({right[key].label, wrong[key].label} == {'mitotic', 'look_alike'} for key in right)


def test_the_second_time_nothing_is_added(store):
    first = simulate(store, sample_document(), accuracy=0.6, seed=3)
    log = list(store.log())
    again = simulate(store, sample_document(), accuracy=0.6, seed=3)
    assert again == {**first, 'written': 0}
    assert list(store.log()) == log


def test_the_share_of_right_answers_is_the_accuracy(many):
    store, document = many
    summary = simulate(store, document, accuracy=0.9)
    truth = {number: 'look_alike' if number % 4 == 0 else 'mitotic' for number in range(1, NUM_ITEMS + 1)}
    states = store.states('simulated')
    right = {number for number, label in truth.items() if states[number].label == label}
    assert summary['right'] == len(right) == NUM_ITEMS - summary['wrong']
    # Within four standard deviations of the binomial.
    assert abs(len(right) / NUM_ITEMS - 0.9) < 4 * (0.9 * 0.1 / NUM_ITEMS) ** 0.5


def test_errors_depend_on_seed_rater_and_item_alone(many):
    store, document = many

    def wrong(rater: str) -> set[int]:
        truth = {number: 'look_alike' if number % 4 == 0 else 'mitotic' for number in range(1, NUM_ITEMS + 1)}
        return {number for number, decision in store.states(rater).items() if decision.label != truth[number]}

    simulate(store, document, rater='a', accuracy=0.8)
    simulate(store, document, rater='b', accuracy=0.8)
    simulate(store, document, rater='c', accuracy=0.7)
    first = wrong('a')
    assert first != wrong('b') != wrong('c')
    # Whoever is right less often errs where they erred before.
    simulate(store, document, rater='a', accuracy=0.6)
    assert first < wrong('a')
    simulate(store, document, rater='a', accuracy=0.8, seed=1)
    assert wrong('a') != first


def test_the_truth_of_a_place_that_nobody_annotated_is_that_of_the_figures_nearby():
    document = sample_document()
    document['annotations'].append(make_annotation(7, 4, 2, 50, 75, is_noise=True))
    truth = known_truth(document)
    # Annotation 7 is called a hard negative, and wrongly.
    assert truth.is_near_figure(4, (50, 85), RADIUS_PX)
    assert not truth.is_near_figure(4, (50, 85.01), RADIUS_PX)
    assert not truth.is_near_figure(2, (40.25, 50.5), RADIUS_PX)
    document['annotations'][-1]['cut'] = True
    assert not known_truth(document).is_near_figure(4, (50, 80), RADIUS_PX)


def test_noise_may_be_known_of_images_alone():
    document = sample_document()
    for annotation in document['annotations']:
        del annotation['is_noise']
    truth = known_truth(document)
    assert [truth.is_figure(each) for each in document['annotations']] == [True, False, True, True, True, False]
    assert [truth.image_label(number) for number in range(1, 8)] == [1, 0, 1, 1, 0, 0, 0]


def test_noise_may_be_known_of_annotations_alone():
    document = sample_document()
    for image in document['images']:
        del image['is_noise']
    truth = known_truth(document)
    # Of image 6 nothing but its label is known.
    assert [truth.image_label(number) for number in range(1, 8)] == [1, 0, 1, 1, 0, 1, 0]


def test_a_file_that_does_not_know_its_noise_is_refused(tmp_path):
    files = write_review_files(tmp_path, knows_noise=False)
    with make_store(files) as store:
        with pytest.raises(ReviewError, match='neither an image nor an annotation of the annotation file has is_noise'):
            simulate(store, read_coco(files.annotations))
        assert list(store.log()) == []


def test_an_accuracy_that_is_no_probability_is_refused(store):
    with pytest.raises(ReviewError, match=r'accuracy must be from 0 to 1, found 1\.5'):
        simulate(store, sample_document(), accuracy=1.5)
