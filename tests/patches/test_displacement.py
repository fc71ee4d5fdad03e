"""Moving the figures of training images by a random error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mitouts.errors import AnnotationError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, make_annotation, make_document, make_image
from mitouts.functional.point_error import PointError
from mitouts.patches.displacement import move_figures

ERROR = PointError(11.0, 26.0)


def _document(points: int = 300, size_px: int = 400) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    images = [
        make_image(number, f'{split}.png', size_px, size_px, case_id=split, split=split)
        for number, split in enumerate(('train', 'val', 'test'), start=1)
    ]
    annotations = [
        make_annotation(number, image_id, category, *generator.uniform(0, size_px - 1, 2).tolist())
        for number, (image_id, category) in enumerate(
            (image['id'], category)
            for image in images
            for category in (MITOTIC_FIGURE, HARD_NEGATIVE)
            for _ in range(points)
        )
    ]
    return make_document(images, annotations, name='n', tool='t')


def test_mitotic_figures_of_training_images_alone_are_moved() -> None:
    document = _document()
    moved, count = move_figures(document, ERROR, seed=0)
    assert count == 300
    for before, after in zip(document['annotations'], moved['annotations'], strict=True):
        if before['image_id'] == 1 and before['category_id'] == MITOTIC_FIGURE:
            x, y = after['point']
            assert after['moved_px'] != [0, 0]
            np.testing.assert_allclose(np.subtract(after['point'], after['moved_px']), before['point'])
            assert after['bbox'] == [x - 25, y - 25, 50, 50]
            assert after['id'] == before['id']
            # What is moved stays inside.
            assert -0.5 <= min(x, y) <= max(x, y) <= 399.5
        else:
            assert after == before
    lengths = [np.hypot(*each['moved_px']) for each in moved['annotations'] if 'moved_px' in each]
    assert np.median(lengths) == pytest.approx(11, rel=0.15)


def test_the_same_seed_moves_the_same_and_another_moves_otherwise() -> None:
    first, second, other = (move_figures(_document(), ERROR, seed)[0] for seed in (3, 3, 4))
    assert first == second != other


def test_an_error_needs_training_images_and_room() -> None:
    document = _document(1)
    for image in document['images']:
        image['split'] = 'test'
    with pytest.raises(AnnotationError, match='no image has the split train: convert the data set with --split'):
        move_figures(document, ERROR, seed=0)
    with pytest.raises(AnnotationError, match=r'train\.png: no shift with a median of 1e\+06 px keeps the point'):
        move_figures(_document(1, 4), PointError(1e6), seed=0)
