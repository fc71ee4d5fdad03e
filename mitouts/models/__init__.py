"""Models: localizers, what they are made of, and the tissue model."""

from mitouts.models import aggregators, backbones, heads, losses
from mitouts.models.data_preprocessor import PointDataPreprocessor
from mitouts.models.localizer import WSSLocalizer
from mitouts.models.tissue import TissueLoss, TissueUNet

__all__ = [
    'PointDataPreprocessor',
    'TissueLoss',
    'TissueUNet',
    'WSSLocalizer',
    'aggregators',
    'backbones',
    'heads',
    'losses',
]
