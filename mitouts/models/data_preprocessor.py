"""Turns what the data loader yields into the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.registry import MODELS


@MODELS.register_module()
class PointDataPreprocessor(BaseDataPreprocessor):
    """Stacks uint8 RGB images, normalizes them on the device, and keeps the samples beside them.

    Args:
        mean: Per channel, in grey levels 0 to 255.
        std: Per channel, in grey levels.
        channels_last: Memory format of the batch; faster on CPUs and on tensor cores.
    """

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Stack and normalize a batch of ``inputs`` (uint8 tensors ``(3, H, W)`` of one size, or one stacked tensor).

        Returns:
            ``inputs``: float32 tensor ``(N, 3, H, W)``; ``data_samples``: as given.

        Raises:
            ConfigError: The images of the batch differ in size, or the data set's pipeline did not pack them.
        """
        if 'inputs' not in data:
            raise ConfigError(
                "the data set's pipeline gives no 'inputs': it must end with the step that packs, such as "
                "dict(type='PackPointSample')"
            )
        inputs = self.cast_data(data['inputs'])
        if not isinstance(inputs, Tensor):
            sizes = {tuple(image.shape[-2:]) for image in inputs}
            if len(sizes) > 1:
                raise ConfigError(
                    f'images of one batch differ in size ({", ".join(f"{h} x {w}" for h, w in sorted(sizes))}): '
                    'set the batch_size of this data loader to 1, or cut the images to one size first'
                )
            inputs = torch.stack(list(inputs))
        inputs = inputs.to(memory_format=self.memory_format)
        return {'inputs': (inputs.float() - self.mean) / self.std, 'data_samples': data.get('data_samples')}

    def renormalize(self, inputs: Tensor, given: PointDataPreprocessor) -> Tensor:
        """Bring images from another preprocessor's normalization to this one.

        Args:
            inputs: Tensor ``(N, 3, H, W)``, as another preprocessor normalized it.
            given: The preprocessor that normalized them.
        """
        if torch.equal(given.mean, self.mean) and torch.equal(given.std, self.std):
            return inputs
        return (inputs * given.std + given.mean - self.mean) / self.std
