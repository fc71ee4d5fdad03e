"""Draws training samples as the model sees them, with their annotated points."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mitouts.errors import ConfigError
from mitouts.utils.words import case_words, plural
from mitouts.visualization.marks import MarkStyle, draw_mark
from mitouts.visualization.palette import ANNOTATED, POSITIVE_FRAME

ANNOTATED_MARK = MarkStyle(ANNOTATED, None)
_SMALLEST_SIDE_PX = 240
_FRAME_PX = 4
_MARKER_PX = 20.0


def draw_sample(image: np.ndarray, points: np.ndarray, label: int) -> np.ndarray:
    """Draw the annotated points of a sample as circles, and a frame around an image that is labelled positive.

    A frame without a circle marks a positive image whose figures are not annotated, or were moved out of the image by
    augmentation.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        points: ``(G, 2)`` annotated points ``(x, y)`` in pixels.
        label: The image label, 0 or 1.

    Returns:
        ``(s * H, s * W, 3)`` uint8, RGB, enlarged by a whole number ``s`` until both sides have 240 px.
    """
    scale = max(1, -(-_SMALLEST_SIDE_PX // min(image.shape[:2])))
    canvas = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    for x, y in (np.asarray(points, dtype=np.float64).reshape(-1, 2) + 0.5) * scale - 0.5:
        draw_mark(canvas, ANNOTATED_MARK, x, y, _MARKER_PX * scale, pen=2)
    if label:
        canvas[:_FRAME_PX], canvas[-_FRAME_PX:] = POSITIVE_FRAME, POSITIVE_FRAME
        canvas[:, :_FRAME_PX], canvas[:, -_FRAME_PX:] = POSITIVE_FRAME, POSITIVE_FRAME
    return canvas


def draw_item(item: dict[str, Any]) -> tuple[np.ndarray, str]:
    """Draw one item of a data set.

    Args:
        item: ``inputs``, uint8 tensor ``(3, H, W)``, RGB; ``data_samples``, a :class:`mitouts.structures.PointSample`.

    Returns:
        The picture ``(H', W', 3)`` and its caption.

    Raises:
        ConfigError: The data set's pipeline does not end with the step that packs.
    """
    if 'data_samples' not in item:
        raise ConfigError("the data set's pipeline must end with the step that packs, dict(type='PackPointSample')")
    sample = item['data_samples']
    points = np.asarray(sample.gt_points).reshape(-1, 2)
    picture = draw_sample(item['inputs'].numpy().transpose(1, 2, 0), points, int(sample.gt_label))
    held = plural(len(points), 'point')
    return picture, f'{sample.img_id}: label {int(sample.gt_label)}, {held}, {case_words(sample.case_id)}'
