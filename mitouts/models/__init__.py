"""Models: localizers, and what they are made of."""

from mitouts.models import aggregators, backbones, heads, losses
from mitouts.models.data_preprocessor import PointDataPreprocessor
from mitouts.models.localizer import WSSLocalizer

__all__ = ['PointDataPreprocessor', 'WSSLocalizer', 'aggregators', 'backbones', 'heads', 'losses']
