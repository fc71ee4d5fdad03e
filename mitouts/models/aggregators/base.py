"""Defines the base class of aggregators and what they return."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from mmengine.model import BaseModule
from torch import Tensor

from mitouts.errors import ConfigError

Domain = Literal['logit', 'probability', 'feature']


class Pooled(NamedTuple):
    """The pooled value of each image, and the weights it was pooled with.

    Attributes:
        value: Tensor ``(N, C)`` in the aggregator's domain.
        weights: Tensor ``(N, 1, h, w)``, for attention.
        logit: Tensor ``(N, C)``, the logit of a pooled probability where the aggregator knows it better than
            ``value`` can tell (close to 0 or 1).
    """

    value: Tensor
    weights: Tensor | None = None
    logit: Tensor | None = None


class Aggregator(BaseModule):
    """Pools a map of values over its positions.

    Subclasses set ``domains`` (the first is the default) and implement ``forward``. A subclass that returns attention
    weights sets ``map_is_attention``; otherwise a head refuses its output.

    Args:
        domain: Kind of pooled values: ``logit`` and ``probability`` are the classifier's output at every position
            (instance-based), ``feature`` is the backbone's (embedding-based).

    Attributes:
        map_is_attention: Whether ``forward`` gives ``Pooled.weights``, which then are the score map instead of the
            classifier's output at every position. A class says it for all its objects, an object for itself.
        is_maximum: Whether the pooled value is the maximum over the positions, outside of training.

    Raises:
        ConfigError: The aggregator makes no sense in that domain.
    """

    domains: ClassVar[tuple[Domain, ...]] = ('logit', 'probability', 'feature')
    map_is_attention: bool = False
    is_maximum: ClassVar[bool] = False

    def __init__(self, domain: Domain | None = None) -> None:
        super().__init__()
        self.domain = domain or self.domains[0]
        if self.domain not in self.domains:
            raise ConfigError(
                f'{type(self).__name__} pools {" or ".join(self.domains)}, not {self.domain!r}: '
                f'change aggregator.domain'
            )

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        """Pool the values of each image.

        Args:
            values: Tensor ``(N, C, h, w)`` in ``self.domain``.
            features: Tensor ``(N, D, h, w)``, the backbone's output (the same as ``values`` when those are features).
        """
        raise NotImplementedError

    def prepare(self, feature_channels: int) -> None:
        """Prepare for a number of feature channels; the head calls this once, and attention builds its layers here."""
