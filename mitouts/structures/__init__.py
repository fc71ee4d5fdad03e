"""Data structures."""

from mitouts.structures.point_sample import PointSample
from mitouts.structures.tissue_sample import TissueSample

__all__ = ['PointSample', 'TissueSample']
