"""Builds the networks: the localizer and its parts, detectors, the tissue model."""

from mitouts.models import aggregators, backbones, detectors, heads, losses
from mitouts.models.cascade import CascadeLocalizer
from mitouts.models.data_preprocessor import PointDataPreprocessor
from mitouts.models.localizer import WSSLocalizer
from mitouts.models.tissue_unet import TissueLoss, TissueUNet

__all__ = [
    'CascadeLocalizer',
    'PointDataPreprocessor',
    'TissueLoss',
    'TissueUNet',
    'WSSLocalizer',
    'aggregators',
    'backbones',
    'detectors',
    'heads',
    'losses',
]
