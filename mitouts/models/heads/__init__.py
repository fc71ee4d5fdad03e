"""Turns features into a score map and an image score."""

from mitouts.models.heads.embedding import EmbeddingHead
from mitouts.models.heads.instance import InstanceHead
from mitouts.models.heads.segmentation import SegmentationHead

__all__ = ['EmbeddingHead', 'InstanceHead', 'SegmentationHead']
