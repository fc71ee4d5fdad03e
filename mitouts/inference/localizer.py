"""Finds figures on images that have no labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mitouts.errors import ImageError
from mitouts.evaluation.predicting import predict_batch
from mitouts.models.loading import load_localizer, move_to, need_thresholds
from mitouts.models.reading import read_prediction
from mitouts.models.rotations import rotations_of, set_rotations, threshold_doubt
from mitouts.stain import Fit
from mitouts.stain.preparation import ImagePreparer, resample
from mitouts.structures import ImagePrediction, PointSample
from mitouts.zoo import STARTER, pretrained


@dataclass(frozen=True, kw_only=True)
class Prediction(ImagePrediction):
    """A model's prediction for one image, with the thresholds to read it by.

    Attributes:
        image_threshold: The image is called positive when its score is above it.
        map_threshold: Points whose score is above it are the predicted mitotic figures.
        stain_note: Why the image kept its colours; None where it was given those that the model was trained on.
    """

    image_threshold: float
    map_threshold: float
    stain_note: str | None = None

    @property
    def is_positive(self) -> bool:
        """Whether the score is above the image threshold."""
        return self.score > self.image_threshold

    @property
    def figures(self) -> NDArray[np.float64]:
        """Points above the map threshold, ``(F, 3)`` float64, in pixels of the given image."""
        return self.above(self.map_threshold)


class Localizer:
    """A model ready to predict, with the thresholds, resolution and colours that it was validated with.

    Args:
        model: A calibrated localizer, whether it scores a map or finds points.
        device: Device that it runs on.
        rotations: Average the score map over this many right-angle turns of the image, 1 or 4; it is set in the model's
            calibration. None takes the number that the thresholds were chosen with.

    Attributes:
        preparer: Brings images to the model's resolution and colours.

    Raises:
        CheckpointError: The model has no thresholds.
        ConfigError: The device cannot be used, or ``rotations`` cannot be had with the model.

    Example:
        >>> localizer = Localizer.from_pretrained('starter')  # doctest: +SKIP
        >>> localizer.predict(image, mpp=0.25).figures  # doctest: +SKIP
    """

    def __init__(self, model: Any, device: str = 'cpu', *, rotations: int | None = None) -> None:
        need_thresholds(model)
        if rotations is not None:
            set_rotations(model, rotations)
        self.model = model
        self.device = move_to(model, device)
        self.preparer = ImagePreparer(model.calibration)

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, device: str = 'cpu', *, imports: Sequence[str] = (), rotations: int | None = None
    ) -> Localizer:
        """Build the model that a checkpoint was trained with; nothing in the file is executed.

        Args:
            path: Checkpoint, or the name of a model of the zoo.
            device: Device that it runs on.
            imports: Packages that register components of your own, where the model has such; they are imported first.
            rotations: See the class.

        Raises:
            UnknownComponentError: A component is not registered; the error names what to import.
            ConfigError: A package of ``imports`` cannot be imported, the device cannot be used, or the model cannot
                average over turns.
            CheckpointError: Missing or broken, without a config or thresholds, or not of a localizer.
        """
        return cls(load_localizer(path, imports=imports), device, rotations=rotations)

    @classmethod
    def from_pretrained(cls, name: str = STARTER, device: str = 'cpu', *, rotations: int | None = None) -> Localizer:
        """Load a published model that the package brings; ``mitouts models`` lists them with their cards.

        Args:
            name: Name of the model.
            device: Device that it runs on.
            rotations: See the class.

        Raises:
            CheckpointError: The package has no model of this name.
            ConfigError: The device cannot be used.
        """
        return cls.from_checkpoint(pretrained(name), device, rotations=rotations)

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel of the images that the model was validated on; None if unknown."""
        return self.model.calibration.get('mpp')

    @property
    def rotations(self) -> int:
        """Number of right-angle turns of an image that its score map is averaged over."""
        return rotations_of(self.model.calibration)

    @property
    def threshold_doubt(self) -> str | None:
        """Why the thresholds may not suit the score maps; None where they were chosen on such maps."""
        return threshold_doubt(self.model.calibration)

    @torch.inference_mode()
    def predict(
        self,
        image: NDArray[np.uint8],
        mpp: float | None = None,
        min_score: float = 0.01,
        *,
        stain_fit: Fit | None = None,
        is_normalized: bool = False,
    ) -> Prediction:
        """Find mitotic figures.

        The image is resized to the resolution of the model's training images and, if these were normalized, normalized
        to their colours.

        Args:
            image: Array ``(H, W, 3)``, RGB.
            mpp: Micrometres per pixel of the image. Where it differs from the model's by more than 1%, the image is
                resampled to the model's and the points are brought back.
            min_score: Weakest point that is kept.
            stain_fit: The stain of the image's case or slide (``preparer.measure``); None measures this image.
            is_normalized: The image has the model's colours already.

        Raises:
            ImageError: Not an RGB uint8 image, or one that would have to be enlarged more than 1.5 times.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ImageError(f'expected an RGB uint8 image (H, W, 3), found {image.dtype} {image.shape}')
        scale = self.preparer.scale(mpp)
        smallest = _min_side_px(self.model) / scale
        if min(image.shape[:2]) < smallest:
            raise ImageError(
                f'the image is {image.shape[1]} x {image.shape[0]} px, expected at least '
                f'{math.ceil(smallest)} px a side'
            )
        resized = resample(image, scale)
        stain_note: str | None = 'it was normalized already'
        if not is_normalized:
            resized, stain_note = self.preparer.normalize(resized, stain_fit)
        inputs = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1))).to(self.device)
        sample = PointSample(metainfo={'ori_shape': resized.shape[:2]})
        (sample,) = predict_batch(self.model, [inputs], [sample])
        read = read_prediction(self.model, sample, min_score)
        points = read.points
        if scale != 1:
            # Pixel centres, not corners, are at whole numbers.
            factors = np.array([image.shape[1] / resized.shape[1], image.shape[0] / resized.shape[0]])
            points[:, :2] = (points[:, :2] + 0.5) * factors - 0.5
        thresholds = {key: self.model.calibration[key] for key in ('image_threshold', 'map_threshold')}
        return Prediction(read.image_id, read.score, points, stain_note=stain_note, **thresholds)


def _min_side_px(model: Any) -> int:
    """Return the smallest side that a model takes; models without a map may state theirs."""
    return int(getattr(model, 'min_side_px', 1) if model.geometry is None else model.geometry.stride)
