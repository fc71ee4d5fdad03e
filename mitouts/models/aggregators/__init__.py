"""Pools a map of values to one value an image."""

from mitouts.models.aggregators.attention import AttentionAggregator
from mitouts.models.aggregators.base import Aggregator, Pooled
from mitouts.models.aggregators.pooling import (
    AnnealedMaxAggregator,
    GeMAggregator,
    LogSumExpAggregator,
    MaxAggregator,
    MeanAggregator,
    NoisyOrAggregator,
    TopKMeanAggregator,
)

__all__ = [
    'Aggregator',
    'AnnealedMaxAggregator',
    'AttentionAggregator',
    'GeMAggregator',
    'LogSumExpAggregator',
    'MaxAggregator',
    'MeanAggregator',
    'NoisyOrAggregator',
    'Pooled',
    'TopKMeanAggregator',
]
