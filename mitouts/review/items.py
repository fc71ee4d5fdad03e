"""Turns hard samples into items for raters: places where annotators or the Teacher see a figure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import ReviewError
from mitouts.formats.coco import MITOTIC_FIGURE
from mitouts.review.labels import Label

Kind = Literal['point', 'image']
Include = Literal['dropped', 'all']
Point = tuple[float, float]

DEFAULT_RADIUS_PX = 30.0
# A sample that counts less than half in the Student's loss is as good as dropped.
HARD_WEIGHT = 0.5
# hard_samples.json rounds to four decimals.
_SAME_POINT_PX = 0.01


@dataclass(frozen=True)
class Item:
    """A place for a rater to judge.

    Attributes:
        item_id: From 1, in a random order, so that it says nothing about the sample.
        kind: ``point``, or ``image`` where only the image's label is known and the whole image is judged.
        image_id: Image id in the annotation file.
        file_name: File name in the annotation file.
        case_id: Patient or slide.
        scanner: Empty where unknown.
        mpp: Micrometres per pixel, None where unknown.
        width_px: Width of the image.
        height_px: Height of the image.
        x_px: Column of the place: the annotated point, else the predicted one, else the image's centre.
        y_px: Row of the place.
        annotation_id: The annotation that it is about.
        annotated_xy_px: Its point.
        predicted_xy_px: The Teacher's point there.
        predicted_score: The Teacher's score there.
        old_label: Label by the annotators; None if they marked nothing.
        reason: Why the sample was judged as it was.
        verdict: ``keep`` or ``drop``.
        image_score: The Teacher's score of the image.
        distance_px: From the annotated point to the nearest predicted one, or the other way round where nobody
            annotated; the image's diagonal where there is none.
        rank: 0 for the largest disagreement.
        source_image: Image that a patch was cut from, relative to some folder; empty if the image is not a patch.
        source_xy_px: Position of the patch's first pixel there, at the patch's resolution.
        source_downsample: Pixels of the source per pixel of the patch.
    """

    item_id: int
    kind: Kind
    image_id: int
    file_name: str
    case_id: str
    scanner: str
    mpp: float | None
    width_px: int
    height_px: int
    x_px: float
    y_px: float
    annotation_id: int | None = None
    annotated_xy_px: Point | None = None
    predicted_xy_px: Point | None = None
    predicted_score: float | None = None
    old_label: Label | None = None
    reason: str = ''
    verdict: str = 'drop'
    image_score: float | None = None
    distance_px: float | None = None
    rank: int = 0
    source_image: str = ''
    source_xy_px: tuple[int, int] | None = None
    source_downsample: float = 1.0

    @property
    def anchor_px(self) -> tuple[int, int]:
        """The pixel that crops are centred on and that offsets are counted from; halves are rounded up."""
        return math.floor(self.x_px + 0.5), math.floor(self.y_px + 0.5)

    def at(self, offset_px: Point) -> Point:
        """Return the point of the image at an offset from the anchor."""
        return self.anchor_px[0] + offset_px[0], self.anchor_px[1] + offset_px[1]

    def holds(self, xy_px: Point) -> bool:
        """Whether a point lies in the image, its outer edges included."""
        return -0.5 <= xy_px[0] <= self.width_px - 0.5 and -0.5 <= xy_px[1] <= self.height_px - 0.5


def by_image(annotations: Iterable[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """Group annotations by image id, in their order; any other image has an empty list."""
    grouped: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        grouped[annotation['image_id']].append(annotation)
    return grouped


def radius_px(hard_samples: Mapping[str, Any]) -> float:
    """Return the radius within which two points are the same figure, as the distillation used it."""
    criterion = (hard_samples.get('info') or {}).get('criterion') or {}
    return float(criterion.get('radius_px', DEFAULT_RADIUS_PX))


def build_items(
    hard_samples: Mapping[str, Any],
    document: Mapping[str, Any],
    *,
    include: Include = 'dropped',
    num_controls: int = 0,
    seed: int = 0,
) -> list[Item]:
    """Turn a distillation's verdicts into items.

    Each annotated point of a sample is an item, and so is each predicted point that lies within the radius of no
    annotated point and of no stronger prediction. A sample that has a label but no annotated points becomes one item
    for the whole image.

    Args:
        hard_samples: As :func:`mitouts.formats.hard_samples.read_hard_samples` returns them.
        document: The annotation file that was distilled, as :func:`mitouts.formats.coco.read_coco` returns it.
        include: ``dropped`` takes the samples that were dropped or weigh less than a half; ``all`` takes every sample
            with anything to judge.
        num_controls: As many of the other samples that have a point, drawn at random, are mixed in, so that a rater
            cannot know that all of them are disputed.
        seed: Seed of the order and the draw.

    Returns:
        The items, by ``item_id``.

    Raises:
        ReviewError: The two files do not belong together, the samples hold no predictions, or nothing is to be
            reviewed.
    """
    samples = _checked_samples(hard_samples)
    images = {image['id']: image for image in document['images']}
    annotations = by_image(document['annotations'])
    hard = [sample for sample in samples if include == 'all' or _is_hard(sample)]
    rng = np.random.default_rng(seed)
    hard += _controls(samples, hard, num_controls, rng)
    radius = radius_px(hard_samples)
    items: list[Item] = []
    for sample in hard:
        image = images.get(sample['image_id'])
        if image is None or image['file_name'] != sample['file_name']:
            raise ReviewError(
                f'the hard samples name image {sample["image_id"]}, {sample["file_name"]}, and the annotation file '
                f'{"has no such image" if image is None else "calls it " + image["file_name"]}: give the annotation '
                'file that was distilled'
            )
        items += _items_of(sample, image, annotations[sample['image_id']], radius)
    if not items:
        raise ReviewError(
            f'nothing to review: none of the {len(samples)} samples is '
            f'{"annotated or predicted anywhere" if include == "all" else "dropped; --all takes the others as well"}'
        )
    ranked = sorted(items, key=_agreement)
    numbers = rng.permutation(len(ranked)) + 1
    numbered = (replace(item, item_id=int(numbers[rank]), rank=rank) for rank, item in enumerate(ranked))
    return sorted(numbered, key=lambda item: item.item_id)


def _checked_samples(hard_samples: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    samples: list[Mapping[str, Any]] = hard_samples['images']
    if not samples:
        raise ReviewError("nothing to review: the hard samples hold no image ('images' is empty)")
    for index, sample in enumerate(samples):
        for key in ('annotated_points', 'predicted_points'):
            if sample.get(key) is None:
                raise ReviewError(
                    f'images[{index}] of the hard samples has no {key}: its criterion looked at no prediction, so '
                    'there is no disagreement to review; distil with CentroidDisagreement'
                )
    return samples


def _is_hard(sample: Mapping[str, Any]) -> bool:
    return sample['verdict'] == 'drop' or float(sample.get('weight', 1.0)) < HARD_WEIGHT


def _controls(
    samples: Sequence[Mapping[str, Any]], hard: Sequence[Mapping[str, Any]], number: int, rng: np.random.Generator
) -> list[Mapping[str, Any]]:
    taken = {sample['image_id'] for sample in hard}
    others = [
        sample
        for sample in samples
        if sample['image_id'] not in taken and (sample['annotated_points'] or sample['predicted_points'])
    ]
    if number > len(others):
        raise ReviewError(
            f'{number} controls were asked for, but only {len(others)} other samples have a point: ask for fewer'
        )
    return [others[index] for index in sorted(rng.choice(len(others), number, replace=False))]


def _items_of(
    sample: Mapping[str, Any], image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], radius: float
) -> Iterator[Item]:
    annotated = np.asarray(sample['annotated_points'], np.float64).reshape(-1, 2)
    predicted = np.asarray(sample['predicted_points'], np.float64).reshape(-1, 3)
    diagonal = math.hypot(image['width'], image['height'])
    base = Item(
        item_id=0,
        kind='point',
        image_id=image['id'],
        file_name=image['file_name'],
        case_id=str(image['case_id']),
        scanner=str(image.get('scanner') or ''),
        mpp=image.get('mpp'),
        width_px=image['width'],
        height_px=image['height'],
        x_px=(image['width'] - 1) / 2,
        y_px=(image['height'] - 1) / 2,
        reason=str(sample['reason']),
        verdict=str(sample['verdict']),
        image_score=sample.get('score'),
        distance_px=diagonal,
        **_source(image),
    )
    for x, y in annotated.tolist():
        annotation = _annotation_at(x, y, annotations, sample)
        near, distance = _nearest((x, y), predicted, diagonal)
        yield replace(
            base,
            x_px=x,
            y_px=y,
            annotation_id=annotation['id'],
            annotated_xy_px=(x, y),
            old_label='mitotic' if annotation['category_id'] == MITOTIC_FIGURE else 'look_alike',
            distance_px=distance,
            **({} if near is None or distance > radius else _prediction(near)),
        )
    apart = list(_apart(annotated, predicted, radius))
    for point in apart:
        x, y = float(point[0]), float(point[1])
        distance = _nearest((x, y), annotated, diagonal)[1]
        yield replace(base, x_px=x, y_px=y, distance_px=distance, **_prediction(point))
    judged_as_a_whole = sample['label'] == 1 or (_is_hard(sample) and not apart)
    if not len(annotated) and judged_as_a_whole:
        yield replace(base, kind='image', old_label='mitotic' if sample['label'] == 1 else 'look_alike')


def _source(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that say what a patch was cut from, if its entry is complete and valid; else nothing."""
    name, place, downsample = (image.get(f'source_{key}') for key in ('image', 'xy_px', 'downsample'))
    if not isinstance(name, str) or not isinstance(place, (list, tuple)) or len(place) != 2:
        return {}
    numbers = [*place, 1.0 if downsample is None else downsample]
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in numbers) or numbers[2] <= 0:
        return {}
    return {
        'source_image': name,
        'source_xy_px': (round(place[0]), round(place[1])),
        'source_downsample': float(numbers[2]),
    }


