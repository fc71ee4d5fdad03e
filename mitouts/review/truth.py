"""Looks up the true labels, if an annotation file knows which of its labels are noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mitouts.formats.coco import MITOTIC_FIGURE
from mitouts.review.consensus import FinalLabel
from mitouts.review.items import Item, Point, by_image

Entry = Mapping[str, Any]


class KnownTruth:
    """The true labels behind ``is_noise``: an annotation or image marked with it is the opposite of what it says.

    A positive annotation without the key is noise if its image is.

    Args:
        document: An annotation file in which an image or an annotation has ``is_noise``.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._images: dict[int, Entry] = {image['id']: image for image in document['images']}
        self._annotations = by_image(document['annotations'])
        self._by_id = {annotation['id']: annotation for annotation in document['annotations']}
        self._images_know = any('is_noise' in image for image in document['images'])

    def is_figure(self, annotation: Entry) -> bool:
        """Whether an annotation of the document marks a mitotic figure."""
        is_positive = annotation['category_id'] == MITOTIC_FIGURE
        of_image = is_positive and self._images[annotation['image_id']].get('is_noise', False)
        return is_positive != bool(annotation.get('is_noise', of_image))

    def is_near_figure(self, image_id: int, xy_px: Point, radius_px: float) -> bool:
        """Whether a mitotic figure of an image lies within the radius (inclusive) of a point."""
        return any(
            self.is_figure(annotation) and math.dist(annotation['point'], xy_px) <= radius_px
            for annotation in self._annotations[image_id]
            if not annotation.get('cut')
        )

    def image_label(self, image_id: int) -> int:
        """Return whether an image holds a mitotic figure, 0 or 1."""
        image, annotations = self._images[image_id], self._annotations[image_id]
        if not self._images_know and annotations:
            return int(any(self.is_figure(annotation) for annotation in annotations if not annotation.get('cut')))
        return int(image_label(image, annotations) != int(bool(image.get('is_noise', False))))

    def of_item(self, item: Item, radius_px: float) -> FinalLabel:
        """Return an item's true label."""
        if item.kind == 'image':
            is_mitotic = self.image_label(item.image_id) == 1
        elif item.annotation_id is not None:
            is_mitotic = self.is_figure(self._by_id[item.annotation_id])
        else:
            is_mitotic = self.is_near_figure(item.image_id, (item.x_px, item.y_px), radius_px)
        return 'mitotic' if is_mitotic else 'look_alike'


def known_truth(document: Mapping[str, Any]) -> KnownTruth | None:
    """Return the truth if a document marks its noise, else None."""
    entries = (*document['images'], *document['annotations'])
    return KnownTruth(document) if any('is_noise' in entry for entry in entries) else None


def image_label(image: Entry, annotations: Sequence[Entry]) -> int:
    """Return an image's label: as given, else 1 if it holds a mitotic figure that its border does not cut off."""
    given = image.get('label')
    return int(num_figures(annotations) > 0) if given is None else int(given)


def num_figures(annotations: Iterable[Entry]) -> int:
    """Count the annotations that make their image positive."""
    return sum(entry['category_id'] == MITOTIC_FIGURE and not entry.get('cut') for entry in annotations)
