"""What a loss beside the image-level one is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

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
