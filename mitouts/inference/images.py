"""Predicts image files in the resolution and the colours that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitouts.errors import AnnotationError, ImageError
from mitouts.formats.coco import image_root, read_coco
from mitouts.imaging.image import read_rgb
from mitouts.imaging.image_header import probe
from mitouts.inference.localizer import Localizer, Prediction
from mitouts.patches.prepared import colours_of_patch
from mitouts.stain import Fit
from mitouts.stain.preparation import describe_colours, resample, same_colours


@dataclass(frozen=True)
class ImageSource:
    """An image file to predict.

    Attributes:
        path: The file.
        mpp: Its micrometres per pixel; None takes the model's.
        case_id: Its case; None where it is unknown.
        image_id: Its number in an annotation file; None where it comes from none.
    """

    path: Path
    mpp: float | None = None
    case_id: str | None = None
    image_id: int | None = None


def sources_of_annotations(ann_file: Path, mpp: float | None = None) -> list[ImageSource]:
    """List the images that an annotation file names, with their resolution and case.

    Args:
        ann_file: COCO JSON.
        mpp: Micrometres per pixel of all images, whatever the file says.

    Raises:
        AnnotationError: The file is broken.
    """
    document = read_coco(ann_file)
    root = image_root(ann_file, document, None)
    return [
        ImageSource(root / image['file_name'], mpp or image.get('mpp'), str(image['case_id']), image['id'])
        for image in document['images']
    ]


def stated_mpp(path: Path) -> float | None:
    """Return the micrometres per pixel that an image file states; None if it states none or cannot be read."""
    try:
        return probe(path).mpp
    except ImageError:
        # It is named when its turn comes to be predicted.
        return None


class ImagePredictor:
    """Predicts image files, prepared as the model's training images were.

    If the model was trained on normalized images, patches that ``prepare_patches`` has normalized to the same reference
    are used as they are. All others are normalized by the stain measured on the image, or on all images of its case if
    training did so and the case is known.

    Args:
        localizer: The model.
        sources: All images that are going to be predicted.
        is_normalized: All images have the model's colours already.

    Attributes:
        unmeasured: Images that kept their colours because their stain could not be measured.

    Raises:
        AnnotationError: Patches were normalized otherwise than the model's training images.
    """

    def __init__(self, localizer: Localizer, sources: Sequence[ImageSource], *, is_normalized: bool = False) -> None:
        self.localizer = localizer
        self.sources = list(sources)
        self.unmeasured: list[Path] = []
        self._normalized = {source.path for source in sources if is_normalized or self._has_colours(source.path)}
        self._cases: dict[str, list[ImageSource]] = {}
        preparer = localizer.preparer
        if preparer.normalizer is not None and preparer.measured_over == 'case':
            for source in sources:
                if source.case_id is not None and source.path not in self._normalized:
                    self._cases.setdefault(source.case_id, []).append(source)
        self._fits: dict[str, Fit | None] = {}

    @property
    def normalizes(self) -> int:
        """Number of images that are normalized before they are predicted."""
        return 0 if self.localizer.preparer.normalizer is None else len(self.sources) - len(self._normalized)

    def predict(self, source: ImageSource) -> tuple[NDArray[np.uint8], Prediction]:
        """Read an image and predict it.

        Returns:
            The image ``(H, W, 3)``, RGB, as it is in the file, and what the model says of it.

        Raises:
            ImageError: It cannot be read, or not be brought to the model's resolution.
        """
        image = read_rgb(source.path)
        is_normalized = source.path in self._normalized
        fit = None if is_normalized else self._fit(source)
        try:
            prediction = self.localizer.predict(image, source.mpp, stain_fit=fit, is_normalized=is_normalized)
        except ImageError as error:
            raise ImageError(f'image {source.path}: {error}') from error
        if self.localizer.preparer.normalizer is not None and not is_normalized and prediction.stain_note:
            self.unmeasured.append(source.path)
        return image, prediction

    def _fit(self, source: ImageSource) -> Fit | None:
        case = source.case_id
        if case is None or case not in self._cases:
            return None
        if case not in self._fits:
            self._fits[case] = self._measure(self._cases[case])
        return self._fits[case]

    def _measure(self, sources: Sequence[ImageSource]) -> Fit | None:
        return self.localizer.preparer.measure(image for source in sources for image in self._resampled(source))

    def _resampled(self, source: ImageSource) -> Iterator[NDArray[np.uint8]]:
        try:
            image = read_rgb(source.path)
            scale = self.localizer.preparer.scale(source.mpp)
        except ImageError:
            # It is named when its turn comes to be predicted.
            return
        yield resample(image, scale)

    def _has_colours(self, path: Path) -> bool:
        calibration = self.localizer.model.calibration
        colours = colours_of_patch(path)
        if colours is None or 'stain_reference' not in calibration:
            return False
        if not same_colours(colours, calibration['stain_reference']):
            raise AnnotationError(
                f'{path} was cut from images {describe_colours(colours)}, and the model was trained on images '
                f'{describe_colours(calibration["stain_reference"])}: predict patches that were cut without --stain, '
                'or the images they were cut from'
            )
        return True
