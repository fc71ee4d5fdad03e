"""Datasets and samplers."""

from mitouts.datasets.point_dataset import PointDataset
from mitouts.datasets.samplers import ClassBalancedSampler

__all__ = ['ClassBalancedSampler', 'PointDataset']
