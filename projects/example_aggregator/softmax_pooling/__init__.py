"""An aggregator that lives outside of mitouts: importing this package registers it."""

from softmax_pooling.aggregator import SoftmaxAggregator

__all__ = ['SoftmaxAggregator']
