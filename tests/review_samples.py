"""A distillation small enough to be reviewed by hand: seven images, their annotations, and what a Teacher said.

Image, case: what is annotated (noise in brackets), what the Teacher saw, and what became of it
1, A: a figure; it, too; kept
2, A: (a figure); nothing; dropped
3, B: a figure; another place; dropped
4, B: two figures; one of them, and a place where nobody annotated; dropped
5, C: nothing; nothing; kept
6, C: (a label of 1 and no point); nothing; dropped
7, D: (a figure, and a label of 1); nothing; dropped
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mitouts.formats.coco import MITOTIC_FIGURE, make_annotation, make_document, make_image, write_json
from mitouts.imaging.image import write_rgb
from mitouts.review.items import Item
from mitouts.review.opening import open_or_create
from mitouts.review.records import Decision
from mitouts.review.store import ReviewStore
from mitouts.utils.files import file_sha256

SIZE_PX = 96
RADIUS_PX = 10.0
SCANNER = 'Aperio CS2'
DROPPED_IMAGES = (2, 3, 4, 6, 7)

# Image, x, y, whether it is noise; annotations are numbered from 1.
FIGURES = (
    (1, 20.5, 30.5, False),
    (2, 40.25, 50.5, True),
    (3, 30.5, 30.5, False),
    (4, 20.5, 20.5, False),
    (4, 70.5, 70.5, False),
    (7, 60.5, 20.5, True),
)
CASES = {1: 'A', 2: 'A', 3: 'B', 4: 'B', 5: 'C', 6: 'C', 7: 'D'}
NOISY_IMAGES = (2, 6, 7)
GIVEN_LABELS = {6: 1, 7: 1}
PREDICTED: Mapping[int, list[list[float]]] = {
    1: [[22.0, 31.0, 0.9]],
    3: [[70.2, 60.9, 0.8]],
    4: [[24.0, 22.0, 0.85], [50.0, 80.0, 0.7]],
}
REASONS = {
    1: 'agreement',
    2: 'no_prediction',
    3: 'false_prediction',
    4: 'false_prediction',
    5: 'negative',
    6: 'image_error',
    7: 'no_prediction',
}

_REQUESTS = itertools.count()


@dataclass(frozen=True)
class ReviewFiles:
    """Where the files are."""

    folder: Path
    annotations: Path
    hard_samples: Path
    image_root: Path

    @property
    def database(self) -> Path:
        """Where a review goes by default."""
        return self.folder / 'review.sqlite'


def sample_document(*, knows_noise: bool = True) -> dict[str, Any]:
    """The annotation file."""
    images = []
    for image_id, case_id in CASES.items():
        extra: dict[str, Any] = {'is_noise': image_id in NOISY_IMAGES} if knows_noise else {}
        if image_id in GIVEN_LABELS:
            extra['label'] = GIVEN_LABELS[image_id]
        mpp = None if image_id == 7 else 0.25
        scanner = {} if image_id == 7 else {'scanner': SCANNER}
        images.append(
            make_image(image_id, f'{image_id}.png', SIZE_PX, SIZE_PX, case_id=case_id, mpp=mpp, **scanner, **extra)
        )
    annotations = [
        make_annotation(
            number, image_id, MITOTIC_FIGURE, x, y, **({'is_noise': is_noise} if knows_noise else {}), source_uid=number
        )
        for number, (image_id, x, y, is_noise) in enumerate(FIGURES, start=1)
    ]
    return make_document(images, annotations, name='to be reviewed', tool='tests', image_root='images')


def sample_hard_samples(source_sha256: str | None = None) -> dict[str, Any]:
    """What the distillation wrote."""
    samples = []
    for image_id, case_id in CASES.items():
        annotated = [[x, y] for image, x, y, _ in FIGURES if image == image_id]
        is_dropped = image_id in DROPPED_IMAGES
        samples.append(
            {
                'image_id': image_id,
                'file_name': f'{image_id}.png',
                'case_id': case_id,
                'label': int(bool(annotated) or image_id in GIVEN_LABELS),
                'verdict': 'drop' if is_dropped else 'keep',
                'reason': REASONS[image_id],
                'weight': 0.0 if is_dropped else 1.0,
                'distance_px': 12.5,
                'score': image_id / 10,
                'predicted_points': PREDICTED.get(image_id, []),
                'annotated_points': annotated,
            }
        )
    info = {
        'distilled_from': 'train.json',
        'source_sha256': source_sha256,
        'teacher_sha256': 'ab' * 32,
        'criterion': {'type': 'CentroidDisagreement', 'radius_px': RADIUS_PX, 'policy': 'perfect'},
        'image_threshold': 0.5,
        'map_threshold': 0.5,
        'summary': {'kept': 2, 'dropped': 5},
    }
    return {'info': info, 'images': samples}


def write_review_files(folder: Path, *, knows_noise: bool = True) -> ReviewFiles:
    """Write ``train.json``, ``hard_samples.json`` and ``images/*.png``."""
    files = ReviewFiles(folder, folder / 'train.json', folder / 'hard_samples.json', folder / 'images')
    write_json(files.annotations, sample_document(knows_noise=knows_noise))
    write_json(files.hard_samples, sample_hard_samples(file_sha256(files.annotations)))
    generator = np.random.default_rng(0)
    for image_id in CASES:
        pixels = generator.integers(150, 240, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
        for image, x, y, _ in FIGURES:
            if image == image_id:
                pixels[round(y) - 4 : round(y) + 5, round(x) - 4 : round(x) + 5] = (70, 30, 110)
        write_rgb(files.image_root / f'{image_id}.png', pixels)
    return files


def make_store(files: ReviewFiles, **further: Any) -> ReviewStore:
    """The review of them; keyword arguments go to :func:`mitouts.review.opening.open_or_create`."""
    return open_or_create(files.database, files.hard_samples, files.annotations, **further)


def item_of(store: ReviewStore, image_id: int, annotation_id: int | None = None) -> Item:
    """The item of an annotation; without one, that of the image's unannotated place, or of the whole image."""
    (found,) = [item for item in store.items if (item.image_id, item.annotation_id) == (image_id, annotation_id)]
    return found


def decide(store: ReviewStore, item: Item, label: str, rater: str = 'anna', **further: Any) -> Decision:
    """A blinded decision with a request of its own."""
    request = f'request {next(_REQUESTS)}'
    said: dict[str, Any] = {'blinded': True, **further}
    return store.decide(request=request, rater=rater, item_id=item.item_id, label=label, **said)  # type: ignore[arg-type]


def offset_to(item: Item, x_px: float, y_px: float) -> tuple[float, float]:
    """What is said to mean a point of the image: its offset from the item's anchor."""
    return x_px - item.anchor_px[0], y_px - item.anchor_px[1]
