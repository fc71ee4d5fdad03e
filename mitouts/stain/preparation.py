"""Gives images the resolution and the colours that a model was trained on."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationWarning, ConfigError, ImageError
from mitouts.imaging import MAX_UPSAMPLING
from mitouts.imaging.sampling import array_tiles
from mitouts.stain.fit import Fit
from mitouts.stain.normalizers import NormalizerChain, from_description
from mitouts.utils.defaults import MEASURED_OVER

MPP_TOLERANCE = 0.01


class ImagePreparer:
    """Brings images to the resolution and the colours that a model was trained on.

    Args:
        calibration: Calibration of the model: ``mpp`` and ``stain_reference`` (the result of
            :meth:`NormalizerChain.describe`, with ``fit``: one of :data:`MEASURED_OVER`). Either may be missing; images
            are then left as they are in that respect.

    Attributes:
        mpp: Micrometres per pixel that the model expects; None if unknown.
        normalizer: None if the model was trained on images as they are.
        measured_over: Unit that the stain was measured on in training.

    Raises:
        ConfigError: ``stain_reference`` is not such a description.
    """

    def __init__(self, calibration: Mapping[str, Any]) -> None:
        description = calibration.get('stain_reference')
        self.mpp: float | None = calibration.get('mpp')
        self.normalizer: NormalizerChain | None = from_description(description)
        self.measured_over = measured_over(description)

    def scale(self, mpp: float | None) -> float:
        """Compute the factor that scales an image to the model's resolution.

        It is exactly 1 if the resolutions agree within 1%, or if one of them is unknown.

        Args:
            mpp: Micrometres per pixel of the image; None to assume the model's.

        Raises:
            ImageError: It is not above 0, or the image would have to be enlarged more than 1.5 times.
        """
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
                f'invent detail (at most {MAX_UPSAMPLING}). Scan at a higher magnification, or give the right '
                'resolution if this one is wrong'
            )
        return 1.0 if abs(scale - 1) < MPP_TOLERANCE else scale

    def measure(self, images: Iterable[NDArray[np.uint8]]) -> Fit | None:
        """Measure the stain of images together, on tiles spread over each of them.

        Args:
            images: Arrays ``(H, W, 3)``, RGB, at the model's resolution; taken one at a time.

        Returns:
            None if it cannot be measured, or if the model takes images as they are.
        """
        if self.normalizer is None:
            return None
        return self.normalizer.fit_tiles(tile for image in images for tile in array_tiles(image))

    def normalize(self, image: NDArray[np.uint8], fit: Fit | None = None) -> tuple[NDArray[np.uint8], str | None]:
        """Give an image the model's colours.

        Args:
            image: Array ``(H, W, 3)``, RGB, at the model's resolution.
            fit: Measurements of its slide or its case; None to measure the image itself.

        Returns:
            The normalized image and None; or the unchanged image and the reason why it could not be normalized.
        """
        if self.normalizer is None:
            return image, 'the model was trained on images as they are'
        if fit is None and self.measured_over == 'patch':
            normalized, done = self.normalizer.normalize(image)
            return normalized, None if done else self.why_not('this image')
        fit = fit or self.measure([image])
        if fit is None:
            return image, self.why_not('this image')
        return self.normalizer.apply(image, fit), None

    def why_not(self, what: str) -> str:
        """Return the reason why something could not be normalized."""
        assert self.normalizer is not None, 'nothing is to be normalized'
        return f'{self.normalizer.name} cannot be fitted to {what}: too little stained tissue'


def resample(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Resize an image ``(H, W, 3)`` by the factor ``scale``; shrinking averages over areas."""
    if scale == 1:
        return image
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)


def measured_over(description: Mapping[str, Any] | None) -> str:
    """Return the unit that a description's stain is measured on; ``image`` if it names none.

    Raises:
        ConfigError: The unit is unknown.
    """
    measured = 'image' if description is None else description.get('fit', 'image')
    if measured not in MEASURED_OVER:
        raise ConfigError(
            f'stain_reference.fit says what the stain was measured over, one of {", ".join(MEASURED_OVER)}; found '
            f'{measured!r}'
        )
    return str(measured)


def same_colours(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> bool:
    """Tell whether two descriptions give images the same colours: same methods, same reference numbers.

    The notes on the origin of a reference and the unit that the stain was measured on are ignored.

    Raises:
        ConfigError: One of them is not a description of a normalizer.
    """
    normalizers = from_description(first), from_description(second)
    if normalizers[0] is None or normalizers[1] is None:
        return normalizers[0] is normalizers[1]
    if normalizers[0].methods != normalizers[1].methods:
        return False
    numbers = [[_flat(own.describe()['reference'][method]) for method in own.methods] for own in normalizers if own]
    return all(np.allclose(own, other, rtol=1e-6, atol=1e-9) for own, other in zip(*numbers))


def _flat(numbers: Mapping[str, Any]) -> NDArray[np.float64]:
    return np.concatenate([np.ravel(np.asarray(numbers[name], dtype=np.float64)) for name in sorted(numbers)])


def describe_colours(description: Mapping[str, Any] | None) -> str:
    """Describe the stain normalization of images in words."""
    if description is None:
        return 'as they were scanned'
    source = (description.get('reference') or {}).get('source') or 'an unnamed reference'
    note = source.get('note', source) if isinstance(source, Mapping) else source
    return f'normalized by {description.get("method")} to {note}'
