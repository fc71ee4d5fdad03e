"""Predictions as QuPath files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mitouts.converters.qupath import read_qupath
from mitouts.converters.qupath_predictions import export_predictions
from mitouts.errors import AnnotationError
from mitouts.formats.predictions import Predictions, read_predictions
from mitouts.utils.text_files import write_json


def _predictions(folder: Path, *images: dict[str, Any]) -> Predictions:
    path = folder / 'predictions.json'
    path.write_text(json.dumps({'info': {'map_threshold': 0.5}, 'images': list(images)}))
    return read_predictions(path)


def test_points_above_the_threshold_come_back_as_figures(tmp_path: Path) -> None:
    points = [[3.25, 4, 0.9], [5, 6, 0.5], [7, 8, 0.51]]
    predictions = _predictions(
        tmp_path,
        {'image_id': 1, 'file_name': 'a/1.png', 'score': 0.9, 'points': points},
        {'image_id': 2, 'file_name': 'b/1.png', 'score': 0.1, 'points': []},
    )
    files = export_predictions(predictions, threshold=0.5)
    for name, content in files.items():
        write_json(tmp_path / 'q' / name, content)
    source = read_qupath(tmp_path / 'q')
    assert [image.file_name for image in source.images] == ['a/1.png', 'b/1.png']
    assert [(figure.file_name, figure.x, figure.y, figure.extra['score']) for figure in source.figures] == [
        ('a/1.png', 3.25, 4, 0.9),
        ('a/1.png', 7, 8, 0.51),
    ]


def test_paths_of_anywhere_become_relative_to_what_they_share(tmp_path: Path) -> None:
    names = ['/data/x/a/1.png', '/data/x/b/2.png', '/data/x/3.png']
    images = [{'image_id': n, 'file_name': name, 'score': 0, 'points': []} for n, name in enumerate(names)]
    files = export_predictions(_predictions(tmp_path, *images), threshold=0)
    assert list(files) == ['a/1.png.geojson', 'b/2.png.geojson', '3.png.geojson']


def test_names_come_from_the_annotation_file_where_the_predictions_have_none(tmp_path: Path) -> None:
    predictions = _predictions(tmp_path, {'image_id': 7, 'score': 0, 'points': []})
    assert list(export_predictions(predictions, threshold=0, file_names={7: 'c.png'})) == ['c.png.geojson']
    with pytest.raises(AnnotationError, match=r'1 of 1 predicted images have no file name.*--ann-file'):
        export_predictions(predictions, threshold=0)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    images = [{'image_id': n, 'file_name': 'a.png', 'score': 0, 'points': []} for n in (1, 2)]
    with pytest.raises(AnnotationError, match=r"two images are called 'a\.png'"):
        export_predictions(_predictions(tmp_path, *images), threshold=0)
