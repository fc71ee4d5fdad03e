"""Defines the base class of heads, and what they return."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mitouts.errors import ConfigError
from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.models.aggregators.base import Aggregator, Pooled
from mitouts.models.initialization import init_children
from mitouts.registry import AGGREGATORS, MODELS
from mitouts.structures import PointSample


class HeadOutput(NamedTuple):
    """Output of a head.

    Attributes:
        image_logit: Tensor ``(N,)``, float32.
        score_map: Tensor ``(N, h, w)``, float32, probabilities at network resolution.
        map_logit: Tensor ``(N, h, w)``, float32, the classifier's output at every position, or ``(N, H, W)`` where it
            is upsampled; None where the score map is the aggregator's attention.
    """

    image_logit: Tensor
    score_map: Tensor
    map_logit: Tensor | None = None


class LocalizationHead(BaseModule):
    """A classifier and an aggregator over the last feature map.

    Args:
        aggregator: Config of the aggregator.
        in_channels: Feature channels; the localizer fills it in from the backbone.
        dropout: Channel dropout before the classifier.
        bias: Whether the classifier has a bias.
        loss: Config of the image-level loss.
        extra_losses: Configs of losses on the map, such as ``dict(type='CentroidConstraintLoss')``.
        upsample: ``align_corners`` upsamples the classifier's logits to the input's size (bilinear, ``align_corners``)
            before they are aggregated, and has points read in that geometry, as the authors' public code does. None
            aggregates the map as it is.

    Raises:
        ConfigError: The parts do not go together.
    """

    def __init__(
        self,
        aggregator: dict[str, Any],
        in_channels: int,
        dropout: float = 0.0,
        bias: bool = True,
        loss: dict[str, Any] | None = None,
        extra_losses: Sequence[dict[str, Any]] = (),
        upsample: Literal['align_corners'] | None = None,
    ) -> None:
        super().__init__()
        if upsample not in (None, 'align_corners'):
            raise ConfigError(f"head.upsample must be None or 'align_corners', found {upsample!r}")
        self.upsample = upsample
        self.aggregator: Aggregator = AGGREGATORS.build(aggregator)
        self.check_domain()
        self.aggregator.prepare(in_channels)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(in_channels, 1, 1, bias=bias)
        self.loss_function = MODELS.build(loss or dict(type='ImageBCELoss'))
        self._takes_weights = 'weights' in inspect.signature(self.loss_function.forward).parameters
        self.extra_losses = nn.ModuleList(MODELS.build(each) for each in extra_losses)
        self._check_map()

    def check_domain(self) -> None:
        """Raise ConfigError when the aggregator pools a kind of value that this head does not provide."""
        raise NotImplementedError

    def forward(self, features: Tensor, size_px: tuple[int, int] | None = None) -> HeadOutput:
        """Score a batch.

        Args:
            features: Tensor ``(N, D, h, w)``.
            size_px: Height and width of the images; needed where the head upsamples.
        """
        raise NotImplementedError

    def init_weights(self) -> None:
        init_children(self)
        nn.init.normal_(self.classifier.weight, std=0.01)
        if self.classifier.bias is not None:
            nn.init.zeros_(self.classifier.bias)

    def loss(
        self,
        features: Tensor,
        data_samples: Sequence[PointSample],
        geometry: FeatureGeometry,
        size_px: tuple[int, int],
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            features: Tensor ``(N, D, h, w)``.
            data_samples: One per image, with ``gt_label`` and ``gt_points``; ``gt_weight``, 1 where it is missing, says
                how much the image counts.
            geometry: Where the cells of the map lie in the image.
            size_px: Height and width of the images.

        Raises:
            ConfigError: Samples have weights, and the image-level loss takes none.
        """
        output = self(features, size_px)
        labels = torch.tensor([sample.gt_label for sample in data_samples], device=features.device)
        given = sample_weights(data_samples)
        weights = torch.tensor(given, device=features.device)
        losses = self.losses_on_map(output, data_samples, weights=weights, geometry=geometry, size_px=size_px)
        # A loss that knows no weights serves as long as all samples count alike.
        if all(weight == 1 for weight in given):
            return {'loss_image': self.loss_function(output.image_logit, labels), **losses}
        if not self._takes_weights:
            raise ConfigError(
                f'{type(self.loss_function).__name__} takes no weights, and samples of the data set have some: give '
                'its forward an argument weights=None, or leave images[].weight out of the annotation file'
            )
        return {'loss_image': self.loss_function(output.image_logit, labels, weights=weights), **losses}

    def losses_on_map(
        self,
        output: HeadOutput,
        data_samples: Sequence[PointSample],
        *,
        weights: Tensor,
        geometry: FeatureGeometry,
        size_px: tuple[int, int],
    ) -> dict[str, Tensor]:
        """Compute the extra losses by name; arguments as in :class:`~mitouts.models.losses.MapLoss`."""
        return {
            str(each.name): each(output, data_samples, weights=weights, geometry=geometry, size_px=size_px)
            for each in self.extra_losses
        }

    def map_geometry(self, backbone: FeatureGeometry) -> FeatureGeometry:
        """Return where the cells of the score map lie in the image, given the backbone's geometry."""
        return backbone if self.upsample is None else AlignCornersGeometry(**asdict(backbone))

    def map_is_attention(self) -> bool:
        """Whether the score map is the aggregator's weights, relative to the whole image, and not the classifier's."""
        return self.aggregator.map_is_attention

    def score_is_maximum(self) -> bool:
        """Whether the image score is the maximum of the map."""
        return False

    def pool(self, values: Tensor, features: Tensor) -> Pooled:
        """Run the aggregator; arguments as in :class:`~mitouts.models.aggregators.Aggregator`.

        Raises:
            ConfigError: It gives weights and does not say so, or the other way round.
        """
        pooled = self.aggregator(values, features)
        if (pooled.weights is not None) != self.aggregator.map_is_attention:
            name = type(self.aggregator).__name__
            given = 'no weights' if pooled.weights is None else 'weights'
            raise ConfigError(
                f'{name}.forward gives {given}, but {name}.map_is_attention is {self.aggregator.map_is_attention}: set '
                f'map_is_attention = {not self.aggregator.map_is_attention} in the class'
            )
        return pooled

    def upsampled(self, logits: Tensor, size_px: tuple[int, int] | None) -> Tensor:
        """Resize logits ``(N, 1, h, w)`` to the size of the input if ``upsample`` is set."""
        if self.upsample is None:
            return logits
        assert size_px is not None, 'a head that upsamples needs the size of the input'
        return functional.interpolate(logits, size=tuple(size_px), mode='bilinear', align_corners=True)

    def _check_map(self) -> None:
        names = ['loss_image', *(str(each.name) for each in self.extra_losses)]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ConfigError(f'head.extra_losses: {repeated[0]} is there more than once; keep one of them')
        wanted = [type(each).__name__ for each in self.extra_losses]
        wanted += [] if self.upsample is None else [f'head.upsample={self.upsample!r}']
        if wanted and self.map_is_attention():
            raise ConfigError(
                f"{wanted[0]} works on the classifier's logits, but the score map of "
                f'{type(self.aggregator).__name__} is its attention, which has none: leave it out, or use another '
                'aggregator, such as MaxAggregator'
            )


def sample_weights(data_samples: Sequence[PointSample]) -> list[float]:
    """Return the weight of each image: its ``gt_weight``, or 1."""
    return [float(sample.get('gt_weight', 1.0)) for sample in data_samples]


def attention_map(weights: Tensor, image_logit: Tensor) -> Tensor:
    """Return attention weights ``(N, 1, h, w)`` as a score map: divided by their maximum, times the image probability.

    Softmax weights sum to 1, so a cut at a probability would never find anything in them.
    """
    scaled = weights[:, 0].float() / weights[:, 0].float().amax(dim=(1, 2), keepdim=True)
    return scaled * torch.sigmoid(image_logit)[:, None, None]
