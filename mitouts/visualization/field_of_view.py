"""Overlays of evaluated images, and which of them are worth showing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitouts.evaluation.records import ImageRecord
from mitouts.functional.matching import match_one_to_one
from mitouts.imaging.image import read_rgb, write_rgb
from mitouts.visualization.overlay import draw_overlay


def overlay_of(record: ImageRecord, image_path: str | Path, *, threshold: float, radius_px: float) -> NDArray[np.uint8]:
    """Overlay of one image: true positives, missed figures, false positives.

    Of a positive image without annotated points it shows what is predicted, and judges nothing.
    """
    image = read_rgb(image_path)
    truth = record.truth if record.is_located else None
    return draw_overlay(image, truth, record.points, threshold=threshold, radius_px=radius_px, mpp=record.mpp)


def write_overlays(
    folder: str | Path,
    records: Sequence[ImageRecord],
    image_paths: Mapping[int, str],
    *,
    threshold: float,
    radius_px: float,
) -> None:
    """Write one PNG an image, named by its file and id."""
    for record in records:
        path = Path(image_paths[record.image_id])
        overlay = overlay_of(record, path, threshold=threshold, radius_px=radius_px)
        write_rgb(Path(folder) / f'{path.stem}_{record.image_id:05d}.png', overlay)


def pick_examples(
    records: Sequence[ImageRecord], *, threshold: float, radius_px: float, count: int = 4
) -> list[ImageRecord]:
    """Images that show what a model does: figures found, one missed, one false positive, and more of the first kind.

    Positive images without annotated points, on which nothing can be judged, come last. Within each kind the most
    certain come first; ties go by image id, so the choice is always the same.
    """
    found, missed, false, unjudged = [], [], [], []
    for record in records:
        points = record.points[record.points[:, 2] > threshold]
        if not record.is_located:
            unjudged.append((-len(points), record.image_id, record))
            continue
        predicted, matched, _ = match_one_to_one(points[:, :2], record.truth, radius_px)
        wrong = np.delete(points[:, 2], predicted)
        if len(wrong):
            false.append((-wrong.max(), record.image_id, record))
        if len(matched) < len(record.truth):
            missed.append((record.score, record.image_id, record))
        elif len(record.truth) and not len(wrong):
            found.append((-len(matched), record.image_id, record))
    kinds = (found, missed, false, unjudged)
    right, gaps, wrongs, open_ones = ([item[2] for item in sorted(kind, key=lambda item: item[:2])] for kind in kinds)
    chosen: list[ImageRecord] = []
    for record in [*right[: max(count - 2, 1)], *gaps[:1], *wrongs[:1], *right[count - 2 :], *open_ones]:
        if len(chosen) < count and all(record.image_id != other.image_id for other in chosen):
            chosen.append(record)
    return chosen