def _annotation_at(
    x: float, y: float, annotations: Sequence[Mapping[str, Any]], sample: Mapping[str, Any]
) -> Mapping[str, Any]:
    here = [each for each in annotations if math.dist(each['point'], (x, y)) <= _SAME_POINT_PX]
    if not here:
        raise ReviewError(
            f'image {sample["image_id"]}, {sample["file_name"]}: the hard samples say that ({x}, {y}) is annotated, '
            'the annotation file has no point there: give the annotation file that was distilled'
        )
    return min(here, key=lambda each: (each['category_id'], each['id']))


def _prediction(point: NDArray[np.float64]) -> dict[str, Any]:
    return {'predicted_xy_px': (float(point[0]), float(point[1])), 'predicted_score': float(point[2])}


def _nearest(xy: Point, points: NDArray[np.float64], otherwise_px: float) -> tuple[NDArray[np.float64] | None, float]:
    if not len(points):
        return None, otherwise_px
    distances = np.hypot(points[:, 0] - xy[0], points[:, 1] - xy[1])
    index = int(distances.argmin())
    return points[index], float(distances[index])


def _apart(
    annotated: NDArray[np.float64], predicted: NDArray[np.float64], radius: float
) -> Iterator[NDArray[np.float64]]:
    """Yield predicted points farther than the radius from all annotated points and from all stronger ones yielded."""
    taken = list(annotated[:, :2])
    for point in predicted[np.argsort(-predicted[:, 2], kind='stable')]:
        if all(math.dist(point[:2], other) > radius for other in taken):
            taken.append(point[:2])
            yield point


def _agreement(item: Item) -> tuple[float, float, int, float, float]:
    """Return the sort key that puts the least agreement first: large distances, then the more certain Teacher."""
    sure = item.image_score or 0.0
    doubt = sure if item.annotation_id is not None or item.kind == 'image' else 1 - (item.predicted_score or 0.0)
    diagonal = math.hypot(item.width_px, item.height_px)
    return -(item.distance_px or 0.0) / diagonal, doubt, item.image_id, item.y_px, item.x_px
