"""Counts and findings, worked out by hand on a few entries."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.formats.describe import (
    AnnotatedPoint,
    Dataset,
    Image,
    check_files,
    choose_points,
    close_pairs,
    find_problems,
    read_dataset,
    summarize,
)
from mitouts.imaging.image import write_rgb

FIGURE, LOOK_ALIKE = 1, 2
CATEGORIES = {FIGURE: 'mitotic figure', LOOK_ALIKE: 'hard negative'}


def make(name: str, split: str, case: str, *points: AnnotatedPoint, **entry) -> Image:
    return Image(Path(name), split, {'case_id': case, 'width': 100, 'height': 80, **entry}, points)


@pytest.fixture
def dataset() -> Dataset:
    images = [
        make('a', 'train', 'p1', AnnotatedPoint(1, 1, 10, 10), AnnotatedPoint(2, 2, 50, 50), scanner='X'),
        make('b', 'train', 'p2', AnnotatedPoint(3, 1, 10, 10), scanner='Y'),
        make('c', 'train', 'p2', scanner='Y'),
        make('d', 'val', 'p3', AnnotatedPoint(4, 2, 10, 10)),
    ]
    return Dataset(dict(CATEGORIES), images)


def row(images: int, cases: int, empty: int, figures: int, look_alikes: int) -> dict:
    categories = {'mitotic figure': figures, 'hard negative': look_alikes}
    counts = {'images': images, 'cases': cases, 'without_annotation': empty, 'categories': categories}
    return {**counts, 'shown_only': 0, 'outside': 0}


def test_labels_are_counted_where_there_are_any():
    def image(label: int | None, *points: AnnotatedPoint, shown: tuple[AnnotatedPoint, ...] = ()) -> Image:
        entry = {'id': 1, 'case_id': 'a', 'width': 9, 'height': 9} | ({} if label is None else {'label': label})
        return Image(Path('a'), 'train', entry, points, shown)

    figure, cut = AnnotatedPoint(1, 1, 4.0, 4.0), AnnotatedPoint(2, 1, 0.0, 4.0, is_cut=True)
    images = [image(1), image(1, figure), image(0), image(None, figure), image(None, shown=(figure,))]
    found = Dataset({1: 'mitotic figure'}, [*images, image(1, shown=(cut,)), image(None)])
    total = summarize(found)['total']
    assert total['labels'] == {'positive': 5, 'negative': 2, 'without_points': 2}
    assert total['without_annotation'] == 2
    assert 'labels' not in summarize(Dataset({1: 'mitotic figure'}, [image(None, figure)]))['total']


def test_counts(dataset):
    summary = summarize(dataset)
    assert summary['total'] == row(4, 3, 1, 2, 2)
    assert summary['by_split'] == {'train': row(3, 2, 1, 2, 1), 'val': row(1, 1, 0, 0, 1)}
    assert summary['by_case']['p2'] == row(2, 1, 1, 1, 0)
    assert summary['by_scanner'] == {'X': row(1, 1, 0, 1, 1), 'Y': row(2, 1, 1, 1, 0), 'unknown': row(1, 1, 0, 0, 1)}
    assert 'by_tumor_type' not in summary


def test_splits_stand_in_their_usual_order():
    images = [make(name, name, name) for name in ('test', 'extra', 'val', 'train')]
    assert list(summarize(Dataset(dict(CATEGORIES), images))['by_split']) == ['train', 'val', 'test', 'extra']


def kinds(dataset: Dataset) -> dict[str, int]:
    return {finding.kind: finding.count for finding in find_problems(dataset)}


def test_findings_of_a_small_set(dataset):
    assert kinds(dataset) == {'empty_split': 1, 'split_without_figure': 1, 'no_annotation': 1}
    messages = {finding.kind: finding.message for finding in find_problems(dataset)}
    assert messages['empty_split'] == '1 split without an image: test'
    assert messages['split_without_figure'] == '1 split without a mitotic figure: val'
    assert messages['no_annotation'].startswith('1 of 4 images have neither an annotation nor a label: c. They count')


def test_a_labelled_image_without_points_is_no_finding():
    images = [make('a', 'train', 'p', label=1), make('b', 'train', 'q', label=0)]
    assert kinds(Dataset(dict(CATEGORIES), images)) == {}


def test_case_and_image_leakage():
    images = [make('a', 'train', 'p'), make('b', 'val', 'p'), make('c', 'val', 'q'), make('c', 'test', 'r')]
    findings = {finding.kind: finding for finding in find_problems(Dataset(dict(CATEGORIES), images))}
    assert findings['case_leakage'].message.startswith('case leakage: 1 case in several splits: p (train and val). ')
    assert findings['image_leakage'].message.startswith('image leakage: 1 image in several splits: c (val and test).')


def test_cases_that_validate_on_purpose_are_told_apart_from_leaks():
    images = [make('a', 'train', 'p'), make('b', 'val', 'p'), make('c', 'val', 'q'), make('d', 'test', 'q')]
    findings = {f.kind: f for f in find_problems(Dataset(dict(CATEGORIES), images, within_cases=True))}
    assert findings['within_case_validation'].message.startswith(
        'within-case validation: 1 case both train and validate, as the files say: p. '
    )
    assert findings['case_leakage'].message.startswith('case leakage: 1 case in several splits: q (val and test). ')


@pytest.mark.parametrize(('distance', 'found'), [(0.0, 1), (2.999, 1), (3.0, 0), (40.0, 0)])
def test_points_less_than_three_pixels_apart_are_duplicates(distance, found):
    images = [make('a.png', 'train', 'p', AnnotatedPoint(1, 1, 20, 20), AnnotatedPoint(7, 2, 20 + distance, 20))]
    findings = find_problems(Dataset(dict(CATEGORIES), images))
    assert [finding.kind for finding in findings] == ['duplicate_points'] * found
    if found:
        assert f'1 and 7 of a.png ({distance:.1f} px, of different categories)' in findings[0].message


def test_points_of_different_images_are_no_duplicates():
    images = [make(name, 'train', 'p', AnnotatedPoint(1, 1, 20, 20)) for name in 'ab']
    assert kinds(Dataset(dict(CATEGORIES), images)) == {}


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=25))
def test_close_pairs_are_those_of_all_pairs(points):
    xy = np.array(points, dtype=float).reshape(-1, 2) / 4
    expected = [(i, j) for i, j in combinations(range(len(xy)), 2) if np.linalg.norm(xy[i] - xy[j]) < 3]
    assert close_pairs(xy) == expected


def test_examples_are_cut_short():
    images = [make(f'{number}.png', 'train', 'p', label=None) for number in range(5)]
    for image in images:
        image.entry.pop('label')
    message = find_problems(Dataset(dict(CATEGORIES), images))[1].message
    assert ': 0.png; 1.png; 2.png; and 2 more. ' in message


def write(path: Path, images: list, annotations: list) -> Path:
    write_json(path, make_document(images, annotations, name='x', tool='tests'))
    return path


def test_reading_keeps_what_is_outside_and_what_is_counted_elsewhere(tmp_path, recwarn):
    images = [make_image(1, 'a.png', 100, 80, case_id='p', split='val'), make_image(2, 'b.png', 100, 80, case_id='q')]
    annotations = [
        make_annotation(1, 1, 1, 5.0, 5.0),
        make_annotation(2, 1, 1, 150.0, 5.0),
        make_annotation(3, 2, 2, 5.0, 79.6),
        make_annotation(4, 2, 1, 50.0, 50.0, iscrowd=1),
    ]
    del annotations[2]['point']
    dataset = read_dataset([write(tmp_path / 'train.json', images, annotations)])
    assert not recwarn.list
    assert [image.split for image in dataset.images] == ['val', 'train']
    assert dataset.images[0].path == tmp_path / 'a.png'
    assert dataset.images[0].points == (AnnotatedPoint(1, 1, 5.0, 5.0),)
    assert dataset.images[0].outside == (AnnotatedPoint(2, 1, 150.0, 5.0),)
    assert dataset.images[1].outside == (AnnotatedPoint(3, 2, 5.0, 79.6),)
    assert dataset.images[1].shown == (AnnotatedPoint(4, 1, 50.0, 50.0),)
    total = summarize(dataset)['total']
    assert (total['shown_only'], total['outside'], total['without_annotation']) == (1, 2, 0)
    assert total['categories'] == {'mitotic figure': 1, 'hard negative': 0}
    finding = next(finding for finding in find_problems(dataset) if finding.kind == 'points_outside')
    assert finding.message.startswith('2 annotations outside their image, left out of training: 2 at x=150, y=5 of a')


def test_a_file_without_images_is_an_empty_split(tmp_path):
    paths = [
        write(tmp_path / 'train.json', [make_image(1, 'a.png', 9, 9, case_id='p', label=1)], []),
        write(tmp_path / 'val.json', [], []),
    ]
    dataset = read_dataset(paths)
    assert dataset.empty == ['val']
    assert kinds(dataset) == {'empty_split': 1}


def test_other_warnings_of_the_file_are_passed_on(tmp_path):
    entry = make_image(1, 'a.png', 9, 9, case_id='p')
    del entry['case_id']
    with pytest.warns(AnnotationWarning, match='have no case_id'):
        read_dataset([write(tmp_path / 'train.json', [entry], [])])


def test_a_broken_file_is_an_error(tmp_path):
    (tmp_path / 'train.json').write_text('[1]')
    with pytest.raises(AnnotationError, match='expected a JSON object'):
        read_dataset([tmp_path / 'train.json'])


def test_files_are_compared_with_what_is_stated(tmp_path):
    for name, shape in (('a.png', (80, 100, 3)), ('b.png', (100, 80, 3)), ('d.png', (80, 100, 3))):
        write_rgb(tmp_path / name, np.zeros(shape, np.uint8))
    (tmp_path / 'd.png').write_text('no image')
    images = [make(str(tmp_path / name), 'train', 'p', mpp=0.25) for name in ('a.png', 'b.png', 'c.png', 'd.png')]
    findings, usable = check_files(images)
    assert [(finding.kind, finding.count) for finding in findings] == [('unreadable_image', 2), ('size_differs', 1)]
    assert 'b.png is 80 x 100 px, not 100 x 80' in findings[1].message
    assert usable == images[:1]


def test_resolutions_are_compared_too(tmp_path):
    import tifffile

    for name, per_cm in (('a.tif', 40_000), ('b.tif', 20_000)):
        options = {'resolution': (per_cm, per_cm), 'resolutionunit': 'CENTIMETER'}
        tifffile.imwrite(tmp_path / name, np.zeros((80, 100, 3), np.uint8), photometric='rgb', **options)
    images = [make(str(tmp_path / name), 'train', 'p', mpp=0.25) for name in ('a.tif', 'b.tif')]
    findings, usable = check_files(images)
    assert [finding.kind for finding in findings] == ['mpp_differs']
    assert 'b.tif has 0.5 um per pixel, not 0.25' in findings[0].message
    assert usable == images


def test_chosen_points_come_from_as_many_cases_as_possible():
    images = [
        make(
            'a',
            'train',
            'large',
            *(AnnotatedPoint(number, 1, number, 0) for number in range(50)),
            AnnotatedPoint(99, 2, 0, 0),
        ),
        make('b', 'val', 'small', AnnotatedPoint(100, 1, 0, 0)),
        make('c', 'train', 'middle', *(AnnotatedPoint(200 + number, 1, number, 0) for number in range(3))),
    ]
    chosen = choose_points(images, FIGURE, 6, seed=1)
    assert [image.case_id for image, _ in chosen] == ['large', 'large', 'middle', 'middle', 'middle', 'small'] or [
        image.case_id for image, _ in chosen
    ] == ['large', 'large', 'large', 'middle', 'middle', 'small']
    assert len({point.annotation_id for _, point in chosen}) == 6
    assert choose_points(images, FIGURE, 6, seed=1) == chosen
    assert choose_points(images, FIGURE, 6, seed=2) != chosen
    assert len(choose_points(images, FIGURE, 1000)) == 54
    assert {image.case_id for image, _ in choose_points(images, FIGURE, 3)} == {'large', 'middle', 'small'}
    assert [point.annotation_id for _, point in choose_points(images, LOOK_ALIKE, 5)] == [99]
    assert choose_points(images, 3, 5) == []
