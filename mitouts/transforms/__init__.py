"""Pipeline steps."""

from mitouts.transforms.augment import Augment
from mitouts.transforms.base import Transform
from mitouts.transforms.loading import LoadImage
from mitouts.transforms.packing import PackPointSample
from mitouts.transforms.stain_jitter import StainJitter

__all__ = ['Augment', 'LoadImage', 'PackPointSample', 'StainJitter', 'Transform']
