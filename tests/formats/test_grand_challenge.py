"""Points files of Grand Challenge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mitouts.errors import AnnotationError
from mitouts.formats.coco import make_annotation, make_document, make_image
from mitouts.formats.grand_challenge import (
    Point,
    export_points,
    points_document,
    read_points,
)
from mitouts.utils.text_files import write_json


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[]', r'expected \{"type": "Multiple points"'),
        ('{"type": "Multiple polygons", "points": []}', "expected the type .* found 'Multiple polygons'"),
        ('{"type": 3, "points": []}', 'expected the type .* found 3'),
        ('{"polygons": []}', "expected a list 'points', found the keys polygons"),
        ('{"points": [5]}', r'points\[0\]: expected \{"point"'),
        ('{"points": [{"point": [1]}]}', r'points\[0\]: expected point as \[x, y, 0\]'),
        ('{"points": [{"point": [1, NaN, 0]}]}', r'points\[0\]: expected a coordinate'),
        ('{"points": [{"point": [1, "2", 0]}]}', r'points\[0\]: expected a coordinate'),
        ('{"points": [{"point": [1, 2, 0], "probability": 1.5}]}', 'a probability from 0 to 1, found 1.5'),
        ('{"points": [{"point": [1, 2, 0], "name": 7}]}', 'expected a name, found 7'),
        ('{"points": [{"point": [1, 2', 'not JSON'),
        ('[' * 100_000, 'not JSON'),
    ],
)
def test_nonsense_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / 'a.json'
    path.write_text(content)
    with pytest.raises(AnnotationError, match=message):
        read_points(path)


def test_predictions_are_written_as_the_format_wants_them(tmp_path: Path) -> None:
    document = points_document(np.array([[400, 101, 0.9], [0, 0, 0.25]]), 0.25, threshold=0.5)
    assert document == {
        'name': 'Points of interest',
        'type': 'Multiple points',
        'points': [
            {'name': 'mitotic figure', 'point': [0.1, 0.02525, 0.0], 'probability': 0.9},
            {'name': 'non-mitotic figure', 'point': [0.0, 0.0, 0.0], 'probability': 0.25},
        ],
        'version': {'major': 1, 'minor': 0},
    }
    write_json(tmp_path / 'a.json', document)
    assert read_points(tmp_path / 'a.json')[0] == Point(0.1, 0.02525, 'mitotic figure', 0.9)


@pytest.mark.parametrize('points', [np.zeros((0, 3)), np.array([]), []])
def test_no_predictions(points: Any) -> None:
    assert points_document(points, None)['points'] == []


@pytest.mark.parametrize(
    ('points', 'mpp', 'message'),
    [
        ([[1, 2]], 0.25, r'shape \(1, 2\)'),
        ([[1, 2, np.nan]], 0.25, 'finite'),
        ([[1, 2, 1.5]], 0.25, 'scores from 0 to 1'),
        ([[1, 2, 0.5]], 0.0, 'a positive mpp'),
    ],
)
def test_predictions_that_make_no_sense(points: Any, mpp: float, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        points_document(np.array(points), mpp)


def test_only_two_categories_have_a_name() -> None:
    document = make_document(
        [make_image(1, 'a.png', 9, 9, case_id='a')], [make_annotation(4, 1, 3, 1, 1)], name='n', tool='t'
    )
    with pytest.raises(AnnotationError, match=r'annotation 4: only the categories 1 .* found 3'):
        export_points(document)
