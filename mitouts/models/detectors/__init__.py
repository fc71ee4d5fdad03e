"""Trains box detectors of mmdetection and reads them as localizers."""

from mitouts.models.detectors.detector_localizer import DetectorLocalizer
from mitouts.models.detectors.mask_training import MaskTrainedRoIHead
from mitouts.models.detectors.pseudo_masks import DiscMasks, ScoreMapMasks

__all__ = ['DetectorLocalizer', 'DiscMasks', 'MaskTrainedRoIHead', 'ScoreMapMasks']
