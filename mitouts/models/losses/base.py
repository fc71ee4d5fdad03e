"""Defines the base classes of losses on the score map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mitouts.functional.geometry import FeatureGeometry
from mitouts.models.heads.base import HeadOutput
from mitouts.structures import PointSample


class MapLoss(nn.Module):
    """A loss on the score map, added to the image-level loss by ``head.extra_losses``.

    Attributes:
        name: Key in the dict of losses and in the log; begins with ``loss_``.
    """

    name: ClassVar[str]

    def forward(
        self,
        output: HeadOutput,
        data_samples: Sequence[PointSample],
        *,
        weights: Tensor,
        geometry: FeatureGeometry,
        size_px: tuple[int, int],
    ) -> Tensor:
        """Compute the loss of a batch, a scalar.

        Args:
            output: Output of the head; ``map_logit`` is not None.
            data_samples: One per image.
            weights: Tensor ``(N,)``, how much each image counts.
            geometry: Where the cells of the map lie in the image.
            size_px: Height and width of the images.
        """
        raise NotImplementedError


class CellLoss(MapLoss):
    """Compares the logits of the map's cells with labels or points, on those images that the loss applies to."""

    def forward(
        self,
        output: HeadOutput,
        data_samples: Sequence[PointSample],
        *,
        weights: Tensor,
        geometry: FeatureGeometry,
        size_px: tuple[int, int],
    ) -> Tensor:
        logits = output.map_logit
        assert logits is not None, 'the head refuses to be built with a map that has no logits'
        takes_part = torch.tensor([self.takes_part(sample) for sample in data_samples], device=weights.device)
        places = _cell_places(geometry, logits, size_px)
        return self.compare(logits, places, data_samples, weights * takes_part)

    def takes_part(self, sample: PointSample) -> bool:
        """Tell whether the loss applies to an image."""
        raise NotImplementedError

    def compare(
        self, logits: Tensor, places: tuple[Tensor, Tensor], data_samples: Sequence[PointSample], weights: Tensor
    ) -> Tensor:
        """Compute the loss of a batch, a scalar.

        Args:
            logits: Tensor ``(N, h, w)``.
            places: x of the map's columns ``(w,)`` and y of its rows ``(h,)`` in the image, in pixels.
            data_samples: One per image.
            weights: Tensor ``(N,)``, how much each image counts; 0 where the loss does not apply.
        """
        raise NotImplementedError


def _cell_places(geometry: FeatureGeometry, logits: Tensor, size_px: tuple[int, int]) -> tuple[Tensor, Tensor]:
    rows, columns = (geometry.on_axis(size, cells) for size, cells in zip(size_px, logits.shape[1:]))
    x_px, y_px = columns.cell_to_px(np.arange(logits.shape[2])), rows.cell_to_px(np.arange(logits.shape[1]))
    return torch.from_numpy(x_px).to(logits), torch.from_numpy(y_px).to(logits)
