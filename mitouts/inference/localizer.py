"""A trained model on images that have no labels."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.model import BaseModel
from numpy.typing import NDArray

from mitouts.errors import AnnotationWarning, CheckpointError, ImageError
from mitouts.imaging import MAX_UPSAMPLING
from mitouts.inference.loading import load_model, move_to
from mitouts.models.reading import located_points
from mitouts.structures import PointSample


@dataclass(frozen=True)
class Prediction:
    """What a model says about one image.

    Attributes:
        score: Image-level probability.
        is_positive: ``score`` is above the image threshold.
        points: Array ``(N, 3)`` of ``(x, y, score)`` in pixels of the given image, descending by score. Those above
            the map threshold are the predicted mitotic figures; weaker ones are kept for curves.
        figures: The points above the map threshold.
    """

    score: float
    is_positive: bool
    points: NDArray[np.float64]
    figures: NDArray[np.float64]


class Localizer:
    """A model ready to predict, with the thresholds and the resolution that it was validated with.

    Args:
        model: A calibrated localizer, whether it scores a map or finds points.
        device: Where it runs.

    Example:
        >>> localizer = Localizer.from_checkpoint('best.pth')  # doctest: +SKIP
        >>> localizer.predict(image, mpp=0.25).figures  # doctest: +SKIP
    """

    def __init__(self, model: Any, device: str = 'cpu') -> None:
        for key in ('image_threshold', 'map_threshold'):
            if key not in model.calibration:
                raise CheckpointError(
                    f'the model has no {key}: it was never validated, so nothing can be counted with it. '
                    'Train it with a val_evaluator'
                )
        self.model = model
        self.device = move_to(model, device)

    @classmethod
    def from_checkpoint(cls, path: str | Path, device: str = 'cpu') -> Localizer:
        """Build the model that a checkpoint was trained with; nothing in the file is executed.

        A model with components of your own needs them imported before.

        Raises:
            UnknownComponentError: A component is not registered.
            CheckpointError: Missing or broken, without a config or thresholds, or not of a localizer.
        """
        model = load_model(
            path,
            BaseModel,
            expected='a localizer',
            needs='thresholds',
            attributes=('geometry', 'calibration'),
            advice='use best.pth of a training, or publish one with tools/publish_model.py',
        )
        return cls(model, device)

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel of the images that the model was validated on; None if unknown."""
        return self.model.calibration.get('mpp')

    @torch.inference_mode()
    def predict(self, image: NDArray[np.uint8], mpp: float | None = None, min_score: float = 0.01) -> Prediction:
        """Find mitotic figures.

        Args:
            image: Array ``(H, W, 3)``, RGB.
            mpp: Micrometres per pixel of the image. Where it differs from the model's by more than 1%, the image is
                resampled to the model's and the points are brought back.
            min_score: Weakest point that is kept.

        Raises:
            ImageError: Not an RGB uint8 image, or one that would have to be enlarged more than 1.5 times.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ImageError(f'expected an RGB uint8 image (H, W, 3), found {image.dtype} {image.shape}')
        scale = self._scale(mpp)
        smallest = _min_side_px(self.model) / scale
        if min(image.shape[:2]) < smallest:
            raise ImageError(
                f'the image is {image.shape[1]} x {image.shape[0]} px, expected at least '
                f'{math.ceil(smallest)} px a side'
            )
        resized = image if scale == 1 else _resize(image, scale)
        inputs = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1))).to(self.device)
        batch = self.model.data_preprocessor({'inputs': [inputs]})['inputs']
        (found,) = self.model(batch, [PointSample(metainfo={'ori_shape': resized.shape[:2]})], mode='predict')
        points = located_points(self.model, found, min_score)
        if scale != 1:
            # Pixel centres, not corners, are at whole numbers.
            factors = np.array([image.shape[1] / resized.shape[1], image.shape[0] / resized.shape[0]])
            points[:, :2] = (points[:, :2] + 0.5) * factors - 0.5
        figures = points[points[:, 2] > self.model.calibration['map_threshold']]
        return Prediction(
            found.pred_score, found.pred_score > self.model.calibration['image_threshold'], points, figures
        )

    def _scale(self, mpp: float | None) -> float:
        if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
            raise ImageError(f'mpp must be micrometres per pixel above 0, found {mpp}')
        if mpp is not None and self.mpp is None:
            warnings.warn(
                f'the model does not know the resolution it was trained at, so mpp={mpp} changes nothing: the image is '
                'taken as it is',
                AnnotationWarning,
                stacklevel=3,
            )
        if mpp is None or self.mpp is None:
            return 1.0
        scale = mpp / self.mpp
        if scale > MAX_UPSAMPLING:
            raise ImageError(
                f'the image has {mpp} um/px and the model needs {self.mpp}: enlarging it {scale:.2f} times would '
                f'invent detail (at most {MAX_UPSAMPLING}). Scan at a higher magnification'
            )
        return 1.0 if abs(scale - 1) < 0.01 else scale


def _min_side_px(model: Any) -> int:
    """The smallest side that a model takes; models without a map may state theirs."""
    return int(getattr(model, 'min_side_px', 1) if model.geometry is None else model.geometry.stride)


def _resize(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)
