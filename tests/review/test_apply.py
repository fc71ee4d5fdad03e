"""From decisions to the corrected annotation file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from review_samples import (
    DROPPED_IMAGES,
    RADIUS_PX,
    ReviewFiles,
    decide,
    item_of,
    make_store,
    offset_to,
    sample_document,
    sample_hard_samples,
    write_review_files,
)

from mitouts.errors import AnnotationError, ReviewError
from mitouts.formats.coco import image_root, read_coco, write_json
from mitouts.review.apply import apply_review, reviewed_document
from mitouts.review.items import build_items
from mitouts.review.simulate import simulate
from mitouts.review.store import ReviewStore
from mitouts.utils.files import file_sha256


@pytest.fixture
def files(tmp_path: Path) -> ReviewFiles:
    return write_review_files(tmp_path)


@pytest.fixture
def store(files: ReviewFiles):
    with make_store(files) as made:
        yield made


@pytest.fixture
def document(files: ReviewFiles):
    return read_coco(files.annotations)


def images_of(document) -> dict:
    return {image['id']: image for image in document['images']}


def annotations_of(document) -> dict:
    return {annotation['id']: annotation for annotation in document['annotations']}


def new_ones(reviewed) -> list[dict]:
    return [each for each in reviewed['annotations'] if each['id'] > 6]


def test_without_decisions_everything_stays(store, document):
    reviewed, summary = reviewed_document(document, store)
    assert reviewed['images'] == document['images']
    assert reviewed['annotations'] == document['annotations']
    assert (summary['not_reviewed'], summary['decided'], summary['undecided']) == (8, 0, 0)
    assert (summary['images'], summary['images_left_out'], summary['labels_changed']) == (7, 0, 0)


def test_without_decisions_dropping_the_undecided_is_what_the_distillation_did(files, document):
    with make_store(files, include='all') as store:
        reviewed, summary = reviewed_document(document, store, undecided='drop')
    assert images_of(reviewed).keys() == {1, 2, 3, 4, 5, 6, 7} - set(DROPPED_IMAGES)
    assert [each['id'] for each in reviewed['annotations']] == [1]
    assert summary['images_left_out'] == 5


def test_a_confirmed_figure_stays_as_it_is(store, document):
    item = item_of(store, 3, 3)
    decide(store, item, 'mitotic')
    reviewed, summary = reviewed_document(document, store)
    found = annotations_of(reviewed)[3]
    record = {'from': 'mitotic', 'to': 'mitotic', 'votes': {'anna': 'mitotic'}, 'rule': 'majority'}
    assert found == {**annotations_of(document)[3], 'review': {**record, 'item': item.item_id}}
    assert summary['confirmed'] == 1


def test_a_rejected_figure_becomes_a_hard_negative_and_its_image_negative(store, document):
    decide(store, item_of(store, 2, 2), 'look_alike')
    reviewed, summary = reviewed_document(document, store)
    found = annotations_of(reviewed)[2]
    assert (found['category_id'], found['point'], found['is_noise']) == (2, [40.25, 50.5], False)
    assert (found['review']['from'], found['review']['to']) == ('mitotic', 'look_alike')
    assert images_of(reviewed)[2] == {**images_of(document)[2], 'is_noise': False}
    assert (summary['to_look_alike'], summary['labels_changed']) == (1, 1)
    assert images_of(document)[2]['is_noise'] is True


def test_a_figure_moves_to_where_the_raters_saw_it(store, document):
    item = item_of(store, 3, 3)
    decide(store, item, 'mitotic', moved_px=offset_to(item, 36, 28))
    decide(store, item, 'mitotic', rater='ben')
    reviewed, summary = reviewed_document(document, store)
    found = annotations_of(reviewed)[3]
    # The middle of where one put it and the other left it.
    assert found['point'] == [33.25, 29.25]
    assert found['bbox'] == [33.25 - 25, 29.25 - 25, 50, 50]
    assert found['review']['moved_px'] == [2.75, -1.25]
    assert summary['moved'] == 1


def test_who_is_outvoted_does_not_move_it(store, document):
    item = item_of(store, 3, 3)
    decide(store, item, 'mitotic')
    decide(store, item, 'mitotic', rater='ben')
    decide(store, item, 'look_alike', rater='carl', moved_px=(3, 3))
    decide(store, item, 'unsure', rater='dora', moved_px=(3, 3))
    reviewed, _ = reviewed_document(document, store)
    assert annotations_of(reviewed)[3]['point'] == [30.5, 30.5]
    assert 'moved_px' not in annotations_of(reviewed)[3]['review']


def test_a_place_outside_the_image_is_brought_back(store, document):
    item = item_of(store, 3, 3)
    decide(store, item, 'mitotic', moved_px=(-500, 900))
    reviewed, _ = reviewed_document(document, store)
    assert annotations_of(reviewed)[3]['point'] == [0, 95]


@pytest.mark.parametrize(('label', 'category', 'noise'), [('mitotic', 1, True), ('look_alike', 2, False)])
def test_a_place_that_only_the_teacher_saw_becomes_an_annotation(store, document, label, category, noise):
    decide(store, item_of(store, 3), label)
    reviewed, summary = reviewed_document(document, store)
    (found,) = new_ones(reviewed)
    assert (found['id'], found['image_id'], found['category_id']) == (7, 3, category)
    assert (found['point'], found['bbox']) == ([70.2, 60.9], [70.2 - 25, 60.9 - 25, 50, 50])
    assert (found['review']['from'], found['review']['to'], found['is_noise']) == (None, label, noise)
    assert (summary['new_figures'], summary['new_look_alikes']) == (int(category == 1), int(category == 2))
    assert reviewed['annotations'][:6] == document['annotations']


@pytest.mark.parametrize(('label', 'given', 'noise'), [('mitotic', 1, True), ('look_alike', 0, False)])
def test_an_image_that_is_judged_as_a_whole_gets_its_label(store, document, label, given, noise):
    item = item_of(store, 6)
    decide(store, item, label)
    reviewed, _ = reviewed_document(document, store)
    found = images_of(reviewed)[6]
    assert (found['label'], found['is_noise'], found['review']['to']) == (given, noise, label)
    assert new_ones(reviewed) == []


def test_a_figure_found_in_an_image_judged_as_a_whole_is_annotated(store, document):
    item = item_of(store, 6)
    decide(store, item, 'mitotic', moved_px=offset_to(item, 12, 80))
    reviewed, summary = reviewed_document(document, store)
    (found,) = new_ones(reviewed)
    assert (found['image_id'], found['category_id'], found['point']) == (6, 1, [12, 80])
    assert (summary['added_figures'], summary['new_figures']) == (1, 0)


def test_a_given_label_follows_the_points(store, document):
    item = item_of(store, 7, 6)
    decide(store, item, 'look_alike')
    rejected, _ = reviewed_document(document, store)
    assert (images_of(rejected)[7]['label'], images_of(rejected)[7]['is_noise']) == (0, False)
    decide(store, item, 'look_alike', added_px=[offset_to(item, 20, 70)])
    replaced, _ = reviewed_document(document, store)
    assert images_of(replaced)[7]['label'] == 1
    decide(store, item, 'mitotic')
    confirmed, _ = reviewed_document(document, store)
    assert (images_of(confirmed)[7]['label'], images_of(confirmed)[7]['is_noise']) == (1, True)
    assert all('label' not in images_of(confirmed)[image_id] for image_id in (1, 2, 3, 4, 5))


def test_the_given_label_of_a_positive_without_points_stays_where_a_place_in_it_is_rejected(tmp_path):
    document, hard_samples = sample_document(), sample_hard_samples()
    document['images'][2]['label'] = 1
    document['annotations'] = [each for each in document['annotations'] if each['image_id'] != 3]
    hard_samples['images'][2]['annotated_points'] = []
    items = build_items(hard_samples, document)
    with ReviewStore.create(tmp_path / 'review.sqlite', items, {'radius_px': RADIUS_PX}) as store:
        (place,) = [item for item in store.items if item.image_id == 3 and item.kind == 'point']
        decide(store, place, 'look_alike')
        reviewed, _ = reviewed_document(document, store)
        assert images_of(reviewed)[3]['label'] == 1
        assert [each['category_id'] for each in new_ones(reviewed)] == [2]


def test_an_image_with_another_figure_stays_positive(store, document):
    decide(store, item_of(store, 4, 4), 'look_alike')
    reviewed, summary = reviewed_document(document, store)
    assert annotations_of(reviewed)[4]['is_noise'] is True
    assert images_of(reviewed)[4] == images_of(document)[4]
    assert (summary['labels_changed'], summary['clean_lost']) == (0, 0)


def test_ties_and_unsure_raters_leave_an_item_as_it_was(store, document):
    for item, second in ((item_of(store, 2, 2), 'look_alike'), (item_of(store, 3), 'unsure')):
        decide(store, item, 'mitotic' if second == 'look_alike' else 'unsure')
        decide(store, item, second, rater='ben')
    kept, summary = reviewed_document(document, store)
    assert kept['annotations'] == document['annotations']
    assert (summary['undecided'], summary['not_reviewed']) == (2, 6)
    decide(store, item_of(store, 2, 2), 'look_alike', rater='carl', role='tiebreaker')
    broken, _ = reviewed_document(document, store)
    votes = {'anna': 'mitotic', 'ben': 'look_alike', 'carl': 'look_alike'}
    assert annotations_of(broken)[2]['review']['votes'] == votes
    assert annotations_of(broken)[2]['category_id'] == 2


def test_the_rule_decides(store, document):
    item = item_of(store, 2, 2)
    for rater, label in (('anna', 'mitotic'), ('ben', 'mitotic'), ('carl', 'look_alike')):
        decide(store, item, label, rater=rater)
    categories = {
        rule: annotations_of(reviewed_document(document, store, rule=rule)[0])[2]['category_id']
        for rule in ('majority', 'last')
    }
    assert categories == {'majority': 1, 'last': 2}
    unanimous, summary = reviewed_document(document, store, rule='unanimous')
    assert annotations_of(unanimous)[2] == annotations_of(document)[2]
    assert summary['undecided'] == 1


def test_an_undecided_item_costs_its_image_the_place_where_that_is_wanted(files, document):
    with make_store(files, include='all') as store:
        # The distillation had kept image 1, but the rater cannot say what it is.
        decide(store, item_of(store, 1, 1), 'unsure')
        decide(store, item_of(store, 2, 2), 'look_alike')
        decide(store, item_of(store, 3, 3), 'mitotic')
        reviewed, summary = reviewed_document(document, store, undecided='drop')
    # Of image 3, the other place was not reviewed.
    assert images_of(reviewed).keys() == {2, 5}
    assert [each['id'] for each in reviewed['annotations']] == [2]
    assert summary['images_left_out'] == 5


def test_added_figures(store, document):
    item = item_of(store, 2, 2)
    place = offset_to(item, 80, 10)
    decide(store, item, 'look_alike', added_px=[place])
    decide(store, item, 'look_alike', rater='ben')
    alone, _ = reviewed_document(document, store)
    assert new_ones(alone) == []
    decide(store, item, 'look_alike', rater='ben', added_px=[(place[0] + 4, place[1] + 2)])
    agreed, summary = reviewed_document(document, store)
    (found,) = new_ones(agreed)
    assert (found['image_id'], found['category_id'], found['point']) == (2, 1, [82, 11])
    assert found['review'] == {
        'from': None,
        'to': 'mitotic',
        'votes': {'anna': 'added', 'ben': 'added'},
        'rule': 'majority',
        'item': item.item_id,
    }
    assert (summary['added_figures'], found['is_noise']) == (1, True)
    decide(store, item, 'look_alike')
    last, _ = reviewed_document(document, store, rule='last')
    assert new_ones(last) == []


def test_an_added_figure_that_is_there_already_is_not_another_one(store, document):
    first, second, third = item_of(store, 4, 4), item_of(store, 4, 5), item_of(store, 4)
    beside_a_figure = offset_to(first, 70, 62)
    at_a_place_of_the_teacher = offset_to(first, 52, 81)
    elsewhere = offset_to(first, 20, 60)
    decide(store, first, 'mitotic', added_px=[beside_a_figure, at_a_place_of_the_teacher, elsewhere])
    # From beside another item of the image, the same cell again.
    decide(store, second, 'mitotic', added_px=[offset_to(second, 22, 61)])
    decide(store, third, 'mitotic')
    reviewed, summary = reviewed_document(document, store)
    assert [(each['point'], each['category_id']) for each in new_ones(reviewed)] == [([50, 80], 1), ([21, 60.5], 1)]
    assert (summary['new_figures'], summary['added_figures'], summary['same_figure']) == (1, 1, 2)
    # Asked for that place itself, the raters reject it.
    decide(store, third, 'look_alike')
    rejected, _ = reviewed_document(document, store)
    assert [(each['point'], each['category_id']) for each in new_ones(rejected)] == [([50, 80], 2), ([21, 60.5], 1)]


def test_a_figure_may_be_added_right_beside_the_look_alike_that_was_judged(store, document):
    item = item_of(store, 2, 2)
    decide(store, item, 'look_alike', added_px=[offset_to(item, 46, 50)])
    reviewed, _ = reviewed_document(document, store)
    assert [each['point'] for each in new_ones(reviewed)] == [[46, 50]]


def test_a_place_that_was_moved_onto_a_figure_is_that_figure(store, document):
    item = item_of(store, 3)
    decide(store, item, 'mitotic', moved_px=offset_to(item, 33, 31))
    reviewed, summary = reviewed_document(document, store)
    assert (new_ones(reviewed), summary['same_figure'], summary['new_figures']) == ([], 1, 0)


def test_a_figure_added_outside_the_image_does_not_count(store, document):
    item = item_of(store, 2, 2)
    decide(store, item, 'mitotic', added_px=[offset_to(item, -2, 50), offset_to(item, 50, 95.5)])
    reviewed, summary = reviewed_document(document, store)
    assert [each['point'] for each in new_ones(reviewed)] == [[50, 95.5]]
    assert (summary['added_figures'], summary['added_outside']) == (1, 1)


def test_noise_is_counted_over_images(store, document):
    decide(store, item_of(store, 2, 2), 'look_alike')
    decide(store, item_of(store, 3, 3), 'look_alike')
    decide(store, item_of(store, 6), 'look_alike')
    _, kept = reviewed_document(document, store)
    noise = {key: value for key, value in kept.items() if key.startswith(('noise', 'clean'))}
    assert noise == {
        'noise_total': 3,
        'noise_corrected': 2,
        'noise_left_out': 0,
        'clean_total': 3,
        'clean_lost': 1,
        'clean_left_out': 0,
        'noise_new': 0,
    }
    _, dropped = reviewed_document(document, store, undecided='drop')
    assert (dropped['noise_left_out'], dropped['clean_left_out'], dropped['clean_lost']) == (1, 2, 0)


@pytest.mark.parametrize(
    ('accuracy', 'corrected', 'lost', 'noisy_images', 'noisy_annotations'),
    # Image 1 is lost; 3 and 4 lose their figures as well, but the rater takes look-alikes in them for figures.
    [(1.0, 3, 0, [], []), (0.0, 0, 1, [1, 2, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8])],
)
def test_a_rater_who_is_always_right_or_always_wrong(
    files, document, accuracy, corrected, lost, noisy_images, noisy_annotations
):
    with make_store(files, include='all') as store:
        simulate(store, document, accuracy=accuracy)
        reviewed, summary = reviewed_document(document, store)
    assert (summary['noise_corrected'], summary['clean_lost']) == (corrected, lost)
    assert [image['id'] for image in reviewed['images'] if image['is_noise']] == noisy_images
    assert [each['id'] for each in reviewed['annotations'] if each['is_noise']] == noisy_annotations


def test_a_file_that_does_not_know_its_noise_says_nothing_of_it(tmp_path):
    files = write_review_files(tmp_path, knows_noise=False)
    with make_store(files) as store:
        decide(store, item_of(store, 2, 2), 'look_alike')
        decide(store, item_of(store, 3), 'mitotic')
        reviewed, summary = reviewed_document(read_coco(files.annotations), store)
    assert not [key for key in summary if key.startswith(('noise', 'clean'))]
    assert not any('is_noise' in each for each in (*reviewed['images'], *reviewed['annotations']))


def test_the_file_says_where_it_comes_from_and_is_read_again(files, store, document, tmp_path):
    decide(store, item_of(store, 2, 2), 'look_alike')
    decide(store, item_of(store, 2, 2), 'look_alike', rater='zoe', role='tiebreaker')
    before = [file_sha256(path) for path in (files.annotations, files.hard_samples)]
    out = tmp_path / 'further' / 'down' / 'reviewed.json'
    summary = apply_review(store, files.annotations, out, rule='unanimous', undecided='drop')
    assert [file_sha256(path) for path in (files.annotations, files.hard_samples)] == before
    reviewed = read_coco(out)
    info = reviewed['info']['mitouts']
    assert summary['images'] == len(reviewed['images']) == 3
    assert image_root(out, reviewed).resolve() == files.image_root.resolve()
    assert {key: info[key] for key in ('name', 'tool', 'reviewed_from', 'rule', 'undecided', 'decisions')} == {
        'name': 'to be reviewed',
        'tool': 'review',
        'reviewed_from': 'train.json',
        'rule': 'unanimous',
        'undecided': 'drop',
        'decisions': 2,
    }
    assert (info['source_sha256'], info['database']) == (before[0], store.database_id)
    assert info['raters'] == {'anna': 'rater', 'zoe': 'tiebreaker'}
    assert info['source'] == {'tool': 'tests', 'arguments': {}}
    assert info['version'].startswith('0.')
    first = out.read_bytes()
    apply_review(store, files.annotations, out, rule='unanimous', undecided='drop')
    assert out.read_bytes() == first


def test_it_trains(files, store, tmp_path):
    from mitouts.datasets import PointDataset

    decide(store, item_of(store, 2, 2), 'look_alike')
    decide(store, item_of(store, 3), 'mitotic')
    decide(store, item_of(store, 6), 'look_alike')
    out = tmp_path / 'elsewhere' / 'reviewed.json'
    apply_review(store, files.annotations, out)
    dataset = PointDataset(str(out), pipeline=[dict(type='LoadImage'), dict(type='PackPointSample')])
    infos = {info['img_id']: info for info in map(dataset.get_data_info, range(len(dataset)))}
    assert {key: info['gt_label'] for key, info in infos.items()} == {1: 1, 2: 0, 3: 1, 4: 1, 5: 0, 6: 0, 7: 1}
    np.testing.assert_allclose(infos[3]['gt_points'], [[30.5, 30.5], [70.2, 60.9]], rtol=1e-6)
    assert dataset[1]['inputs'].shape == (3, 96, 96)


def test_categories_that_were_missing_are_there(tmp_path):
    document = {**sample_document(), 'categories': [{'id': 1, 'name': 'mitosis'}]}
    write_json(tmp_path / 'train.json', document)
    items = build_items(sample_hard_samples(), document)
    provenance = {'annotations_sha256': file_sha256(tmp_path / 'train.json'), 'radius_px': RADIUS_PX}
    with ReviewStore.create(tmp_path / 'review.sqlite', items, provenance) as store:
        decide(store, item_of(store, 2, 2), 'look_alike')
        apply_review(store, tmp_path / 'train.json', tmp_path / 'out.json')
    assert read_coco(tmp_path / 'out.json')['categories'] == [
        {'id': 1, 'name': 'mitosis'},
        {'id': 2, 'name': 'hard negative'},
    ]


def test_another_annotation_file_is_refused(files, store, tmp_path):
    other = tmp_path / 'other.json'
    other.write_text(files.annotations.read_text() + '\n')
    with pytest.raises(ReviewError, match=r'other\.json is not the file that was reviewed.*expected SHA-256'):
        apply_review(store, other, tmp_path / 'out.json')
    assert not (tmp_path / 'out.json').exists()


def test_a_document_without_what_was_reviewed_is_refused(store, document):
    without_image = {**document, 'images': [each for each in document['images'] if each['id'] != 6]}
    without_annotation = {**document, 'annotations': [each for each in document['annotations'] if each['id'] != 5]}
    renamed = {**document, 'images': [{**each, 'file_name': f'x{each["id"]}.png'} for each in document['images']]}
    for lacking in (without_image, without_annotation, renamed):
        with pytest.raises(ReviewError, match='which the annotation file does not have'):
            reviewed_document(lacking, store)


def test_nothing_else_is_written_over(files, store, tmp_path):
    linked = tmp_path / 'linked.json'
    linked.hardlink_to(files.annotations)
    for out in (files.annotations, tmp_path / 'images' / '..' / 'train.json', linked):
        with pytest.raises(ReviewError, match='is the file that was reviewed'):
            apply_review(store, files.annotations, out)
    with pytest.raises(ReviewError, match='is the database of the review'):
        apply_review(store, files.annotations, files.database)
    with pytest.raises(AnnotationError, match='was not written by review and is not touched'):
        apply_review(store, files.annotations, files.hard_samples)
    out = tmp_path / 'reviewed.json'
    apply_review(store, files.annotations, out)
    store.close()
    for path in tmp_path.glob('review.sqlite*'):
        path.unlink()
    with make_store(files) as another, pytest.raises(ReviewError, match='written from another review'):
        apply_review(another, files.annotations, out)
    assert json.loads(out.read_text())['info']['mitouts']['database'] == store.database_id


def test_unknown_arguments_are_refused(store, document):
    with pytest.raises(ReviewError, match="unknown rule 'loudest'; known are majority, unanimous, last"):
        reviewed_document(document, store, rule='loudest')
    with pytest.raises(ReviewError, match="unknown undecided 'shrug'; known are keep, drop"):
        reviewed_document(document, store, undecided='shrug')
