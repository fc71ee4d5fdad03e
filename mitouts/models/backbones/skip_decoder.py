"""Fuses an encoder's levels to the finest one, like the skip connections of FCN-8s (Long et al. 2015)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mitouts.errors import ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.registry import MODELS


@MODELS.register_module()
class SkipDecoder(BaseModule):
    """Computes features at a fine stride that also carry what the coarser levels of an encoder see.

    Each level is projected by a 1 x 1 convolution; from the coarsest on, the sum is upsampled bilinearly to the next
    level and added to it, and a 3 x 3 convolution smooths the finest. Upsampling goes by where the cells of each level
    lie in the image, so nothing is shifted.

    Its maps are shift-equivariant only in steps of the coarsest stride: shifting an image by a multiple of
    ``period_px`` shifts the map, shifting it by less also changes the map slightly.

    Args:
        encoder: Config of a backbone with ``out_strides``; the first is the stride of the features.
        channels: Channels of the features.

    Attributes:
        out_channels: ``channels``.
        geometry: Where the finest cells lie, and how far they see through all levels.
        period_px: The coarsest stride.

    Raises:
        ConfigError: The encoder gives one level only, or ``channels`` is below 1, or the centres of a level's cells are
            not among those of the finer level.
    """

    def __init__(self, encoder: dict[str, Any], channels: int = 64) -> None:
        super().__init__()
        if len(encoder.get('out_strides') or ()) < 2:
            raise ConfigError(
                'backbone.encoder.out_strides must name the levels that are fused, at least two, such as (8, 16); '
                f'found {encoder.get("out_strides")}'
            )
        if channels < 1:
            raise ConfigError(f'backbone.channels must be at least 1, found {channels}')
        self.encoder = MODELS.build(encoder)
        levels: Sequence[FeatureGeometry] = self.encoder.level_geometries
        self._steps = [_step(fine, coarse) for fine, coarse in itertools.pairwise(levels)]
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, channels, 1, bias=False), nn.BatchNorm2d(channels))
            for width in self.encoder.level_channels
        )
        self.fuse = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.out_channels = channels
        self.period_px: int = levels[-1].stride
        finest = levels[0]
        radius_px = max(each.receptive_radius_px + each.stride - finest.stride for each in levels)
        self.geometry = FeatureGeometry(finest.stride, finest.center_offset_px, radius_px).then(3)

    def init_weights(self) -> None:
        self.encoder.init_weights()
        for module in [*self.laterals.modules(), *self.fuse.modules()]:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, x: Tensor) -> Tensor:
        """Compute features ``(N, channels, h, w)`` of images ``(N, 3, H, W)``."""
        missing = [max(self.period_px - size, 0) for size in x.shape[-2:]]
        if any(missing):
            rows, columns = (_count(self.geometry, size) for size in x.shape[-2:])
            # The coarsest level would have no cell.
            return self._fused(functional.pad(x, (0, missing[1], 0, missing[0])))[..., :rows, :columns]
        return self._fused(x)

    def _fused(self, x: Tensor) -> Tensor:
        levels = [lateral(level) for lateral, level in zip(self.laterals, self.encoder(x))]
        fused = levels.pop()
        for level, (ratio, shift) in zip(reversed(levels), reversed(self._steps)):
            fused = level + upsample_cells(fused, ratio, shift, (level.shape[-2], level.shape[-1]))
        return self.fuse(fused)


def upsample_cells(coarse: Tensor, ratio: int, shift: int, size: tuple[int, int]) -> Tensor:
    """Interpolate a level bilinearly at the cells of a finer one; beyond the outermost centres it is constant.

    Args:
        coarse: Tensor ``(N, C, h, w)``.
        ratio: Cells of the finer level per coarse cell and axis.
        shift: Index of the fine cell whose centre is that of the first coarse one, 0 to ``ratio``.
        size: Rows and columns of the finer level, at most ``h * ratio + shift + 1`` and the same of ``w``.
    """
    padded = functional.pad(coarse, (1, 1, 1, 1), mode='replicate')
    rows, columns = ((length - 1) * ratio + 1 for length in padded.shape[-2:])
    fine = functional.interpolate(padded, size=(rows, columns), mode='bilinear', align_corners=True)
    first = ratio - shift
    return fine[..., first : first + size[0], first : first + size[1]]


def _step(fine: FeatureGeometry, coarse: FeatureGeometry) -> tuple[int, int]:
    """Return ``ratio`` and ``shift`` of :func:`upsample_cells` between two levels."""
    ratio, off_px = coarse.stride // fine.stride, coarse.center_offset_px - fine.center_offset_px
    shift = int(off_px // fine.stride)
    if coarse.stride % fine.stride or off_px % fine.stride or not 0 <= shift <= ratio:
        raise ConfigError(
            f'backbone.encoder: cells of stride {coarse.stride} that begin at {coarse.center_offset_px} px cannot be '
            f'brought to stride {fine.stride} from {fine.center_offset_px} px: their centres are not among those cells'
        )
    return ratio, shift


def _count(geometry: FeatureGeometry, size_px: int) -> int:
    """Count the cells whose centres lie in an image of this size."""
    return int((size_px - 1 - geometry.center_offset_px) // geometry.stride) + 1
