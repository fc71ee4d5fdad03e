"""Measures whether a Teacher's disagreement finds the labels that are wrong, or that annotators were in doubt about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationError
from mitouts.experiments.noise import annotations_of, read_positives
from mitouts.formats.coco import MITOTIC_FIGURE, read_coco
from mitouts.formats.hard_samples import NEEDED, read_hard_samples
from mitouts.formats.source import is_number
from mitouts.functional.distillation import least_distance_px
from mitouts.functional.stratified_auc import AucDifference, StratifiedAuc, auc_difference, stratified_auc

MEASURES = ('distance', 'image score')
"""What a disagreement is measured by: far points, and low image scores, are suspicious."""


@dataclass(frozen=True)
class Suspects:
    """Labels with what a Teacher says of each.

    Attributes:
        keys: What each is: an image's file, and of a figure also its place.
        measures: One of :data:`MEASURES` -> ``(N,)``; higher is more suspicious.
        positive: ``(N,)`` bool, whether the label is what is looked for.
        cases: ``(N,)`` its case.
        left_out: Number of labels that cannot be compared: positive images without an annotated point.
    """

    keys: list[str]
    measures: dict[str, NDArray[np.float64]]
    positive: NDArray[np.bool_]
    cases: NDArray[np.str_]
    left_out: int = 0

    def scores(self, *, num_bootstrap: int, seed: int) -> dict[str, StratifiedAuc]:
        """Score each measure as a detector of what is looked for."""
        return {
            name: stratified_auc(values, self.positive, self.cases, num_bootstrap=num_bootstrap, seed=seed)
            for name, values in self.measures.items()
        }

    def difference(self, name: str, other: Suspects, other_name: str, **options: int) -> AucDifference:
        """Compare a measure with one of another Teacher (or of this one) on the labels that both judged.

        Raises:
            AnnotationError: Both judged a label, and it is looked for in one of them alone.
        """
        place = {key: index for index, key in enumerate(other.keys)}
        own = [index for index, key in enumerate(self.keys) if key in place]
        others = [place[self.keys[index]] for index in own]
        differing = [index for index, theirs in zip(own, others) if self.positive[index] != other.positive[theirs]]
        if differing:
            raise AnnotationError(
                f'two distillations cannot be compared: {self.keys[differing[0]]} is looked for in one, and not in the '
                'other: expected the same annotations'
            )
        values = self.measures[name][own], other.measures[other_name][others]
        return auc_difference(*values, self.positive[own], self.cases[own], **options)

    def shared(self, other: Suspects) -> int:
        """Return the number of labels that both Teachers judged."""
        return len({*self.keys} & {*other.keys})


def join(parts: Sequence[Suspects]) -> Suspects:
    """Put together what several Teachers judged, such as those of folds.

    Raises:
        AnnotationError: Two of them judged one label.
    """
    keys = [key for part in parts for key in part.keys]
    twice = next((key for key, count in Counter(keys).items() if count > 1), None)
    if twice is not None:
        raise AnnotationError(f'{twice} was judged twice: files that are put together must have different images')
    return Suspects(
        keys,
        {name: np.concatenate([part.measures[name] for part in parts]) for name in parts[0].measures},
        np.concatenate([part.positive for part in parts]),
        np.concatenate([part.cases for part in parts]),
        sum(part.left_out for part in parts),
    )


def noisy_images(path: Path) -> Suspects:
    """Collect the positive images of a distillation; those that are mislabelled are looked for.

    Args:
        path: ``hard_samples.json``; its samples, or the annotation file that was distilled, say what is noise.

    Raises:
        AnnotationError: No image is known to be mislabelled, or the criterion looked at no prediction.
    """
    samples, is_noise = read_positives(path)
    if is_noise is None or not any(is_noise):
        raise AnnotationError(
            f'{path}: no positive image is known to be mislabelled: expected is_noise in the samples or in the '
            'annotation file, or look-alikes among the positive categories'
        )
    _need_predictions(path, samples)
    known = [number for number, sample in enumerate(samples) if sample['distance_px'] is not None]
    return Suspects(
        [str(samples[number].get('file_name', samples[number]['image_id'])) for number in known],
        {
            'distance': np.array([samples[number]['distance_px'] for number in known], dtype=np.float64),
            'image score': -np.array([samples[number]['score'] for number in known], dtype=np.float64),
        },
        np.array([is_noise[number] for number in known], dtype=bool),
        np.array([samples[number].get('case_id', '') for number in known], dtype=str),
        len(samples) - len(known),
    )


def doubted_figures(path: Path, ann_file: Path | None = None, *, below: float = 1.0) -> Suspects:
    """Collect the mitotic figures of the images that a Teacher judged; those that annotators doubted are looked for.

    The distance is that from the figure to the nearest point that the Teacher predicts in its image, and the image's
    diagonal where it predicts none. Figures that a patch shows and another one counts are left out.

    Args:
        path: ``hard_samples.json``.
        ann_file: The annotation file that was distilled, whose figures have a ``confidence``; None finds it.
        below: A figure is doubted when its confidence is below this.

    Raises:
        AnnotationError: The annotation file is not found or is another one, no figure has a confidence or none is
            doubted, or the criterion looked at no prediction.
    """
    document = read_hard_samples(path, (*NEEDED, 'case_id'))
    ann_file = ann_file or annotations_of(path.parent, document['info'])
    if ann_file is None:
        raise AnnotationError(
            f'{path}: the annotation file that was distilled is not beside its images, or has changed: name it with '
            '--ann-file'
        )
    annotated = read_coco(ann_file)
    images = {image['id']: image for image in annotated['images']}
    samples = {sample['image_id']: sample for sample in document['images']}
    foreign = next(
        (key for key, each in samples.items() if images.get(key, {}).get('file_name') != each['file_name']), None
    )
    if foreign is not None:
        raise AnnotationError(
            f'{ann_file}: has no image {foreign} called {samples[foreign]["file_name"]}, which {path} judged: expected '
            'the annotation file that was distilled'
        )
    figures = [
        each
        for each in annotated['annotations']
        if each['category_id'] == MITOTIC_FIGURE
        and each['image_id'] in samples
        and not (each.get('iscrowd') or each.get('cut'))
        and each.get('confidence') is not None
    ]
    _check_confidence(ann_file, figures, below)
    judged = [samples[figure['image_id']] for figure in figures]
    _need_predictions(path, judged)
    return Suspects(
        [_name(figure, sample) for figure, sample in zip(figures, judged)],
        {
            'distance': np.array([_distance_px(*each, images) for each in zip(figures, judged)], dtype=np.float64),
            'image score': -np.array([sample['score'] for sample in judged], dtype=np.float64),
        },
        np.array([figure['confidence'] < below for figure in figures], dtype=bool),
        np.array([sample['case_id'] for sample in judged], dtype=str),
    )


def _name(figure: Mapping[str, Any], sample: Mapping[str, Any]) -> str:
    x, y = figure['point']
    return f'{sample["file_name"]} at x={x:g}, y={y:g}'


def _distance_px(
    figure: Mapping[str, Any], sample: Mapping[str, Any], images: Mapping[int, Mapping[str, Any]]
) -> float:
    image = images[figure['image_id']]
    predicted = np.array(sample['predicted_points'], dtype=np.float64).reshape(-1, 3)[:, :2]
    diagonal_px = math.hypot(image['width'], image['height'])
    return least_distance_px(predicted, [figure['point']], diagonal_px=diagonal_px)


def _check_confidence(ann_file: Path, figures: Sequence[Mapping[str, Any]], below: float) -> None:
    if not figures:
        raise AnnotationError(
            f'{ann_file}: no mitotic figure of the judged images has a confidence: expected annotations[].confidence, '
            'as MITOS14 has it'
        )
    wrong = next((each for each in figures if not is_number(each['confidence'])), None)
    if wrong is not None:
        raise AnnotationError(
            f'{ann_file}: annotation {wrong["id"]}: confidence must be a number, found {wrong["confidence"]!r:.40}'
        )
    values = sorted({each['confidence'] for each in figures})
    if not values[0] < below <= values[-1]:
        raise AnnotationError(
            f"{ann_file}: of the figures' confidences, {values[0]:g} to {values[-1]:g}, "
            f'{"all" if values[-1] < below else "none"} are below {below:g}: expected some that are, and some that are '
            'not'
        )


def _need_predictions(path: Path, samples: Sequence[Mapping[str, Any]]) -> None:
    if not all('score' in sample and 'predicted_points' in sample for sample in samples):
        raise AnnotationError(
            f'{path}: the samples have no scores and no predicted points, because their criterion looked at no '
            'prediction: expected the distillation of a Teacher'
        )
