"""Records of predicted and evaluated images, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from mitouts.structures import EvaluatedImage, ImagePrediction, ImageTruth

_PREDICTED = {field.name for field in fields(ImagePrediction)}


def predicted(image_id: int, score: float, points: Sequence[Any], **known: Any) -> ImagePrediction:
    """A prediction of an image, of points ``(x, y, score)``."""
    return ImagePrediction(image_id, score, np.array(points, dtype=np.float64).reshape(-1, 3), **known)


def evaluated(image_id: int, truth: Sequence[Any], points: Sequence[Any], **changes: Any) -> EvaluatedImage:
    """An image of 240 x 240 px at 0.25 um/px, two of them a case.

    Args:
        image_id: Its id.
        truth: Annotated ``(x, y)``.
        points: Predicted ``(x, y, score)``; the highest is the image's score.
        **changes: Other values of fields of either part.
    """
    xy = np.array(truth, dtype=np.float64).reshape(-1, 2)
    highest = max((float(point[2]) for point in points), default=0.0)
    record = EvaluatedImage(
        ImageTruth(
            image_id=image_id,
            case_id=f'case {image_id // 2}',
            label=int(len(xy) > 0),
            points=xy,
            counted=np.ones(len(xy), dtype=bool),
            cut=np.zeros((0, 2)),
            width=240,
            height=240,
            mpp=0.25,
        ),
        predicted(image_id, highest, points, map_max=highest),
    )
    return changed(record, **changes)


def changed(record: EvaluatedImage, **changes: Any) -> EvaluatedImage:
    """The record with other values of the prediction's fields (``score``, ``peaks``, ...), else of the truth's."""
    said = {key: value for key, value in changes.items() if key in _PREDICTED}
    known = {key: value for key, value in changes.items() if key not in _PREDICTED}
    return EvaluatedImage(replace(record.truth, **known), replace(record.prediction, **said))
