"""Changes the entries of an annotation file by its review."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE, make_annotation
from mitouts.functional.consensus import AgreedMark
from mitouts.review.consensus import FinalLabel, ItemConsensus, ReviewConsensus
from mitouts.review.items import Point, by_image
from mitouts.review.truth import KnownTruth, image_label, known_truth, num_figures

_CATEGORY: Mapping[FinalLabel, int] = {'mitotic': MITOTIC_FIGURE, 'look_alike': HARD_NEGATIVE}
COUNTED = (
    *('confirmed', 'to_look_alike', 'to_mitotic', 'new_figures', 'new_look_alikes'),
    *('added_figures', 'same_figure', 'moved'),
)


class Revision:
    """Applies a consensus to the entries of a document, and counts the changes.

    Args:
        document: As :func:`mitouts.formats.coco.read_coco` returns it; it is not changed.
        review: Consensus of the raters.
        rule: Name of the rule, which is recorded in the changed entries.
        radius_px: Distance within which two points are the same figure.

    Attributes:
        truth: The true labels, if the document marks its noise; else None.
        counts: Number of items and added figures for each kind of change.
        labels_changed: Images with another label than before.
    """

    def __init__(self, document: Mapping[str, Any], review: ReviewConsensus, rule: str, radius_px: float) -> None:
        self.truth = known_truth(document)
        self.counts: Counter[str] = Counter()
        self.labels_changed = 0
        self._document, self._review = document, review
        self._rule, self._radius_px = rule, radius_px
        self._points_know_noise = any('is_noise' in each for each in document['annotations'])
        self._items: dict[int, list[ItemConsensus]] = defaultdict(list)
        for each in review.items.values():
            self._items[each.item.image_id].append(each)
        self._before = by_image(document['annotations'])
        self._next_id = 1 + max((each['id'] for each in document['annotations']), default=0)

    def annotations(self, left_out: set[int]) -> list[dict[str, Any]]:
        """Return the annotations of the images that are kept: the old ones in order, corrected, then the new ones."""
        decided = {
            each.item.annotation_id: each
            for each in self._review.items.values()
            if each.item.annotation_id is not None and each.label is not None
        }
        kept = [each for each in self._document['annotations'] if each['image_id'] not in left_out]
        corrected = [
            self._corrected(each, decided[each['id']]) if each['id'] in decided else dict(each) for each in kept
        ]
        figures: dict[int, list[Point]] = defaultdict(list)
        for each in corrected:
            if each['category_id'] == MITOTIC_FIGURE and not each.get('cut'):
                figures[each['image_id']].append(tuple(each['point']))
        new: list[dict[str, Any]] = []
        for image in self._document['images']:
            if image['id'] not in left_out:
                new += self._new_in_image(image['id'], figures[image['id']])
        return corrected + new

    def images(
        self, images: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the images with their labels after the review."""
        after = by_image(annotations)
        return [
            self._relabelled(image, self._before[image['id']], after[image['id']])
            if image['id'] in self._items
            else dict(image)
            for image in images
        ]

    def _corrected(self, annotation: Mapping[str, Any], consensus: ItemConsensus) -> dict[str, Any]:
        assert consensus.label is not None
        category_id = _CATEGORY[consensus.label]
        changed: dict[str, Any] = {'category_id': category_id, 'review': self._record(consensus)}
        if category_id == annotation['category_id']:
            self.counts['confirmed'] += 1
        else:
            self.counts[f'to_{consensus.label}'] += 1
        if consensus.is_moved:
            self.counts['moved'] += 1
            (x, y), (_, _, width, height) = consensus.xy_px, annotation['bbox']
            old_x, old_y = annotation['point']
            changed |= {'point': [x, y], 'bbox': [x - width / 2, y - height / 2, width, height]}
            changed['review']['moved_px'] = [x - old_x, y - old_y]
        if self.truth is not None and 'is_noise' in annotation:
            changed['is_noise'] = (category_id == MITOTIC_FIGURE) != self.truth.is_figure(annotation)
        return {**annotation, **changed}

    def _new_in_image(self, image_id: int, figures: list[Point]) -> list[dict[str, Any]]:
        """Return the annotations that raters add to an image; ``figures`` are those that it already has."""
        new = []
        for each in self._items[image_id]:
            if each.item.kind == 'image' or each.item.annotation_id is not None:
                continue
            if each.label == 'look_alike':
                self.counts['new_look_alikes'] += 1
                new.append(self._made(image_id, HARD_NEGATIVE, each.xy_px, self._record(each)))
            elif each.label == 'mitotic':
                new += self._figure(image_id, each.xy_px, figures, self._record(each), 'new_figures')
        for mark in self._review.added.get(image_id, ()):
            if not self._is_rejected(image_id, mark):
                record = {
                    'from': None,
                    'to': 'mitotic',
                    'votes': dict.fromkeys(mark.raters, 'added'),
                    'rule': self._rule,
                    'item': mark.items[0],
                }
                new += self._figure(image_id, (mark.x_px, mark.y_px), figures, record, 'added_figures')
        return new

    def _figure(
        self, image_id: int, xy_px: Point, figures: list[Point], record: dict[str, Any], counted_as: str
    ) -> list[dict[str, Any]]:
        if any(math.dist(xy_px, other) <= self._radius_px for other in figures):
            self.counts['same_figure'] += 1
            return []
        figures.append(xy_px)
        self.counts[counted_as] += 1
        return [self._made(image_id, MITOTIC_FIGURE, xy_px, record)]

    def _made(self, image_id: int, category_id: int, xy_px: Point, record: dict[str, Any]) -> dict[str, Any]:
        extra: dict[str, Any] = {'review': record}
        if self.truth is not None and self._points_know_noise:
            is_figure = self.truth.is_near_figure(image_id, xy_px, self._radius_px)
            extra['is_noise'] = (category_id == MITOTIC_FIGURE) != is_figure
        annotation = make_annotation(self._next_id, image_id, category_id, *xy_px, **extra)
        self._next_id += 1
        return annotation

    def _is_rejected(self, image_id: int, mark: AgreedMark) -> bool:
        """Whether the marked place was itself judged, as another item, to be a look-alike."""
        return any(
            each.label == 'look_alike'
            and each.item.kind == 'point'
            and each.item.item_id not in mark.items
            and math.dist(each.xy_px, (mark.x_px, mark.y_px)) <= self._radius_px
            for each in self._items[image_id]
        )

    def _relabelled(
        self, image: Mapping[str, Any], before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        changed: dict[str, Any] = {}
        as_whole = next((each for each in self._items[image['id']] if each.item.kind == 'image' and each.label), None)
        label = image.get('label')
        if as_whole is not None:
            changed['review'] = self._record(as_whole)
            label = int(as_whole.label == 'mitotic')
        if label is not None and _figures_of(before) != _figures_of(after):
            if num_figures(after):
                label = 1
            elif num_figures(before):
                label = 0
        # A label that follows from the points is not written down where there was none.
        is_derived = image.get('label') is None and label == int(num_figures(after) > 0)
        if label is not None and not is_derived:
            changed['label'] = label
        result = {**image, **changed}
        new_label = image_label(result, after)
        self.labels_changed += new_label != image_label(image, before)
        if self.truth is not None:
            is_noise = new_label != self.truth.image_label(image['id'])
            if is_noise or 'is_noise' in image:
                result['is_noise'] = is_noise
        return result

    def _record(self, consensus: ItemConsensus) -> dict[str, Any]:
        return {
            'from': consensus.item.old_label,
            'to': consensus.label,
            'votes': dict(consensus.votes),
            'rule': self._rule,
            'item': consensus.item.item_id,
        }


def noise_counts(document: Mapping[str, Any], reviewed: Mapping[str, Any], truth: KnownTruth) -> dict[str, int]:
    """Count how the review changed noisy and clean images; both are counted over positives, as in a distillation."""
    annotations, after = by_image(document['annotations']), by_image(reviewed['annotations'])
    labels = {image['id']: image_label(image, after[image['id']]) for image in reviewed['images']}
    counts: Counter[str] = Counter()
    for image in document['images']:
        image_id = image['id']
        is_positive, wanted = image_label(image, annotations[image_id]) == 1, truth.image_label(image_id)
        now = labels.get(image_id)
        if not is_positive:
            counts['noise_new'] += now == 1 and wanted == 0
            continue
        kind = 'clean' if wanted == 1 else 'noise'
        counts[f'{kind}_total'] += 1
        counts[f'{kind}_left_out'] += now is None
        counts['noise_corrected' if kind == 'noise' else 'clean_lost'] += now == 0
    names = ('noise_total', 'noise_corrected', 'noise_left_out', 'clean_total', 'clean_lost', 'clean_left_out')
    return {name: counts[name] for name in (*names, 'noise_new')}


def _figures_of(annotations: Sequence[Mapping[str, Any]]) -> list[int]:
    return [each['id'] for each in annotations if num_figures([each])]
