"""Scores a file of predictions against an annotation file: matches images, counts points, sums up by group."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationError, AnnotationWarning
from mitouts.formats.image_truths import image_truths
from mitouts.formats.predictions import Predictions
from mitouts.functional.localization import LocalizationScores, count_points, scores_from_counts
from mitouts.structures.image_record import ImageTruth

NO_POINTS = np.zeros((0, 3))


@dataclass(frozen=True)
class FileScoring:
    """Settings for scoring a file of predictions; ``mitouts evaluate --help`` describes each."""

    ground_truth: Path
    predictions: Path
    radius_px: float | None
    radius_um: float | None
    matching: str
    score_thr: float
    by: str | None
    category: Sequence[int]
    num_bootstrap: int
    seed: int


@dataclass(frozen=True)
class FileScores:
    """The scores of a file.

    Attributes:
        overall: Scores of all images.
        groups: Name of each group -> its number of images and scores; empty without ``by``.
        images: Number of scored images.
        left_out: Number of images that were not scored.
        without_points: Number of these that are labelled positive without a point.
        without_predictions: Number of scored images without predictions.
        is_labelled_only: The positive images have labels alone, so the counts are no result.
    """

    overall: LocalizationScores
    groups: Mapping[str, tuple[int, LocalizationScores]]
    images: int
    left_out: int
    without_points: int
    without_predictions: int
    is_labelled_only: bool


def score_file(args: FileScoring, truth: Mapping[str, Any], predictions: Predictions) -> FileScores:
    """Score the predictions of the images of an annotation file.

    Args:
        args: The settings.
        truth: Content of ``args.ground_truth``.
        predictions: Content of ``args.predictions``.

    Raises:
        AnnotationError: The predictions are of other images, or the annotations lack a category, a resolution or a key.
    """
    known = _truths(args, truth)
    # A patch that shows only parts of figures is neither positive nor negative; the data set leaves it out as well.
    clear = [image for image in truth['images'] if not known[image['id']].is_ambiguous]
    images = [image for image in clear if known[image['id']].is_located]
    if len(images) < len(clear):
        warnings.warn(
            f'{args.ground_truth}: {len(clear) - len(images)} of {len(clear)} images are labelled positive without an '
            'annotated point, so nothing can be said about where their figures are; they are left out',
            AnnotationWarning,
            stacklevel=2,
        )
    num_missing = _check_images(args, truth['images'], images, predictions)
    predicted = predictions.images
    counts = count_points(
        [predicted[image['id']].points if image['id'] in predicted else NO_POINTS for image in images],
        [known[image['id']].counted_points for image in images],
        ignored=[known[image['id']].ignored for image in images],
        radius_px=_radius_px(args, images),
        threshold=args.score_thr,
        protocol=args.matching,
    )
    cases = np.array([image['case_id'] for image in images])

    def score(members: Any) -> LocalizationScores:
        return scores_from_counts(
            counts[members],
            protocol=args.matching,
            cases=cases[members].tolist(),
            num_bootstrap=args.num_bootstrap,
            seed=args.seed,
        )

    group = _groups(args.ground_truth, images, args.by) if args.by else np.array([])
    members = {name: group == name for name in np.unique(group).tolist()}
    return FileScores(
        score(slice(None)),
        {name: (int(chosen.sum()), score(chosen)) for name, chosen in members.items()},
        images=len(images),
        left_out=len(truth['images']) - len(images),
        without_points=len(clear) - len(images),
        without_predictions=num_missing,
        # The negative images are left.
        is_labelled_only=len(images) < len(clear) and not any(len(known[image['id']].points) for image in images),
    )


def _check_images(
    args: FileScoring, known: Sequence[Mapping[str, Any]], images: Sequence[Mapping[str, Any]], predictions: Predictions
) -> int:
    """Raise an error if predictions are of other images; returns the number of images without predictions."""
    unknown = sorted(set(predictions.images) - {image['id'] for image in known})
    if unknown:
        listed = ', '.join(map(str, unknown[:5])) + (', ...' if len(unknown) > 5 else '')
        raise AnnotationError(
            f'{args.predictions}: {len(unknown)} of {len(predictions.images)} image ids are not in {args.ground_truth} '
            f'({listed}); predict the images of that very file'
        )
    for image in known:
        name = predictions.images[image['id']].file_name if image['id'] in predictions.images else None
        if name is not None and Path(name).stem != Path(image['file_name']).stem:
            raise AnnotationError(
                f'{args.predictions}: image {image["id"]} is {name}, and in {args.ground_truth} {image["file_name"]}; '
                'predict the images of that very file'
            )
    num_missing = len({image['id'] for image in images} - set(predictions.images))
    if num_missing:
        warnings.warn(
            f'{args.predictions} says nothing of {num_missing} of {len(images)} images; their figures count as missed',
            AnnotationWarning,
            stacklevel=2,
        )
    return num_missing


def _truths(args: FileScoring, truth: Mapping[str, Any]) -> dict[int, ImageTruth]:
    names = {category['id']: category['name'] for category in truth['categories']}
    unknown = [category for category in args.category if category not in names]
    if unknown:
        known = ', '.join(f'{key} ({name})' for key, name in sorted(names.items()))
        raise AnnotationError(f'{args.ground_truth} has no category {unknown[0]}; it has {known}')
    return image_truths(truth, args.category)


def _radius_px(args: FileScoring, images: Sequence[Mapping[str, Any]]) -> float | list[float]:
    if args.radius_um is None:
        assert args.radius_px is not None
        return args.radius_px
    unknown = [image for image in images if image['mpp'] is None]
    if unknown:
        raise AnnotationError(
            f'{args.ground_truth}: {len(unknown)} of {len(images)} images have no mpp, the first is image '
            f'{unknown[0]["id"]} ({unknown[0]["file_name"]}); add it or give --radius-px'
        )
    return [args.radius_um / image['mpp'] for image in images]


def _groups(path: Path, images: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.str_]:
    without = [image for image in images if key not in image]
    if without:
        raise AnnotationError(
            f'{path}: {len(without)} of {len(images)} images have no key {key!r}; image '
            f'{without[0]["id"]} has {", ".join(without[0])}'
        )
    return np.array([str(image[key]) for image in images])
