"""Measures how dark the image is: a baseline that learns nothing about figures."""

from __future__ import annotations

import math

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mitouts.errors import ConfigError
from mitouts.functional.geometry import FeatureGeometry
from mitouts.registry import MODELS


@MODELS.register_module()
class BlobFilter(BaseModule):
    """Gaussian-smoothed optical density ``-log10((I + 1) / 256)``, averaged over the channels, as the only feature.

    With an ``InstanceHead`` and the maximum it is a darkest-blob detector whose two parameters and thresholds are found
    by the same training and validation as those of any network. It is the baseline that other models must improve on.
    It takes grey levels, so the data preprocessor's mean must be 0 and its std 1.

    Args:
        sigma_px: Standard deviation of the Gaussian in pixels.
        stride: Distance of the feature cells in pixels.

    Raises:
        ConfigError: ``sigma_px`` is not positive, or ``stride`` not a whole number above 0.
    """

    out_channels = 1
    kernel: Tensor

    def __init__(self, sigma_px: float = 3.0, stride: int = 4) -> None:
        super().__init__()
        if not (math.isfinite(sigma_px) and sigma_px > 0):
            raise ConfigError(f'backbone.sigma_px must be positive, found {sigma_px}')
        if stride < 1 or stride != int(stride):
            raise ConfigError(f'backbone.stride must be a whole number above 0, found {stride}')
        self.stride = int(stride)
        self.radius_px = math.ceil(4 * sigma_px)
        offsets = torch.arange(-self.radius_px, self.radius_px + 1, dtype=torch.float64)
        weights = torch.exp(-0.5 * (offsets / sigma_px) ** 2)
        self.register_buffer('kernel', (weights / weights.sum()).float(), persistent=False)
        self.norm = nn.BatchNorm2d(1, affine=False)
        self.geometry = FeatureGeometry().then(2 * self.radius_px + 1, self.stride)

    def forward(self, x: Tensor) -> Tensor:
        """Compute features ``(N, 1, h, w)``, standardized, of images ``(N, 3, H, W)`` in grey levels 0 to 255."""
        density = -torch.log10((x.float() + 1) / 256).mean(dim=1, keepdim=True)
        padded = functional.pad(density, [self.radius_px] * 4, mode='reflect')
        rows = functional.conv2d(padded, self.kernel.view(1, 1, -1, 1), stride=(self.stride, 1))
        return self.norm(functional.conv2d(rows, self.kernel.view(1, 1, 1, -1), stride=(1, self.stride)))
