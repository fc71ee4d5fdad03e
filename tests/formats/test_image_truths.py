"""What an annotation file knows of its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, make_annotation, make_document, make_image
from mitouts.formats.image_truths import image_truths


def _document() -> dict:
    images = [make_image(number, f'{number}.png', 100, 100, case_id='A') for number in (1, 2, 3)]
    annotations = [
        make_annotation(1, 1, MITOTIC_FIGURE, 10, 20),
        make_annotation(2, 1, MITOTIC_FIGURE, 30, 40, iscrowd=1),
        make_annotation(3, 1, HARD_NEGATIVE, 50, 60),
        make_annotation(4, 1, MITOTIC_FIGURE, 0, 70, iscrowd=1, cut=True),
        make_annotation(5, 2, MITOTIC_FIGURE, 99, 5, iscrowd=1, cut=True),
    ]
    return make_document(images, annotations, name='test', tool='test')


def test_annotations_are_sorted_by_what_an_image_shows():
    first = image_truths(_document(), [MITOTIC_FIGURE])[1]
    np.testing.assert_array_equal(first.points, [[10, 20], [30, 40]])
    np.testing.assert_array_equal(first.counted_points, [[10, 20]])
    np.testing.assert_array_equal(first.cut, [[0, 70]])
    np.testing.assert_array_equal(first.ignored, [[30, 40], [0, 70]])


def test_only_an_image_with_nothing_but_parts_is_ambiguous():
    figures = image_truths(_document(), [MITOTIC_FIGURE])
    assert [figures[key].is_ambiguous for key in (1, 2, 3)] == [False, True, False]
    assert figures[3].points.shape == (0, 2)


def test_other_categories_do_not_count():
    assert not image_truths(_document(), [HARD_NEGATIVE])[2].is_ambiguous


def test_a_given_label_goes_before_the_points_and_paths_begin_at_the_root():
    document = _document()
    document['images'][0] |= {'label': 0, 'mpp': 0.25}
    document['images'][2]['label'] = 1
    first, second, third = image_truths(document, [MITOTIC_FIGURE], Path('data')).values()
    assert [truth.label for truth in (first, second, third)] == [0, 0, 1]
    assert [truth.label for truth in image_truths(_document(), [MITOTIC_FIGURE]).values()] == [1, 0, 0]
    assert (first.mpp, second.mpp) == (0.25, None)
    assert (first.image_id, first.case_id, first.path, first.width) == (1, 'A', str(Path('data') / '1.png'), 100)
    assert image_truths(document, [MITOTIC_FIGURE])[1].path == '1.png'
