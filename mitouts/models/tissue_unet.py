"""Classifies tissue: MONAI's UNet on RGB tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from mitouts.errors import ConfigError
from mitouts.functional.segmentation import IGNORE_INDEX
from mitouts.models.initialization import init_children
from mitouts.registry import MODELS
from mitouts.structures import TissueSample


@MODELS.register_module()
class TissueLoss(nn.Module):
    """Computes Dice (Milletari et al. 2016, MONAI's) and cross entropy; pixels of ``IGNORE_INDEX`` do not count.

    The Dice of a class is taken over the whole batch: most tiles lack most classes.

    Args:
        dice_weight: Weight of the Dice loss, 0 to leave it out.
        ce_weight: Weight of the cross entropy.
        class_weights: Weight of each class in the cross entropy.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        dice_weight: float = 1.0,
        ce_weight: float = 1.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        # MONAI takes a second to be imported, and only tissue models need it.
        from monai.losses import MaskedDiceLoss

        super().__init__()
        self.dice_weight = dice_weight
        self.ce_weight = ce_weight
        self.dice = MaskedDiceLoss(batch=True)
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer('class_weights', weights, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute both losses, each with its weight.

        Args:
            logits: ``(N, C, H, W)``.
            labels: ``(N, H, W)``, integers.

        Returns:
            ``loss_dice`` and ``loss_ce``; both 0 where nothing is labelled.
        """
        logits = logits.float()
        labelled = labels != IGNORE_INDEX
        classes = torch.where(labelled, labels, 0).long()
        one_hot = F.one_hot(classes, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
        mask = labelled[:, None].to(logits.dtype)
        entropies = F.cross_entropy(logits, classes, weight=self.class_weights, reduction='none') * mask[:, 0]
        return {
            'loss_dice': self.dice_weight * self.dice(logits.softmax(dim=1), one_hot, mask) * labelled.any(),
            'loss_ce': self.ce_weight * entropies.sum() / mask.sum().clamp(min=1),
        }


@MODELS.register_module()
class TissueUNet(BaseModel):
    """Classifies tissue with MONAI's residual UNet; each tile is predicted on its own.

    Args:
        num_classes: Tissue classes.
        channels: Features of each level; every level halves the resolution, the first as well.
        num_res_units: Convolutions in each residual unit.
        dropout: Dropout in every unit.
        tile_px: Side of the tiles that larger images are cut into; the network was trained on such.
        loss: Config.
        data_preprocessor: Config.

    Attributes:
        calibration: ``mpp``, ``classes`` and their ``label_map``, kept in the checkpoint's meta by
            ``TissueCalibrationHook`` and empty for a model that was never validated.
    """

    def __init__(
        self,
        num_classes: int = 5,
        channels: Sequence[int] = (24, 48, 96, 192, 256),
        num_res_units: int = 2,
        dropout: float = 0.0,
        tile_px: int = 512,
        loss: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=MODELS.build(data_preprocessor or dict(type='PointDataPreprocessor')))
        if len(channels) < 2:
            raise ConfigError(f'TissueUNet.channels needs at least two levels, found {list(channels)}')
        from monai.networks.nets import UNet

        self.network = UNet(
            spatial_dims=2,
            in_channels=3,
            out_channels=num_classes,
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
            num_res_units=num_res_units,
            # Instance statistics would stretch a tile of pale fat until it looks like any other tile.
            norm='BATCH',
            dropout=dropout,
        )
        self.divisor_px = 2 ** (len(channels) - 1)
        if tile_px < self.divisor_px or tile_px % self.divisor_px:
            raise ConfigError(f'TissueUNet.tile_px must be a multiple of {self.divisor_px}, found {tile_px}')
        self.num_classes = num_classes
        self.tile_px = tile_px
        self.loss = MODELS.build(loss or dict(type='TissueLoss'))
        if self.data_preprocessor.memory_format == torch.channels_last:
            self.to(memory_format=torch.channels_last)
        self.calibration: dict[str, Any] = {}

    def init_weights(self) -> None:
        """Keep MONAI's own initialization of the network."""
        init_children(self)

    def forward(
        self, inputs: Tensor, data_samples: list[TissueSample] | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[TissueSample] | Tensor:
        """Run the network.

        Args:
            inputs: Tensor ``(N, 3, H, W)``, normalized.
            data_samples: One sample an image; needed for ``loss`` and ``predict``.
            mode: ``loss`` gives a dict of losses, ``predict`` the samples with ``pred_labels``, ``tensor`` the logits
                ``(N, C, H, W)``, for which the sides must be multiples of ``divisor_px``.
        """
        if mode not in ('loss', 'predict', 'tensor'):
            raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', found {mode!r}")
        if mode == 'tensor':
            return self.network(inputs)
        assert data_samples is not None, f'mode {mode!r} needs data_samples'
        if mode == 'loss':
            labels = torch.stack([sample.gt_labels for sample in data_samples]).to(inputs.device)
            return self.loss(self.network(inputs), labels)
        classes = self.probabilities(inputs).argmax(dim=1).to(torch.uint8).cpu()
        for sample, predicted in zip(data_samples, classes):
            sample.pred_labels = predicted
        return data_samples

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Predict class probabilities of images of any size, tile by tile.

        The tiles lie on a grid from the top-left pixel, do not overlap, and are computed independently of each other,
        as in the UTS paper; those at the right and bottom are smaller.

        Args:
            inputs: Tensor ``(N, 3, H, W)``, normalized.

        Returns:
            float32 tensor ``(N, C, H, W)``.
        """
        count, _, height, width = inputs.shape
        out = inputs.new_empty((count, self.num_classes, height, width), dtype=torch.float32)
        for top in range(0, height, self.tile_px):
            for left in range(0, width, self.tile_px):
                window = (..., slice(top, top + self.tile_px), slice(left, left + self.tile_px))
                out[window] = self._tile_probabilities(inputs[window])
        return out

    def _tile_probabilities(self, tiles: Tensor) -> Tensor:
        height, width = tiles.shape[-2:]
        padding = (0, -width % self.divisor_px, 0, -height % self.divisor_px)
        padded = F.pad(tiles, padding, mode='replicate') if any(padding) else tiles
        return self.network(padded)[..., :height, :width].float().softmax(dim=1)
