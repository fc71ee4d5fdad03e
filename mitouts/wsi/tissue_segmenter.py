"""Predicts tissue on images and tiles that have no labels, with a trained tissue model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mitouts.errors import CheckpointError, ImageError
from mitouts.models import TissueUNet
from mitouts.models.loading import load_model, move_to

TUMOUR = 'tumour'


class TissueSegmenter:
    """A tissue model ready to predict, with the resolution and the classes that it was validated with.

    Args:
        model: A calibrated tissue model.

    Example:
        >>> segmenter = TissueSegmenter.from_checkpoint('best.pth')  # doctest: +SKIP
        >>> segmenter.tile_tumour_probability(tiles) >= 0.40  # doctest: +SKIP
    """

    def __init__(self, model: TissueUNet, device: str = 'cpu') -> None:
        missing = [key for key in ('mpp', 'classes') if not model.calibration.get(key)]
        if missing:
            raise CheckpointError(
                f'the tissue model has no {" and no ".join(missing)}: it was never validated, or on images of several '
                'resolutions. Train it with a val_evaluator, on images that ResampleTissue brings to one resolution'
            )
        self.model = model
        self.device = move_to(model, device)

    @classmethod
    def from_checkpoint(cls, path: str | Path, device: str = 'cpu', *, imports: Sequence[str] = ()) -> TissueSegmenter:
        """Build the model that a checkpoint was trained with; nothing in the file is executed.

        Args:
            path: Checkpoint.
            imports: Packages that register components of your own, where the model has such; they are imported first.

        Raises:
            UnknownComponentError: A component is not registered; the error names what to import.
            CheckpointError: Missing or broken, without a config or a calibration, or not of a tissue model.
        """
        model = load_model(
            path,
            TissueUNet,
            expected='a tissue model',
            needs='calibration',
            advice='use best.pth of a training by a config of configs/tissue',
            imports=imports,
        )
        return cls(model, device)

    @property
    def mpp(self) -> float:
        """Micrometres per pixel that images and tiles must have."""
        return float(self.model.calibration['mpp'])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probabilities."""
        return tuple(self.model.calibration['classes'])

    @property
    def tile_px(self) -> int:
        """Side of the tiles that the model was trained on, at :attr:`mpp`."""
        return self.model.tile_px

    @torch.inference_mode()
    def predict(self, image: NDArray[np.uint8], stride_px: int = 1) -> NDArray[np.float32]:
        """Predict the class probabilities of an image.

        Args:
            image: Array ``(H, W, 3)``, RGB, at :attr:`mpp`; it is cut into tiles that do not overlap.
            stride_px: Side of the squares of pixels whose probabilities are averaged.

        Returns:
            Array ``(C, ceil(H / stride_px), ceil(W / stride_px))``, float32; sums to 1 over the classes. Squares at the
            right and bottom average what is inside the image.

        Raises:
            ImageError: Not an RGB uint8 image.
            ValueError: ``stride_px`` is not positive.
        """
        if stride_px < 1:
            raise ValueError(f'stride_px must be at least 1, found {stride_px}')
        probabilities = self.model.probabilities(self._normalized(image[None]))
        if stride_px > 1:
            probabilities = F.avg_pool2d(probabilities, stride_px, ceil_mode=True, count_include_pad=False)
        return probabilities[0].cpu().numpy()

    @torch.inference_mode()
    def tile_probabilities(self, tiles: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Predict the class probabilities of whole tiles: the mean over their pixels.

        Args:
            tiles: Array ``(N, H, W, 3)`` or N arrays of one size, RGB, at :attr:`mpp`; one batch of the network. They
                are independent of each other.

        Returns:
            Array ``(N, C)``, float64.

        Raises:
            ImageError: Not RGB uint8 tiles of one size.
        """
        if len(tiles) == 0:
            return np.zeros((0, len(self.classes)))
        if len({tile.shape for tile in tiles}) > 1:
            raise ImageError(f'tiles of one batch differ in size: {sorted({tile.shape for tile in tiles})}')
        probabilities = self.model.probabilities(self._normalized(np.asarray(tiles)))
        return probabilities.mean(dim=(2, 3), dtype=torch.float64).cpu().numpy()

    def tile_tumour_probability(self, tiles: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Predict the mean tumour probability of each tile; the UTS paper keeps tiles from 0.40.

        Args:
            tiles: As in :meth:`tile_probabilities`.

        Returns:
            Array ``(N,)``, float64.

        Raises:
            CheckpointError: The model has no class of that name.
            ImageError: Not RGB uint8 tiles of one size.
        """
        if TUMOUR not in self.classes:
            raise CheckpointError(f'the tissue model has no class {TUMOUR!r}, only {", ".join(self.classes)}')
        return self.tile_probabilities(tiles)[:, self.classes.index(TUMOUR)]

    def _normalized(self, images: NDArray[np.uint8]) -> torch.Tensor:
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or 0 in images.shape:
            raise ImageError(f'expected RGB uint8 images (H, W, 3), found {images.dtype} {images.shape[1:]}')
        inputs = torch.from_numpy(np.ascontiguousarray(images)).to(self.device).permute(0, 3, 1, 2)
        return self.model.data_preprocessor({'inputs': inputs})['inputs']
