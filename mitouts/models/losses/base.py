"""What a loss beside the image-level one is."""

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
        """The loss of a batch, a scalar.

        Args:
            output: Of the head; ``map_logit`` is not None.
            data_samples: One an image.
            weights: Tensor ``(N,)``, how much each image counts.
            geometry: Where the cells of the map lie in the image.
            size_px: Height and width of the images.
        """
        raise NotImplementedError


def cell_places(geometry: FeatureGeometry, map_logit: Tensor, size_px: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where the columns ``(w,)`` and the rows ``(h,)`` of a map ``(N, h, w)`` lie in the image, in pixels."""
    rows, columns = (geometry.on_axis(size, cells) for size, cells in zip(size_px, map_logit.shape[1:]))
    x_px, y_px = columns.cell_to_px(np.arange(map_logit.shape[2])), rows.cell_to_px(np.arange(map_logit.shape[1]))
    return torch.from_numpy(x_px).to(map_logit), torch.from_numpy(y_px).to(map_logit)
