"""Reads the ground truth of images from an annotation file: the figures in each image, and which are counted there.

Patches cut from one image may overlap at its edges, and a figure may lie on a patch's border. The figure is then an
ordinary annotation in one patch only, the one that it belongs to; in every other patch that shows it, its annotation
has ``iscrowd: 1``, and ``cut: true`` if its centre is outside and only a part of it is visible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.structures.image_record import ImageTruth


def image_truths(
    document: Mapping[str, Any], categories: Collection[int], root: Path | None = None
) -> dict[int, ImageTruth]:
    """Collect the annotations of every image.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it.
        categories: Ids of the categories to keep. An image without a ``label`` of its own is positive when it has a
            point of one of them.
        root: Folder that ``file_name`` is relative to; None leaves the paths relative.

    Returns:
        Image id -> its annotation, for every image of the document.
    """
    shown: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    cut: dict[int, list[list[float]]] = defaultdict(list)
    for annotation in document['annotations']:
        if annotation['category_id'] not in categories:
            continue
        if annotation.get('cut'):
            cut[annotation['image_id']].append(annotation['point'])
        else:
            shown[annotation['image_id']].append(annotation)
    return {image['id']: _truth(image, shown[image['id']], cut[image['id']], root) for image in document['images']}


def _truth(
    image: Mapping[str, Any], shown: list[Mapping[str, Any]], cut: list[list[float]], root: Path | None
) -> ImageTruth:
    label = image.get('label')
    return ImageTruth(
        image_id=image['id'],
        case_id=str(image['case_id']),
        label=int(len(shown) > 0) if label is None else int(label),
        points=_points([annotation['point'] for annotation in shown]),
        counted=np.array([not annotation.get('iscrowd') for annotation in shown], dtype=bool),
        cut=_points(cut),
        width=image['width'],
        height=image['height'],
        mpp=image.get('mpp'),
        path=image['file_name'] if root is None else str(root / image['file_name']),
    )


def _points(values: list[list[float]]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64).reshape(-1, 2)
