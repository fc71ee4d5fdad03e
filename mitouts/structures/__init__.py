"""Data structures."""

from mitouts.structures.point_sample import PointSample

__all__ = ['PointSample']
