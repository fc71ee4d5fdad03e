"""Pipeline steps."""

from mitouts.transforms.augment import Augment
from mitouts.transforms.base import Transform
from mitouts.transforms.loading import LoadImage
from mitouts.transforms.packing import PackPointSample
from mitouts.transforms.stain_fourier import FourierSwap
from mitouts.transforms.stain_histogram import MatchHistogram
from mitouts.transforms.stain_jitter import StainJitter
from mitouts.transforms.stain_normalize import StainNormalize

__all__ = [
    'Augment',
    'FourierSwap',
    'LoadImage',
    'MatchHistogram',
    'PackPointSample',
    'StainJitter',
    'StainNormalize',
    'Transform',
]
