"""Computes score maps of tiles fast: folds batch norms into the convolutions and runs channels last."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mitouts.errors import ConfigError
from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.functional.lattice import margin_cells
from mitouts.functional.rotations import plan_turns, turn_back, turn_images
from mitouts.models import WSSLocalizer
from mitouts.models.rotations import rotations_of
from mitouts.utils.memory import keep_freed_memory

CPU_BUDGET_BYTES = 1_000_000_000
MAX_TILE_PX = 4096
FRONT_STRIDE = 8
STRIP_PX = 512


class DenseModel:
    """Computes the score map of a localizer, without its image score.

    Args:
        model: A localizer whose map has a meaning of its own at every position. Where its calibration says so, the map
            is averaged over the turns of each tile (:mod:`mitouts.models.rotations`), one after the other.
        device: Device that it runs on.
        half: On a GPU, compute in float16.

    Raises:
        ConfigError: The map depends on the whole image (attention, a map that is stretched to the image's corners), so
            tiles of a slide cannot be put together.
    """

    def __init__(self, model: WSSLocalizer, device: str | torch.device = 'cpu', *, half: bool = False) -> None:
        if model.geometry is None:
            raise ConfigError(
                f'a {type(model).__name__} finds points without a score map, so slides cannot be tiled for it: count '
                'on slides with a localizer that scores a map, such as those of configs/wss, or predict images with '
                'mitouts predict'
            )
        if isinstance(model.geometry, AlignCornersGeometry):
            raise ConfigError(
                "head.upsample='align_corners' stretches the map to the corners of its image, so where a cell lies "
                'depends on the size of the image and tiles cannot be put together; slides need a model that was '
                'trained with head.upsample=None'
            )
        if model.head.map_is_attention():
            raise ConfigError(
                f'the score map of {type(model.head.aggregator).__name__} is relative to the whole image, so it cannot '
                'be computed tile by tile; slides need a model with another aggregator, such as MaxAggregator'
            )
        self.device = torch.device(device)
        self.dtype = torch.float16 if half and self.device.type == 'cuda' else torch.float32
        self.geometry: FeatureGeometry = model.geometry
        # A decoder's map repeats with its coarsest level only; other backbones, also from outside, do not say it.
        self.step = getattr(model.backbone, 'period_px', model.geometry.stride) // model.geometry.stride
        self.rotations = rotations_of(model.calibration)
        self.drift_px = tuple(model.calibration.get('drift_px', (0.0, 0.0)))
        self.margin = margin_cells(self._reach(), self.step)
        preprocessor = model.data_preprocessor
        self.network = StripNetwork(copy.deepcopy(model.backbone).cpu().eval(), preprocessor.mean, preprocessor.std)
        self.classifier = copy.deepcopy(model.head.classifier).cpu().eval()
        for part in (self.network, self.classifier):
            part.to(self.device, self.dtype)
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.device.type == 'cpu':
            keep_freed_memory()

    @torch.inference_mode()
    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Score tiles.

        Args:
            tiles: Array ``(N, H, W, 3)``, RGB; sides are multiples of the stride.

        Returns:
            Array ``(N, h, w)``, probabilities; the outermost cells, as many as ``margin`` says, have seen padding.
        """
        # RGB of an image is channels-last already, so this is a view.
        inputs = torch.from_numpy(tiles).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        logits = self._logits(inputs)
        if self.rotations > 1:
            logits = self._averaged(inputs, logits)
        return torch.sigmoid(logits).cpu().numpy()

    def _logits(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.network(inputs))[:, 0].float()

    def _averaged(self, inputs: Tensor, plain: Tensor) -> Tensor:
        size_px, cells = (inputs.shape[-2], inputs.shape[-1]), (plain.shape[-2], plain.shape[-1])
        turns = plan_turns(
            size_px, cells, self.geometry, period_px=self.step * self.geometry.stride, drift_px=self.drift_px
        )
        total = plain
        for turn in turns:
            # The padding is seen by the margin only.
            turned = turn_images(inputs, turn).contiguous(memory_format=torch.channels_last)
            total = total + turn_back(self._logits(turned), turn, cells)
        return total / (len(turns) + 1)

    def _reach(self) -> FeatureGeometry:
        """Return the geometry with all that a cell of the averaged map sees, as turned tiles are moved by the drift."""
        if self.rotations == 1 or not any(self.drift_px):
            return self.geometry
        radius_px = self.geometry.receptive_radius_px + math.ceil(2 * max(map(abs, self.drift_px))) + 1
        return replace(self.geometry, receptive_radius_px=radius_px)

    def best_tile_px(self, budget_bytes: int | None = None) -> int:
        """Return the longest side of a tile without its margin: as large as memory allows, to waste little on margins.

        Args:
            budget_bytes: For the network's tensors; default 1 GB on a CPU and a third of a GPU's free memory.

        Returns:
            A multiple of the stride and of the step of tiles, at most 4096 px.
        """
        if budget_bytes is None:
            on_gpu = self.device.type == 'cuda'
            budget_bytes = torch.cuda.mem_get_info(self.device)[0] // 3 if on_gpu else CPU_BUDGET_BYTES
        whole_px = math.isqrt(int(budget_bytes / self._bytes_per_px()))
        stride = self.geometry.stride
        kept = min(whole_px - self.margin.both * stride, MAX_TILE_PX) // stride
        return max(kept // self.step * self.step, 4 * self.step) * stride

    def _bytes_per_px(self) -> float:
        """Return the most bytes that a layer's input and output take behind the strips, for each pixel of the image.

        The image itself is added, as it is read and as it is normalized, and its turned and padded copies.
        """
        most = 0

        def look(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            nonlocal most
            tensors = [each for each in (*inputs, output) if isinstance(each, Tensor)]
            most = max(most, sum(each.numel() * each.element_size() for each in tensors))

        leaves = [module for module in self.network.rest.modules() if not list(module.children())]
        handles = [module.register_forward_hook(look) for module in leaves]
        side = 4 * self.geometry.stride
        try:
            self(np.zeros((1, side, side, 3), dtype=np.uint8))
        finally:
            for handle in handles:
                handle.remove()
        return most / side**2 + (8 if self.rotations == 1 else 14)


class StripNetwork(nn.Module):
    """Runs the first layers of a backbone, which need the most memory, on strips of rows.

    Args:
        backbone: Backbone in evaluation mode; its batch norms are folded. One without ``sections`` runs as a whole.
        mean: Subtracted from the image, ``(1, 3, 1, 1)``.
        std: Divides the image, ``(1, 3, 1, 1)``.
        stride: The first layers are those up to this stride.
        strip_px: Rows of the image in a strip.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: nn.Module, mean: Tensor, std: Tensor, stride: int = FRONT_STRIDE, strip_px: int = STRIP_PX
    ) -> None:
        super().__init__()
        self.register_buffer('mean', mean.detach().clone())
        self.register_buffer('std', std.detach().clone())
        fold_batch_norm(backbone)
        # Any module with features may be a backbone; those that can be run in parts say so.
        find_sections = getattr(backbone, 'sections', None)
        sections = find_sections() if callable(find_sections) else []
        front = [module for module, geometry in sections if geometry.stride <= stride]
        self.front = nn.Sequential(*front)
        self.front_geometry: FeatureGeometry = sections[len(front) - 1][1] if front else FeatureGeometry()
        self.rest = nn.Sequential(*(module for module, _ in sections[len(front) :])) if sections else backbone
        self.strip_px = strip_px

    def forward(self, x: Tensor) -> Tensor:
        """Compute features of RGB images ``(N, 3, H, W)``, grey levels, whose sides are multiples of the stride."""
        return self.rest(self._in_strips(x) if len(self.front) else self._normalized(x))

    def _normalized(self, x: Tensor) -> Tensor:
        # float16 has no room for grey levels with their mean.
        return x.to(torch.float32).sub_(self.mean.float()).div_(self.std.float()).to(self.mean.dtype)

    def _in_strips(self, x: Tensor) -> Tensor:
        stride, halo = self.front_geometry.stride, max(margin_cells(self.front_geometry))
        rows, step = x.shape[2] // stride, max(self.strip_px // stride, 1)
        if rows <= step:
            return self.front(self._normalized(x))
        features: Tensor | None = None
        for row in range(0, rows, step):
            end = min(row + step, rows)
            first, last = max(row - halo, 0), min(end + halo, rows)
            strip = self.front(self._normalized(x[:, :, first * stride : last * stride]))
            strip = strip[:, :, row - first : end - first]
            if features is None:
                shape = (*strip.shape[:2], rows, strip.shape[3])
                features = torch.empty(shape, dtype=strip.dtype, device=x.device, memory_format=torch.channels_last)
            features[:, :, row:end] = strip
        assert features is not None
        return features


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Fold every batch norm that directly follows a convolution into it.

    The network is run once to find which batch norm follows which convolution.

    Args:
        network: Network in evaluation mode; it is changed.

    Returns:
        The same network.
    """
    names = {module: name for name, module in network.named_modules()}
    made_by: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def made(module: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        # Kept alive, so that no other tensor gets its identity.
        made_by[id(output)] = module, output

    def taken(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        if id(inputs[0]) in made_by:
            pairs.append((made_by[id(inputs[0])][0], module))

    handles = [module.register_forward_hook(made) for module in names if isinstance(module, nn.Conv2d)]
    handles += [module.register_forward_pre_hook(taken) for module in names if isinstance(module, nn.BatchNorm2d)]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, 64, 64))
    finally:
        for handle in handles:
            handle.remove()
    for convolution, norm in pairs:
        # Shared modules would be folded twice.
        if [pair[0] for pair in pairs].count(convolution) == 1:
            _replace(network, names[convolution], fuse_conv_bn_eval(convolution, norm))
            _replace(network, names[norm], nn.Identity())
    return network


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition('.')
    setattr(network.get_submodule(parent), child, module)
