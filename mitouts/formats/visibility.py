"""Which annotated figures an image shows, and which of them are counted in it.

Patches cut from one image overlap at its edges and end anywhere. A figure then stands in the file once as an ordinary
annotation, in the patch that it belongs to; every other patch that shows it has it with ``iscrowd: 1``, and with
``cut: true`` where its centre is outside and only a part of it is seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ShownFigures(NamedTuple):
    """The figures of the wanted categories in one image.

    Attributes:
        points: ``(G, 2)`` float64, figures whose centre is in the image, in pixels.
        counted: ``(G,)`` bool; False where the figure is counted in another image.
        cut: ``(K, 2)`` float64, places at the border where a part of a figure is seen whose centre is outside.
    """

    points: NDArray[np.float64]
    counted: NDArray[np.bool_]
    cut: NDArray[np.float64]

    @property
    def is_ambiguous(self) -> bool:
        """Whether the image shows nothing but parts of figures: neither a positive nor a negative sample."""
        return len(self.points) == 0 and len(self.cut) > 0

    @property
    def counted_points(self) -> NDArray[np.float64]:
        """``(C, 2)`` float64, the figures that are counted here."""
        return self.points[self.counted]

    @property
    def ignored(self) -> NDArray[np.float64]:
        """``(I, 2)`` float64, where a prediction is neither true nor false: counted elsewhere, or cut."""
        return np.concatenate([self.points[~self.counted], self.cut])


def is_located(image: Mapping[str, Any], figures: ShownFigures) -> bool:
    """Whether it is known where an image's figures are.

    Of an image that is labelled positive and has no annotated point nobody can tell true predictions from false ones.

    Args:
        image: Its entry in the annotation file.
        figures: What it shows.
    """
    return image.get('label') != 1 or len(figures.points) > 0


def shown_figures(document: Mapping[str, Any], categories: Collection[int]) -> dict[int, ShownFigures]:
    """Sort the annotations of every image.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it.
        categories: Category ids that are wanted.

    Returns:
        Image id -> its figures, for every image of the document.
    """
    points: dict[int, list[list[float]]] = {image['id']: [] for image in document['images']}
    counted: dict[int, list[bool]] = {image['id']: [] for image in document['images']}
    cut: dict[int, list[list[float]]] = {image['id']: [] for image in document['images']}
    for annotation in document['annotations']:
        if annotation['category_id'] not in categories:
            continue
        if annotation.get('cut'):
            cut[annotation['image_id']].append(annotation['point'])
        else:
            points[annotation['image_id']].append(annotation['point'])
            counted[annotation['image_id']].append(not annotation.get('iscrowd'))
    return {key: ShownFigures(_points(points[key]), np.array(counted[key], bool), _points(cut[key])) for key in points}


def _points(values: list[list[float]]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64).reshape(-1, 2)
