"""Annotation files that know of images whether they hold a figure, and not where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mitouts.formats.coco import read_json, write_json


def keep_labels_only(path: Path, is_bare: Callable[[dict[str, Any]], bool] = lambda image: True) -> None:
    """Give all images of a file their label, and take the points away from some.

    Args:
        path: Annotation file; it is written over.
        is_bare: Says of an image whether its points go; by default all do.
    """
    document = read_json(path)
    positive = {each['image_id'] for each in document['annotations']}
    bare = {image['id'] for image in document['images'] if is_bare(image)}
    images = [{**image, 'label': int(image['id'] in positive)} for image in document['images']]
    annotations = [each for each in document['annotations'] if each['image_id'] not in bare]
    write_json(path, {**document, 'images': images, 'annotations': annotations})
