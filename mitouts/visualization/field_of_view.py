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
    """Overlay of one image: true positives, missed figures, false positives."""
    image = read_rgb(image_path)
    return draw_overlay(image, record.truth, record.points, threshold=threshold, radius_px=radius_px, mpp=record.mpp)


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

    Within each kind the most certain come first; ties go by image id, so the choice is always the same.
    """
    found, missed, false = [], [], []
    for record in records:
        points = record.points[record.points[:, 2] > threshold]
        predicted, matched, _ = match_one_to_one(points[:, :2], record.truth, radius_px)
        wrong = np.delete(points[:, 2], predicted)
        if len(wrong):
            false.append((-wrong.max(), record.image_id, record))
        if len(matched) < len(record.truth):
            missed.append((record.score, record.image_id, record))
        elif len(record.truth) and not len(wrong):
            found.append((-len(matched), record.image_id, record))
    ordered = [[item[2] for item in sorted(kind, key=lambda item: item[:2])] for kind in (found, missed, false)]
    chosen: list[ImageRecord] = []
    for record in [*ordered[0][: max(count - 2, 1)], *ordered[1][:1], *ordered[2][:1], *ordered[0][count - 2 :]]:
        if len(chosen) < count and all(record.image_id != other.image_id for other in chosen):
            chosen.append(record)
    return chosen
