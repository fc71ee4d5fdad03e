"""Computes features; each backbone declares ``out_channels`` and its ``geometry``."""

from mitouts.models.backbones.blob_filter import BlobFilter
from mitouts.models.backbones.efficientnet_lite import EfficientNetLite
from mitouts.models.backbones.resnet import ResNet
from mitouts.models.backbones.skip_decoder import SkipDecoder

__all__ = ['BlobFilter', 'EfficientNetLite', 'ResNet', 'SkipDecoder']
