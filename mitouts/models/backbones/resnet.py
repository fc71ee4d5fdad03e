"""Cuts ResNet (He et al. 2016) off after any stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from mmcv.cnn import resnet as mmcv_resnet
from torch import Tensor, nn

from mitouts.errors import CheckpointError, ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.registry import MODELS
from mitouts.utils.tensor_file import read_tensor_file

IMAGENET_URLS = {
    18: 'https://download.pytorch.org/models/resnet18-f37072fd.pth',
    34: 'https://download.pytorch.org/models/resnet34-b627a593.pth',
    50: 'https://download.pytorch.org/models/resnet50-11ad3fa6.pth',
}
STEM_GEOMETRY = FeatureGeometry().then(7, 2).then(3, 2)
"""After the first convolution and the pooling."""


@MODELS.register_module()
class ResNet(mmcv_resnet.ResNet):
    """ResNet-18, 34 or 50; the paper takes the first three stages of ResNet-18 (stride 16).

    Args:
        depth: 18, 34 or 50.
        num_stages: Residual stages that are kept, 1 to 4; the stride is ``2 ** (num_stages + 1)``.
        weights: ``'imagenet'`` (fetched by URL), a checkpoint file, or None (random).
        frozen_stages: Leading stages that are not trained; -1 trains everything, 0 freezes the stem.
        out_strides: Strides of the feature maps to give, ascending, out of 4, 8, 16 and 32, for decoders and pyramids;
            None gives the last map alone.

    Attributes:
        out_channels: Channels of the last map.
        geometry: Where the cells of the last map lie.
        level_channels: With ``out_strides``, the channels of each map.
        level_geometries: With ``out_strides``, where the cells of each map lie.

    Raises:
        ConfigError: A depth or a number of stages that does not exist, more frozen stages than there are, or
            ``out_strides`` that the network does not have.
        CheckpointError: The weights cannot be had, or fit no layer.
    """

    def __init__(
        self,
        depth: int = 18,
        num_stages: int = 3,
        weights: str | None = None,
        frozen_stages: int = -1,
        out_strides: Sequence[int] | None = None,
    ) -> None:
        if depth not in IMAGENET_URLS:
            raise ConfigError(f'backbone.depth must be one of {sorted(IMAGENET_URLS)}, found {depth}')
        if not 1 <= num_stages <= 4:
            raise ConfigError(f'backbone.num_stages must be 1 to 4, found {num_stages}')
        if frozen_stages > num_stages:
            raise ConfigError(f'backbone.frozen_stages={frozen_stages} is more than num_stages={num_stages}')
        stage_of = {2 ** (stage + 2): stage for stage in range(num_stages)}
        out_indices: tuple[int, ...] = (num_stages - 1,)
        if out_strides is not None:
            out_indices = tuple(stage_of[stride] for stride in check_out_strides(out_strides, stage_of))
        super().__init__(
            depth,
            num_stages=num_stages,
            strides=(1, 2, 2, 2)[:num_stages],
            dilations=(1, 1, 1, 1)[:num_stages],
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            bn_eval=False,
        )
        self.depth = depth
        self.weights = weights
        self.out_channels: int = self.feat_dim
        stages = self.sections()[1:]
        self.geometry = stages[-1][1]
        self._is_pyramid = out_strides is not None
        width_of_first = self.feat_dim // 2 ** (num_stages - 1)
        self.level_channels = tuple(width_of_first * 2**index for index in out_indices)
        self.level_geometries = tuple(stages[index][1] for index in out_indices)
        # The parent freezes when training begins, which is after a distributed wrapper has counted the parameters.
        self.train()

    def init_weights(self, pretrained: None = None) -> None:
        if self.weights is None:
            super().init_weights()
            return
        source = IMAGENET_URLS[self.depth] if self.weights == 'imagenet' else self.weights
        load_backbone_weights(self, source)

    def sections(self) -> list[tuple[nn.Module, FeatureGeometry]]:
        """Split the network into consecutive modules, each with the feature geometry after it."""
        geometry = STEM_GEOMETRY
        sections: list[tuple[nn.Module, FeatureGeometry]] = [
            (nn.Sequential(self.conv1, self.bn1, self.relu, self.maxpool), geometry)
        ]
        for name in self.res_layers:
            geometry = _extend(geometry, getattr(self, name))
            sections.append((getattr(self, name), geometry))
        return sections

    def train(self, mode: bool = True) -> ResNet:
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute features ``(N, D, h, w)`` of images ``(N, 3, H, W)``; a tuple with ``out_strides``, finest first."""
        features = super().forward(x)
        return (features,) if self._is_pyramid and isinstance(features, Tensor) else features


def check_out_strides(out_strides: Sequence[int], known: Iterable[int]) -> list[int]:
    """Check the strides of a pyramid's levels, and return them as a list.

    Raises:
        ConfigError: Not ascending, none at all, or a stride that the backbone does not have.
    """
    strides = list(out_strides)
    if not strides or strides != sorted(set(strides)) or not set(strides) <= set(known):
        raise ConfigError(
            f'backbone.out_strides must be ascending and out of {", ".join(map(str, sorted(known)))}, found {strides}'
        )
    return strides


def load_backbone_weights(backbone: nn.Module, source: str) -> None:
    """Load a state dict from a file or URL into a (truncated) backbone; keys beyond the truncation are ignored.

    Raises:
        CheckpointError: It cannot be read, or layers of the backbone are missing in it or of another shape.
    """
    state = _read_state(source)
    own = backbone.state_dict()
    missing = [key for key in own if key not in state and not key.endswith('num_batches_tracked')]
    if missing:
        raise CheckpointError(
            f'backbone weights {Path(source).name} lack {len(missing)} of {len(own)} entries, the first is '
            f'{missing[0]!r}: they belong to another network'
        )
    misfit = [key for key, value in own.items() if key in state and state[key].shape != value.shape]
    if misfit:
        raise CheckpointError(
            f'backbone weights {Path(source).name} differ in the shape of {len(misfit)} of {len(own)} entries, the '
            f'first is {misfit[0]!r}, {tuple(state[misfit[0]].shape)} instead of {tuple(own[misfit[0]].shape)}: they '
            'belong to another network'
        )
    backbone.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)


def _read_state(source: str) -> dict[str, Any]:
    if '://' not in source:
        loaded = read_tensor_file(source, 'backbone weights')
    else:
        try:
            loaded = torch.hub.load_state_dict_from_url(source, map_location='cpu', weights_only=True)
        except (OSError, RuntimeError, UnpicklingError, EOFError, LookupError, ValueError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise CheckpointError(
                f'backbone weights {source} cannot be loaded ({reason}): give a local file as backbone.weights, or None'
            ) from error
    state = loaded.get('state_dict', loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict):
        raise CheckpointError(f'backbone weights {source} hold a {type(loaded).__name__}, not a state dict')
    return state


def _extend(geometry: FeatureGeometry, stage: nn.Module) -> FeatureGeometry:
    """Add a stage's convolutions to the geometry; shortcuts have the same stride and see less, so they are ignored."""
    for block in stage.children():
        for convolution in block.children():
            if isinstance(convolution, nn.Conv2d):
                geometry = geometry.then(convolution.kernel_size[0], convolution.stride[0])
    return geometry


def freeze(modules: list[nn.Module]) -> None:
    """Stop training these modules: no gradients, and batch-norm statistics stay as they are."""
    for module in modules:
        module.eval()
        for parameter in module.parameters():
            parameter.requires_grad_(False)
