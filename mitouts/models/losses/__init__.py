"""Compares predictions with labels and points."""

from mitouts.models.losses.base import MapLoss
from mitouts.models.losses.centroid import CentroidConstraintLoss
from mitouts.models.losses.concentric import ConcentricLoss
from mitouts.models.losses.image import ImageBCELoss
from mitouts.models.losses.negative import NegativeInstanceLoss

__all__ = ['CentroidConstraintLoss', 'ConcentricLoss', 'ImageBCELoss', 'MapLoss', 'NegativeInstanceLoss']
