"""Makes masks of figures that are annotated by points only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mitouts.errors import CheckpointError, ConfigError
from mitouts.functional.geometry import upsample_map
from mitouts.functional.pseudo_masks import disc_masks, map_masks
from mitouts.models.data_preprocessor import PointDataPreprocessor
from mitouts.models.loading import load_localizer
from mitouts.models.localizer import WSSLocalizer
from mitouts.registry import MODELS
from mitouts.stain.preparation import MPP_TOLERANCE, describe_colours, same_colours
from mitouts.structures import PointSample


class PseudoMasks(ABC):
    """Makes masks to train a detector on where figures are annotated by points only.

    Registered in :data:`mitouts.registry.MODELS`.
    """

    @abstractmethod
    def __call__(self, inputs: Tensor, samples: Sequence[PointSample]) -> list[NDArray[np.bool_]]:
        """Make the masks of a batch.

        Args:
            inputs: Tensor ``(N, 3, H, W)``, normalized for the detector.
            samples: One per image, with ``gt_points``.

        Returns:
            One array ``(G, H, W)`` an image, a mask for each annotated point.
        """

    def check_training_input(self, learnt: Mapping[str, Any]) -> None:
        """Check before a training that masks can be made for its images; by default they always can.

        Args:
            learnt: ``mpp`` and ``stain_reference`` of the training images.

        Raises:
            CheckpointError: They have another resolution or other colours than the masks are made for.
        """
        return None


@MODELS.register_module()
class DiscMasks(PseudoMasks):
    """Draws a disc around each annotated point.

    Args:
        radius_px: Radius of the disc.

    Raises:
        ConfigError: The radius is not positive.
    """

    def __init__(self, radius_px: float = 12.0) -> None:
        self.radius_px = _positive('masks.radius_px', radius_px)

    def __call__(self, inputs: Tensor, samples: Sequence[PointSample]) -> list[NDArray[np.bool_]]:
        """Make the masks of a batch; only the size of ``inputs`` matters."""
        height, width = inputs.shape[-2:]
        return [disc_masks(sample.gt_points.cpu().numpy(), height, width, self.radius_px) for sample in samples]


@MODELS.register_module()
class ScoreMapMasks(PseudoMasks):
    """Cuts masks out of a trained localizer's score map around each annotated point.

    The localizer is frozen and runs on the very batch that the detector is trained on, so no mask is ever augmented. It
    is read from its checkpoint when the training begins and is no part of the detector's weights.

    Args:
        checkpoint: ``best.pth`` of a training of a localizer.
        max_radius_px: Largest distance of a mask's pixels from its point.
        fallback_radius_px: Radius of the disc where the map shows nothing.
        threshold: Cut of the map; default the map threshold in the checkpoint.
        data_preprocessor: The detector's own, where it is not the default: its normalization is undone, and the
            localizer's applied.

    Raises:
        ConfigError: A radius is not positive.
    """

    def __init__(
        self,
        checkpoint: str,
        max_radius_px: float = 25.0,
        fallback_radius_px: float = 12.0,
        threshold: float | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        self.checkpoint = Path(checkpoint)
        self.max_radius_px = _positive('masks.max_radius_px', max_radius_px)
        self.fallback_radius_px = _positive('masks.fallback_radius_px', fallback_radius_px)
        self.threshold = threshold
        self.normalization: PointDataPreprocessor = MODELS.build(
            data_preprocessor or dict(type='PointDataPreprocessor')
        )
        self._localizer: WSSLocalizer | None = None

    def check_training_input(self, learnt: Mapping[str, Any]) -> None:
        """Check that the training images have the resolution and the stain that the localizer was trained on.

        Raises:
            CheckpointError: The localizer was trained at another resolution or on other colours, or cannot be loaded.
        """
        own = self._on(torch.device('cpu')).calibration
        mpp = own.get('mpp'), learnt.get('mpp')
        if mpp[0] and mpp[1] and abs(mpp[0] / mpp[1] - 1) > MPP_TOLERANCE:
            raise CheckpointError(
                f'{self.checkpoint}, whose score map the pseudo-masks are cut from, takes {mpp[0]:g} um/px, and the '
                f'training images have {mpp[1]:g}: give a localizer that was trained on such images'
            )
        if 'stain_reference' in own and not same_colours(own['stain_reference'], learnt.get('stain_reference')):
            raise CheckpointError(
                f'{self.checkpoint}, whose score map the pseudo-masks are cut from, takes images '
                f'{describe_colours(own["stain_reference"])}, and the training images are '
                f'{describe_colours(learnt.get("stain_reference"))}: give a localizer that was trained on such images'
            )

    @torch.no_grad()
    def __call__(self, inputs: Tensor, samples: Sequence[PointSample]) -> list[NDArray[np.bool_]]:
        """Make the masks of a batch.

        Raises:
            CheckpointError: There is no checkpoint, it cannot be read, is not of a localizer, or was never validated.
        """
        localizer = self._on(inputs.device)
        height, width = inputs.shape[-2:]
        wanted = cast(PointDataPreprocessor, localizer.data_preprocessor)
        renormalized = wanted.renormalize(inputs, self.normalization.to(inputs.device))
        maps = localizer(renormalized).score_map.cpu().numpy()
        threshold = localizer.calibration['map_threshold'] if self.threshold is None else self.threshold
        drift_px = localizer.calibration.get('drift_px', (0.0, 0.0))
        return [
            map_masks(
                _moved_back(upsample_map(score_map, height, width, localizer.geometry), drift_px),
                sample.gt_points.cpu().numpy(),
                threshold,
                self.max_radius_px,
                self.fallback_radius_px,
            )
            for score_map, sample in zip(maps, samples)
        ]

    def _on(self, device: torch.device) -> WSSLocalizer:
        if self._localizer is None:
            if not self.checkpoint.is_file():
                raise CheckpointError(
                    f'{self.checkpoint}, whose score map the pseudo-masks are cut from, does not exist: train a '
                    'localizer first (configs/wss), give another checkpoint as model.masks.checkpoint, or take discs '
                    "(model.masks=dict(type='DiscMasks'))"
                )
            localizer = load_localizer(self.checkpoint)
            if localizer.geometry is None:
                raise CheckpointError(
                    f'{self.checkpoint} is of a {type(localizer).__name__}, which scores no map to cut masks from: '
                    'give a localizer of configs/wss or configs/uts as model.masks.checkpoint'
                )
            self._localizer = localizer.eval()
            self._localizer.requires_grad_(False)
        return self._localizer.to(device)


def _positive(key: str, radius_px: float) -> float:
    if not radius_px > 0:
        raise ConfigError(f'{key} must be above 0 px, found {radius_px}')
    return float(radius_px)


def _moved_back(full_map: NDArray[np.float32], drift_px: Sequence[float]) -> NDArray[np.float32]:
    """Shift a map by its drift (:mod:`mitouts.functional.drift`), so that its scores lie on the figures."""
    if not any(drift_px):
        return full_map
    matrix = np.array([[1, 0, -drift_px[0]], [0, 1, -drift_px[1]]], dtype=np.float64)
    height, width = full_map.shape
    return np.asarray(cv2.warpAffine(full_map, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))
