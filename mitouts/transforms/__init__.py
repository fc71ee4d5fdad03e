"""Loads, augments and packs samples, and changes their stain: the steps of a pipeline."""

from mitouts.transforms.augment import Augment
from mitouts.transforms.base import Transform
from mitouts.transforms.loading import LoadImage
from mitouts.transforms.packing import PackPointSample
from mitouts.transforms.segmentation import (
    AugmentTissue,
    LoadLabels,
    PackTissueSample,
    RandomTissueCrop,
    ResampleTissue,
)
from mitouts.transforms.stain_fourier import FourierSwap
from mitouts.transforms.stain_histogram import MatchHistogram
from mitouts.transforms.stain_jitter import StainJitter
from mitouts.transforms.stain_normalize import StainNormalize
from mitouts.transforms.tile_means import TileMeans

__all__ = [
    'Augment',
    'AugmentTissue',
    'FourierSwap',
    'LoadImage',
    'LoadLabels',
    'MatchHistogram',
    'PackPointSample',
    'PackTissueSample',
    'RandomTissueCrop',
    'ResampleTissue',
    'StainJitter',
    'StainNormalize',
    'TileMeans',
    'Transform',
]
