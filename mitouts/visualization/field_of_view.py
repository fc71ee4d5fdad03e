"""Draws overlays of evaluated images, and picks those worth showing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.matching import match_one_to_one
from mitouts.imaging.image import read_rgb, write_rgb
from mitouts.structures import EvaluatedImage
from mitouts.visualization.overlay import draw_overlay


def overlay_of(record: EvaluatedImage, *, threshold: float, radius_px: float) -> NDArray[np.uint8]:
    """Draw an overlay of one image: true positives, missed figures, false positives.

    On a positive image without annotated points it shows the predictions without judging them.
    """
    truth, points = record.truth, record.prediction.points
    annotated = truth.points if truth.is_located else None
    return draw_overlay(
        read_rgb(truth.path), annotated, points, threshold=threshold, radius_px=radius_px, mpp=truth.mpp
    )


def write_overlays(
    folder: str | Path, records: Sequence[EvaluatedImage], *, threshold: float, radius_px: float
) -> None:
    """Write one PNG for each image, named by its file and id."""
    for record in records:
        overlay = overlay_of(record, threshold=threshold, radius_px=radius_px)
        write_rgb(Path(folder) / f'{Path(record.truth.path).stem}_{record.truth.image_id:05d}.png', overlay)


def pick_examples(
    records: Sequence[EvaluatedImage], *, threshold: float, radius_px: float, count: int = 4
) -> list[EvaluatedImage]:
    """Pick typical images: figures found, one missed, one false positive, and more of the first kind.

    Positive images without annotated points, on which nothing can be judged, come last. Within each kind the most
    certain come first; ties go by image id, so the choice is always the same.
    """
    found, missed, false, unjudged = [], [], [], []
    for record in records:
        points, truth = record.prediction.above(threshold), record.truth
        if not truth.is_located:
            unjudged.append((-len(points), truth.image_id, record))
            continue
        predicted, matched, _ = match_one_to_one(points[:, :2], truth.points, radius_px)
        wrong = np.delete(points[:, 2], predicted)
        if len(wrong):
            false.append((-wrong.max(), truth.image_id, record))
        if len(matched) < len(truth.points):
            missed.append((record.prediction.score, truth.image_id, record))
        elif len(truth.points) and not len(wrong):
            found.append((-len(matched), truth.image_id, record))
    kinds = (found, missed, false, unjudged)
    right, gaps, wrongs, open_ones = ([item[2] for item in sorted(kind, key=lambda item: item[:2])] for kind in kinds)
    chosen: list[EvaluatedImage] = []
    for record in [*right[: max(count - 2, 1)], *gaps[:1], *wrongs[:1], *right[count - 2 :], *open_ones]:
        if len(chosen) < count and all(record.truth.image_id != other.truth.image_id for other in chosen):
            chosen.append(record)
    return chosen
