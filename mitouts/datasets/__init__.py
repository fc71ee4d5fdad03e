"""Reads training samples (images with points, crops, tissue images), and provides samplers that draw from them."""

from mitouts.datasets.figure_crops import FigureCropDataset
from mitouts.datasets.oversampled import OversampledSampler
from mitouts.datasets.point_dataset import PointDataset
from mitouts.datasets.samplers import ClassBalancedSampler, HardNegativeSampler
from mitouts.datasets.seeded import SeededDataset
from mitouts.datasets.tissue_dataset import TissueDataset

__all__ = [
    'ClassBalancedSampler',
    'FigureCropDataset',
    'HardNegativeSampler',
    'OversampledSampler',
    'PointDataset',
    'SeededDataset',
    'TissueDataset',
]
